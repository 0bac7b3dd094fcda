/** What a DAG consists of: its graph with the states of its newest run, its tasks with how long they take, its docs, its backfills. */
import { useMemo } from 'preact/hooks'
import { useGet } from '../api/query'
import { hint } from '../lib/params'
import { go, part } from '../lib/router'
import { state } from '../lib/states'
import { span } from '../lib/time'
import { Ago, Empty, Link, Panel, Shown, State, Table } from '../parts/basics'
import { Graph, type GraphEdge } from '../parts/graph'
import type { Shape } from './dag'

export function DagGraph({ of }: { of: Shape }) {
  const dag = of.dag
  const grid = useGet('/api/v1/dags/{dag}/grid', { names: { dag }, query: { limit: 1 }, on: (event) => event.dag === dag && (event.kind === 'run' || event.kind === 'task') })
  const newest = grid.data.value?.runs[0]
  const edges = useMemo(() => of.tasks.flatMap((task) => [...task.upstream.map((above): GraphEdge => [above, task.task]), ...task.handles.map((above): GraphEdge => [above, task.task, 'handles'])]), [of.tasks])
  const states = new Map(grid.data.value?.tasks.map((task, place) => [task.task, newest ? grid.data.value!.words[newest.states[place]!] ?? 'pending' : 'pending']))
  const id = useMemo(() => `dag:${of.tasks.map((task) => `${task.group}/${task.task}<${task.upstream.join(',')}|${task.handles.join(',')}`).join(';')}`, [of.tasks])
  const to = (task: string) => (newest ? `/runs/${part(newest.run_id)}/t/${part(task)}` : '')
  return (
    <Panel title="Graph" side={newest ? <span>as of run <Link to={`/runs/${part(newest.run_id)}`}>{newest.run_id}</Link> <State of={newest.state} /></span> : undefined}>
      {of.tasks.length === 0 ? <Empty title="It has no task" /> : (
        <Graph id={id} label={`Graph of ${dag}`} edges={edges} onChoose={(task) => newest && go(to(task))}
          nodes={of.tasks.map((task) => ({ id: task.task, label: task.group ? task.task.replace(`${task.group}.`, '') : task.task, group: task.group, kind: task.does === 'task' ? '' : task.does, state: states.get(task.task) ?? 'pending', ...(newest && { to: to(task.task) }) }))} />
      )}
    </Panel>
  )
}

export function DagTasks({ of }: { of: Shape }) {
  const stats = useGet('/api/v1/stats/dags/{dag}', { names: { dag: of.dag }, query: { last: 100 }, on: (event) => event.dag === of.dag && event.kind === 'run' })
  return (
    <Panel title="Tasks" side={stats.data.value && <span class="dim">over {stats.data.value.runs === 1 ? 'its newest run' : `its newest ${stats.data.value.runs} runs`}</span>}>
      <Shown of={stats}>
        {(found) => {
          const by = new Map(found.tasks.map((each) => [each.task, each]))
          return (
            <Table label="Tasks" rows={of.tasks} id={(task) => task.task} columns={[
              { name: 'Task', cell: (task) => <><Link to={`/tasks?dag=${part(of.dag)}&task=${part(task.task)}`} title={`${task.task} in all runs`}><strong>{task.task}</strong></Link>{task.group && !task.task.startsWith(`${task.group}.`) && <div class="dim">{task.group}</div>}</> },
              { name: 'Does', cell: (task) => task.does },
              { name: 'After', cell: (task) => [...task.upstream, ...task.handles].join(', ') || <span class="dim">-</span>, wide: true },
              ...(of.tasks.some((task) => task.promise) ? [{ name: 'Promised', cell: (task: Shape['tasks'][number]) => task.promise ?? <span class="dim">-</span>, wide: true }] : []),
              { name: 'Half take', cell: (task) => spread(by.get(task.task)?.slot?.p50), right: true },
              { name: '95 % take', cell: (task) => spread(by.get(task.task)?.slot?.p95), right: true, wide: true },
              { name: 'Queued', cell: (task) => spread(by.get(task.task)?.queued?.p50), right: true, wide: true },
              { name: 'Failed', cell: (task) => { const it = by.get(task.task); return it?.failed_attempts ? <State of="failed" count={it.failed_attempts} /> : <span class="dim">0</span> }, right: true },
            ]} />
          )
        }}
      </Shown>
    </Panel>
  )
}

const spread = (seconds: number | undefined) => (seconds === undefined ? <span class="dim">-</span> : span(seconds * 1000))

export function DagDocs({ of }: { of: Shape }) {
  const params = Object.entries((of.params as { properties?: Record<string, Record<string, unknown>> }).properties ?? {})
  return (
    <>
      <Panel title="Docs">{of.doc ? <p class="prose">{of.doc.trim()}</p> : <Empty title="It says nothing of itself">The docstring of the function marked <code>@dag</code> stands here.</Empty>}</Panel>
      <Panel title="Parameters">
        <Table label="Parameters" rows={params} id={([name]) => name} empty={<Empty title="It declares none">A run may be given any.</Empty>} columns={[
          { name: 'Name', cell: ([name]) => <strong>{name}</strong> },
          { name: 'Type', cell: ([, it]) => it.type ? [it.type].flat().join(' or ') : <span class="dim">any</span> },
          { name: 'Default', cell: ([, it]) => 'default' in it ? <code>{JSON.stringify(it.default)}</code> : <span class="state warned">required</span> },
          { name: 'What it is', cell: ([, it]) => [hint(it), it.enum && `one of ${(it.enum as unknown[]).map((each) => JSON.stringify(each)).join(', ')}`].filter(Boolean).join('; ') },
        ]} />
      </Panel>
    </>
  )
}

export function DagBackfills({ dag }: { dag: string }) {
  const found = useGet('/api/v1/backfills', { names: {}, query: { dag, limit: 50 }, on: (event) => event.kind === 'backfill' && event.dag === dag })
  return (
    <Panel title="Backfills of it" side={<Link to={`/backfills?dag=${part(dag)}`}>Plan one</Link>}>
      <Shown of={found}>
        {(rows) => (
          <Table label="Backfills" rows={rows} id={(each) => each.backfill_id}
            empty={<Empty title="No backfill of it yet">A backfill runs intervals that are over. <code>bide backfill {dag} --from DATE --to DATE --dry-run</code> says what one would do.</Empty>}
            columns={[
              { name: 'Backfill', cell: (each) => <Link to={`/backfills/${part(each.backfill_id)}`}>{each.backfill_id}</Link> },
              { name: 'State', cell: (each) => <State of={each.state} /> },
              { name: 'Intervals', cell: (each) => `${each.done.toLocaleString()} of ${each.intervals.toLocaleString()}`, right: true },
              { name: 'By state', cell: (each) => Object.entries(each.counts).map(([name, count]) => `${count} ${state(name).word}`).join(', '), wide: true },
              { name: 'Made', cell: (each) => <Ago at={each.created_at} />, wide: true },
            ]} />
        )}
      </Shown>
    </Panel>
  )
}
