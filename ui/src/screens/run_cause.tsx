/** Why a run is as it is: what made it, what broke in it and what did not run because of that, and where its time went. */
import { useMemo } from 'preact/hooks'
import { useGet, type Asked } from '../api/query'
import { Empty, Instant, Link, Panel, Shown, State } from '../parts/basics'
import { Details } from '../parts/details'
import { Said } from '../parts/said'
import { PHASES, type Phase } from '../parts/gantt_bars'
import { filter, part } from '../lib/router'
import { wanted } from '../lib/pools'
import { span } from '../lib/time'
import { below } from './run_below'
import { useAll, type Live, type Task } from './run_live'
import type { RunGraph, RunShown, RunStats } from './run'

const BROKEN = ['failed', 'lost', 'timed_out']
const NONE: readonly Task[] = []
const KINDS: Record<string, string> = { scheduled: 'its schedule', manual: 'hand', backfill: 'a backfill', asset: 'new data of assets', plan: 'a plan that mends data', replan: 'a plan that mends data' }

/** The first causes: what broke by itself, and what of the graph stands still because of it. */
export function Failures({ run, graph, live }: { run: string; graph: RunGraph; live: Live }) {
  const found = useAll(live, (tasks) => {
    const broken = tasks.filter((task) => BROKEN.includes(task.state.peek()))
    return broken.length ? broken : NONE
  })
  const under = useMemo(() => below(graph.tasks), [graph.version])
  if (found.value.length === 0) return null
  const whole = live.whole.value
  const rows = found.value.map((task) => ({ task, stopped: [...under(task.task)].filter((name) => whole.get(name)?.state.value === 'upstream_failed') }))
  return (
    <section class="run-failures bad" aria-label="What failed">
      <h2>{rows.length === 1 ? 'One task failed' : `${rows.length.toLocaleString()} tasks failed`}</h2>
      <ol>
        {rows.slice(0, 8).map(({ task, stopped }) => (
          <li key={task.id}>
            <State of={task.state.value} /> <Link to={`/runs/${part(run)}/t/${part(task.place)}`}>{task.place}</Link>
            {task.reason.value && <span class="run-reason">{task.reason.value}</span>}
            {stopped.length > 0 && <span class="dim run-stopped">because of it {stopped.slice(0, 3).join(', ')}{stopped.length > 3 && ` and ${stopped.length - 3} others`} did not run</span>}
          </li>
        ))}
      </ol>
      {rows.length > 8 && <button class="small" onClick={() => filter({ state: 'failed' })}>All {rows.length.toLocaleString()} in the timeline</button>}
    </section>
  )
}

/** The chain of tasks that determined when the run ended, each as long as it took. */
export function Path({ stats, run }: { stats: Asked<RunStats>; run: string }) {
  return (
    <Panel title="Critical path">
      <Shown of={stats}>
        {(shown) => {
          const links = shown.path.filter((link) => link.seconds > 0)
          if (links.length === 0) return <Empty title="No time yet">The chain of tasks that determines when a run ends is shown once it has begun.</Empty>
          return (
            <>
              <p class="dim">What determined {shown.ended_at ? 'when it ended' : 'how long it takes so far'}: {span(shown.seconds * 1000)}{told(links)}.</p>
              <ol class="strip-list">
                {links.map((link) => {
                  const place = link.map_index < 0 ? link.task : `${link.task}[${link.map_index}]`
                  const spent = (Object.keys(PHASES) as Phase[]).map((phase) => [phase, link[`${phase}_s`]] as const).filter(([, s]) => s > 0)
                  return (
                    <li key={place}>
                      <span class="strip-name"><State of={link.state} bare /><Link to={`/runs/${part(run)}/t/${part(place)}`}>{place}</Link></span>
                      <span class="strip" title={spent.map(([phase, s]) => `${PHASES[phase]} ${span(s * 1000)}`).join(', ')}>
                        {spent.map(([phase, s]) => <i key={phase} class={`bar-${phase}`} style={{ width: `${(s / shown.seconds) * 100}%` }} />)}
                      </span>
                      <span class="strip-took">{span(link.seconds * 1000)}</span>
                    </li>
                  )
                })}
              </ol>
            </>
          )
        }}
      </Shown>
    </Panel>
  )
}

/** Which part of it was no work. */
function told(links: RunStats['path']): string {
  const sum = (key: 'queued_s' | 'deferred_s' | 'backoff_s') => links.reduce((all, link) => all + link[key], 0)
  const found = ([['wanted slots', sum('queued_s')], ['waited for the world', sum('deferred_s')], ['stood back before another try', sum('backoff_s')]] as const).filter(([, s]) => s >= 0.001)
  return found.length ? `, of which it ${found.map(([word, s]) => `${word} for ${span(s * 1000)}`).join(', ')}` : ''
}

/** What made it, and what it says of itself. */
export function Cause({ run, graph, shown }: { run: string; graph: RunGraph; shown: RunShown | undefined }) {
  const why = useGet('/api/v1/runs/{run}/why', { names: { run }, on: (event) => event.run_id === run && event.kind === 'run' })
  return (
    <Panel title="Why">
      <dl class="run-facts">
        {shown && <><dt>Made by</dt><dd>{KINDS[shown.kind] ?? shown.kind}{graph.who && <> of <b>{graph.who}</b></>}, <Instant at={graph.created_at} /></dd></>}
        {shown && shown.interval.start !== shown.interval.end && <><dt>Data interval</dt><dd><Instant at={shown.interval.start} /> to <Instant at={shown.interval.end} /></dd></>}
        {shown?.made && <><dt>Made as</dt><dd>{shown.made}</dd></>}
        {graph.reason && graph.reason !== shown?.made && <><dt>Reason</dt><dd>{graph.reason}</dd></>}
      </dl>
      <Shown of={why}>
        {(said) => (
          <>
            <p><State of={said.state} /> <Said text={said.why} /></p>
            <dl class="run-facts"><Details of={said.details} /></dl>
            {said.next && <p class="dim"><Said text={said.next} />{wanted(said.why) && <> <Link to={`/pools?pool=${part(wanted(said.why)!)}`}>Who else wants it, in order</Link></>}</p>}
          </>
        )}
      </Shown>
    </Panel>
  )
}
