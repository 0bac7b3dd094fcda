/** `/runs/:run`: a run as it goes: what made it, what holds it up, its graph, and what each task did with its time. */
import { useEffect, useMemo } from 'preact/hooks'
import type { Answer } from '../api/client'
import { useGet, type Asked } from '../api/query'
import { Ago, Choice, Empty, Fact, Head, Instant, Link, Panel, Shown, State, Wrong } from '../parts/basics'
import { Gantt, Legend } from '../parts/gantt'
import { Graph } from '../parts/graph'
import { filter, part, query } from '../lib/router'
import { URGENCY } from '../lib/states'
import { dagZone, lasted } from '../lib/time'
import { RunCode } from './run_code'
import { Actions, Alerts, Banner } from './run_actions'
import { Cause, Failures, Path } from './run_cause'
import { CauseChain, Events } from './run_chain'
import { useAll, useLive, type Live, type Task } from './run_live'
import { Params } from './run_params'
import { Chosen } from './run_task'
import './run.css'

export type RunShown = Answer<'/api/v1/runs/{run}'>
export type RunGraph = Answer<'/api/v1/runs/{run}/graph'>
export type RunStats = Answer<'/api/v1/stats/runs/{run}'>
export const OVER = ['success', 'failed', 'cancelled']

export default function Run({ run }: { run: string }) {
  const live = useLive(run)
  const graph: Asked<RunGraph> = useGet('/api/v1/runs/{run}/graph', { names: { run }, on: (event) => (event.kind === 'run' && event.run_id === run) || (event.kind === 'dag' && event.dag === graph.data.peek()?.dag) })
  return <Shown of={graph}>{(shown) => <Page run={run} graph={shown} live={live} />}</Shown>
}

function Page({ run, graph, live }: { run: string; graph: RunGraph; live: Live }) {
  const asked = useGet('/api/v1/runs/{run}', { names: { run }, query: { limit: 1 }, on: (event) => (event.kind === 'run' && event.run_id === run) || event.kind === 'alert' })
  const over = graph.ended_at !== null
  const stats = useGet('/api/v1/stats/runs/{run}', { names: { run }, query: { limit: 1 }, on: (event) => event.run_id === run && event.kind === 'run', ...(over ? {} : { every: 5000 }) })
  useEffect(() => void (dagZone.value = graph.tz), [graph.tz])
  const shown = asked.data.value
  const state = live.run.value || shown?.state || ''
  const critical = useMemo(() => new Map((stats.data.value?.path ?? []).map((link) => [link.map_index < 0 ? link.task : `${link.task}[${link.map_index}]`, Date.parse(link.since)])), [stats.data.value])
  return (
    <>
      <Head title={`Run ${run}`} trail={[['Runs', '/runs'], [graph.dag, `/dags/${part(graph.dag)}`]]} actions={shown && <Actions run={run} dag={graph.dag} state={state} live={live} />}>
        {state && <State of={state} />}
        {shown && <Fact name="Logical date"><Instant at={shown.logical_date} /></Fact>}
        {graph.started_at ? <Fact name="Started"><Ago at={graph.started_at} /></Fact> : <Fact name="Made"><Ago at={graph.created_at} /></Fact>}
        {graph.started_at && <Fact name={over ? 'Took' : 'Runs for'}>{lasted(graph.started_at, graph.ended_at)}</Fact>}
        <Fact name="Version"><code>{graph.version.slice(0, 8)}</code>{graph.newer && <> <Link to={`/dags/${part(graph.dag)}?view=versions`}>the DAG has a newer one</Link></>}</Fact>
        <RunCode run={run} dag={graph.dag} />
      </Head>
      <Banner graph={graph} state={state} />
      {shown && <Alerts alerts={shown.alerts} />}
      {live.error.value && <Wrong problem={live.error.value} />}
      {asked.error.value && <Wrong problem={asked.error.value} again={asked.again} />}
      <Failures run={run} graph={graph} live={live} />
      <Panel title="Graph">
        {live.ready.value ? <Drawn run={run} graph={graph} live={live} critical={critical} /> : <div class="coming" aria-busy="true">Loading</div>}
      </Panel>
      <Chosen run={run} live={live} graph={graph} />
      <Timeline run={run} graph={graph} live={live} critical={critical} />
      <div class="columns">
        <Path stats={stats} run={run} />
        <div class="run-stack">
          <Cause run={run} graph={graph} shown={shown} />
          {shown && <Params run={run} shown={shown} />}
        </div>
      </div>
      <CauseChain run={run} />
      <Events run={run} />
    </>
  )
}

const choose = (task: string) => filter({ task: query.peek().get('task') === task ? null : task })

