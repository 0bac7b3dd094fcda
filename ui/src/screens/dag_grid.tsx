/** The run grid of a DAG: its newest runs task by task, live; as a table for who would rather have one. */
import { useMemo } from 'preact/hooks'
import { useGet } from '../api/query'
import { Choice, Empty, Link, Panel, Shown, State, Table } from '../parts/basics'
import { TaskGrid, type GridData } from '../parts/grid'
import { filter, go, part, query } from '../lib/router'
import { instant, lasted } from '../lib/time'

const COUNTS: [string, string][] = [['25', '25'], ['', '50'], ['100', '100'], ['200', '200']]
/** Of more tasks the groups begin closed. */
const MANY = 300

export function RunGrid({ dag }: { dag: string }) {
  const count = Number(query.value.get('runs') ?? '') || 50
  const as = query.value.get('as') ?? ''
  const grid = useGet('/api/v1/dags/{dag}/grid', { names: { dag }, query: { limit: count }, on: (event) => event.dag === dag && (event.kind === 'run' || event.kind === 'task') })
  const data = grid.data.value
  const groups = useMemo(() => [...new Set((data?.tasks ?? []).map((each) => each.group).filter(Boolean).flatMap(above))], [data?.tasks])
  const said = query.value.get('closed')
  const closed = useMemo(() => new Set(said !== null ? said.split(',').filter(Boolean) : (data?.tasks.length ?? 0) > MANY ? groups : []), [said, groups])
  const shut = (names: string[]) => filter({ closed: names.join(',') || (data && data.tasks.length > MANY ? ',' : null) })
  const toggle = (group: string) => shut(closed.has(group) ? [...closed].filter((each) => each !== group) : [...closed, group])
  return (
    <Panel title="Tasks by runs" side={
      <>
        {groups.length > 0 && <button class="small" onClick={() => shut(closed.size ? [] : groups)}>{closed.size ? 'Open all groups' : 'Close all groups'}</button>}
        <Choice label="Runs shown" value={count === 50 ? '' : String(count)} options={COUNTS} onChange={(chosen) => filter({ runs: chosen })} />
        <Choice label="Shown as" value={as} options={[['', 'Grid'], ['table', 'Table']]} onChange={(chosen) => filter({ as: chosen })} />
      </>
    }>
      <Shown of={grid}>
        {(found) => found.runs.length === 0
          ? <Empty title="It has not run yet"><code>bide trigger {dag}</code> starts the first run, and so does Trigger above.</Empty>
          : as === 'table' ? <AsTable data={found} />
          : <TaskGrid data={found as GridData} closed={closed} onToggle={toggle} onRun={(run) => go(`/runs/${part(run)}`)} onTask={(run, task) => go(`/runs/${part(run)}/t/${part(task)}`)} />}
      </Shown>
    </Panel>
  )
}

/** `a.b.c` stands in a, a.b and a.b.c. */
const above = (group: string): string[] => group.split('.').map((_, n, parts) => parts.slice(0, n + 1).join('.'))

function AsTable({ data }: { data: GridData }) {
  const runs = data.runs.slice(0, 25)
  return (
    <Table
      label="Tasks by runs" id={({ task }) => task.task}
      rows={data.tasks.map((task, place) => ({ task, place }))}
      columns={[
        { name: 'Task', cell: ({ task }) => task.task },
        ...runs.map((run) => ({
          name: `${run.run_id} · ${instant(run.logical_date, false)} · ${lasted(run.started_at, run.ended_at)}`,
          cell: ({ task, place }: { task: { task: string }; place: number }) => run.states[place]! < 0 ? <span class="dim">-</span> : <Link to={`/runs/${part(run.run_id)}/t/${part(task.task)}`}><State of={data.words[run.states[place]!]!} bare /></Link>,
        })),
      ]}
    />
  )
}
