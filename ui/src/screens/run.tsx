/** `/runs/:run`: a run as it goes: its graph and its tasks. */
import { useMemo } from 'preact/hooks'
import { useGet } from '../api/query'
import type { Answer } from '../api/client'
import { Fact, Head, Instant, Panel, Shown, State } from '../parts/basics'
import { Graph } from '../parts/graph'
import { filter, part, query } from '../lib/router'

export default function Run({ run }: { run: string }) {
  const asked = useGet('/api/v1/runs/{run}', { names: { run }, query: { limit: 1000 }, on: (event) => event.run_id === run })
  return <Shown of={asked}>{(shown) => <Page shown={shown} />}</Shown>
}

function Page({ shown }: { shown: Answer<'/api/v1/runs/{run}'> }) {
  const dag = useGet('/api/v1/dags/{dag}', { names: { dag: shown.dag } })
  return (
    <>
      <Head title={`Run ${shown.run_id}`} trail={[['Runs', '/runs'], [shown.dag, `/dags/${part(shown.dag)}`]]}>
        <State of={shown.state} />
        <Fact name="Logical date"><Instant at={shown.logical_date} /></Fact>
      </Head>
      <Panel title="Graph"><Shown of={dag}>{(known) => <Drawn shown={shown} tasks={known.tasks} />}</Shown></Panel>
    </>
  )
}

function Drawn({ shown, tasks }: { shown: Answer<'/api/v1/runs/{run}'>; tasks: Answer<'/api/v1/dags/{dag}'>['tasks'] }) {
  const states = new Map(shown.tasks.filter((task) => task.map_index < 0).map((task) => [task.task, task.state]))
  const edges = useMemo(() => tasks.flatMap((task) => task.upstream.map((up) => [up, task.task] as const)), [tasks])
  const nodes = tasks.map((task) => ({ id: task.task, label: task.task, group: task.group, kind: task.does === 'task' ? '' : task.does, state: states.get(task.task) ?? 'pending', to: `/runs/${part(shown.run_id)}/t/${part(task.task)}` }))
  return <Graph id={shown.dag} nodes={nodes} edges={edges} label={`Tasks of run ${shown.run_id}`} chosen={query.value.get('task') ?? undefined} onChoose={(task) => filter({ task })} />
}