function Drawn({ run, graph, live, critical }: { run: string; graph: RunGraph; live: Live; critical: ReadonlyMap<string, number> }) {
  const whole = live.whole.value
  const edges = useMemo(
    () => graph.tasks.flatMap((task) => [...task.upstream.map((up) => [up, task.task] as const), ...task.handles.map((of) => [of, task.task, 'handles'] as const)]),
    [graph.version],
  )
  const nodes = useMemo(
    () => graph.tasks.map((task) => ({
      id: task.task, label: task.group ? task.task.replace(`${task.group}.`, '') : task.task, group: task.group, kind: task.does === 'task' ? '' : task.does,
      state: whole.get(task.task)?.state ?? 'pending', to: `/runs/${part(run)}/t/${part(task.task)}`,
    })),
    [graph.version, whole],
  )
  const marked = useMemo(() => (query.value.get('path') ? new Set([...critical.keys()].map((place) => place.replace(/\[\d+\]$/, ''))) : undefined), [critical, query.value.get('path')])
  return (
    <>
      <Graph id={graph.version} nodes={nodes} edges={edges} label={`Tasks of run ${run}`} chosen={query.value.get('task')?.replace(/\[\d+\]$/, '')} onChoose={choose} marked={marked} />
      <label class="run-path"><input type="checkbox" checked={Boolean(query.value.get('path'))} onChange={(event) => filter({ path: event.currentTarget.checked ? '1' : null })} /> Show the critical path</label>
    </>
  )
}

/** The rows that the filters of the address let through. */
function Timeline({ run, graph, live, critical }: { run: string; graph: RunGraph; live: Live; critical: ReadonlyMap<string, number> }) {
  const state = query.value.get('state') ?? ''
  const text = (query.value.get('q') ?? '').toLowerCase()
  const only = query.value.get('only') === 'path'
  const chosen = query.value.get('task') ?? undefined
  const tasks = live.tasks.value
  const rows = tasks.filter((task: Task) => (!state || task.state.value === state) && (!text || task.place.toLowerCase().includes(text)) && (!only || critical.has(task.place)))
  if (only) rows.sort((a, b) => critical.get(a.place)! - critical.get(b.place)!)
  const shown = useMemo(
    () => rows.map((task) => ({ id: task.place, label: task.place, to: `/runs/${part(run)}/t/${part(task.place)}`, state: task.state, first: task.first, moves: task.moves, ...(task.index < 0 ? {} : { made: () => live.whole.value.get(task.task)?.moves.value.findLast((move) => move.now === 'mapped')?.at }) })),
    [tasks, rows.length, state, text, only, only ? critical : null, state ? rows.map((task) => task.id).join() : ''],
  )
  const opened = Date.parse(graph.started_at ?? graph.created_at)
  const ended = graph.ended_at ? Date.parse(graph.ended_at) : null
  // what happens beside it draws no row anew
  const gantt = useMemo(() => <Gantt rows={shown} opened={opened} ended={ended} label="What tasks did when" chosen={chosen} onChoose={choose} critical={critical} />, [shown, opened, ended, chosen, critical])
  return (
    <Panel title="Timeline" id="timeline" side={<Legend />}>
      <div class="filters">
        <States live={live} chosen={state} />
        <input type="search" aria-label="Find a task" placeholder="Find a task" value={text} onInput={(event) => filter({ q: event.currentTarget.value })} />
        <label class="run-path"><input type="checkbox" checked={only} onChange={(event) => filter({ only: event.currentTarget.checked ? 'path' : null })} /> Critical path only</label>
      </div>
      {live.more.value && <p class="dim">The first {tasks.length.toLocaleString()} tasks are shown: <code>bide show {run}</code> lists all.</p>}
      {shown.length === 0
        ? <Empty title={tasks.length ? 'No task matches' : 'No task yet'}>{tasks.length ? 'Take a filter away.' : 'Its tasks are made when the run begins.'}</Empty>
        : gantt}
    </Panel>
  )
}

/** How many tasks are in each state: what changes with every event, and nothing else does. */
function States({ live, chosen }: { live: Live; chosen: string }) {
  const counts = useAll(live, (tasks) => {
    const found = new Map<string, number>()
    for (const task of tasks) found.set(task.state.peek(), (found.get(task.state.peek()) ?? 0) + 1)
    return [...found].sort(([a], [b]) => URGENCY.indexOf(a) - URGENCY.indexOf(b))
  })
  return (
    <Choice label="State" value={chosen} onChange={(state) => filter({ state })}
      options={[['', 'All'], ...counts.value.map(([word, count]): [string, preact.ComponentChildren] => [word, <State of={word} count={count} />])]} />
  )
}
