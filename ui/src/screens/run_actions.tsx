/** What can be done about a run, and what somebody should know of it: alerts, and that its DAG is paused. */
import { useState } from 'preact/hooks'
import { post } from '../api/client'
import { Act, word } from '../parts/action'
import { Ago, State } from '../parts/basics'
import { Said } from '../parts/said'
import type { Live } from './run_live'
import { OVER, type RunGraph, type RunShown } from './run'

/** How many tasks are in any of these states. */
const count = (live: Live, ...states: string[]) => live.tasks.peek().filter((task) => states.includes(task.state.peek())).length

export function Actions({ run, dag, state, live }: { run: string; dag: string; state: string; live: Live }) {
  if (!OVER.includes(state))
    return (
      <Act doing={() => ({
        title: `Cancel run ${run}`,
        preview: <p>{count(live, 'running', 'deferred', 'up_for_retry', 'awaiting_approval')} tasks are under way and are stopped; {count(live, 'pending', 'ready', 'blocked')} have not begun and never will. What has succeeded stays.</p>,
        command: () => `bide cancel ${run}`,
        act: async () => (await post('/api/v1/runs/{run}/cancel', { run })).done,
        undo: async () => void (await post('/api/v1/runs/{run}/rerun', { run })),
        severe: true,
        verb: 'Cancel the run',
      })}>Cancel</Act>
    )
  const rerun = (whole: boolean) => ({
    title: whole ? `Run all of run ${run} again` : `Run again what did not succeed in run ${run}`,
    preview: whole
      ? <p>All {live.tasks.peek().length.toLocaleString()} tasks of this run of <b>{dag}</b> start anew, those that succeeded as well.</p>
      : <p>{count(live, 'failed', 'lost', 'timed_out', 'upstream_failed', 'cancelled').toLocaleString()} tasks of this run of <b>{dag}</b> did not succeed and start anew; those that succeeded are kept.</p>,
    command: () => `bide rerun ${run}${whole ? ' --run' : ''}`,
    act: async () => (await post('/api/v1/runs/{run}/rerun', { run }, { whole })).done,
    ...(!whole && { undo: async () => void (await post('/api/v1/runs/{run}/cancel', { run })) }),
    verb: 'Run again',
  })
  return (
    <>
      <Act doing={() => rerun(false)} disabled={state === 'success' ? 'All of it has succeeded' : undefined}>Rerun failed</Act>
      <Act doing={() => rerun(true)}>Rerun all</Act>
    </>
  )
}

export function Banner({ graph, state }: { graph: RunGraph; state: string }) {
  if (!graph.paused || OVER.includes(state)) return null
  const dag = graph.dag
  return (
    <div class="run-banner held" role="status">
      <State of="paused" />
      <span class="grow">The DAG <b>{dag}</b> is paused{graph.paused.who ? <> by <b>{graph.paused.who}</b></> : ` (${graph.paused.reason})`} since <Ago at={graph.paused.since} />: nothing new of this run starts.</span>
      <Act small doing={{
        title: `Let ${dag} go on`,
        preview: <p>What waits to start in this and other runs of <b>{dag}</b> starts again.</p>,
        command: () => `bide unpause ${word(dag)}`,
        act: async () => (await post('/api/v1/dags/{dag}/unpause', { dag })).done,
        undo: async () => void (await post('/api/v1/dags/{dag}/pause', { dag })),
        verb: 'Unpause',
      }}>Unpause</Act>
    </div>
  )
}

/** So many alerts stand above the graph before they are asked for. */
const FEW = 3

export function Alerts({ alerts }: { alerts: RunShown['alerts'] }) {
  const [all, setAll] = useState(false)
  const open = alerts.filter((alert) => alert.state !== 'acked')
  if (open.length === 0) return null
  return (
    <ul class="run-alerts" aria-label="Alerts">
      {open.slice(0, all ? open.length : FEW).map((alert) => (
        <li key={alert.id}>
          <State of={alert.state} />
          <span class="grow"><Said text={alert.text || `${alert.kind}: ${alert.promise}`} /> <span class="dim"><Ago at={alert.fired} />{alert.owners.length > 0 && `, ${alert.owners.join(', ')}`}</span></span>
          <Act small doing={{
            title: `Acknowledge alert ${alert.id}`,
            preview: <p>Others see that somebody knows of it, which cannot be taken back: <Said text={alert.text} /></p>,
            command: () => `bide alerts ack ${alert.id}`,
            act: async () => (await post('/api/v1/alerts/{alert}/ack', { alert: alert.id })).done,
            verb: 'Acknowledge',
          }}>Acknowledge</Act>
        </li>
      ))}
      {!all && open.length > FEW && <li><button class="small" onClick={() => setAll(true)}>{open.length - FEW} more {open.length - FEW === 1 ? 'alert' : 'alerts'}</button></li>}
    </ul>
  )
}
