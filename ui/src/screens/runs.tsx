/** `/runs`: the runs of all DAGs, by filters that stand in the address. */
import { useGet, usePages } from '../api/query'
import { Act, word } from '../parts/action'
import { Ago, Choice, Empty, Head, Instant, Link, Shown, State, Table } from '../parts/basics'
import { post } from '../api/client'
import { filter, part, query } from '../lib/router'
import { lasted } from '../lib/time'

const STATES: [string, string][] = [['', 'All'], ['running', 'Running'], ['queued', 'Queued'], ['failed', 'Failed'], ['success', 'Success'], ['cancelled', 'Cancelled']]

export default function Runs() {
  const dag = query.value.get('dag') ?? ''
  const state = query.value.get('state') ?? ''
  const runs = usePages('/api/v1/runs', { query: { ...(dag && { dag }), ...(state && { state }), limit: 100 }, on: (event) => event.kind === 'run' })
  const dags = useGet('/api/v1/dags')
  return (
    <>
      <Head title="Runs" actions={state && <BulkCancel dag={dag} state={state} />} />
      <div class="filters">
        <label>DAG
          <select value={dag} onChange={(event) => filter({ dag: event.currentTarget.value })}>
            <option value="">All</option>
            {dags.data.value?.map((each) => <option key={each.dag} value={each.dag}>{each.dag}</option>)}
          </select>
        </label>
        <Choice label="State" value={state} options={STATES} onChange={(chosen) => filter({ state: chosen })} />
      </div>
      <Shown of={runs}>
        {(rows) => (
          <>
            <Table
              label="Runs" rows={rows} id={(run) => run.run_id}
              empty={<Empty title="No run matches">Nothing has run {state && <>with the state {state} </>}{dag && <>of {dag} </>}yet. <code>bide trigger {dag || 'DAG'}</code> starts one.</Empty>}
              columns={[
                { name: 'Run', cell: (run) => <Link to={`/runs/${part(run.run_id)}`}>{run.run_id}</Link> },
                { name: 'DAG', cell: (run) => <Link to={`/dags/${part(run.dag)}`}>{run.dag}</Link> },
                { name: 'State', cell: (run) => <State of={run.state} /> },
                { name: 'Logical date', cell: (run) => <Instant at={run.logical_date} /> },
                { name: 'By', cell: (run) => run.kind, wide: true },
                { name: 'Started', cell: (run) => <Ago at={run.started_at} />, wide: true },
                { name: 'Took', cell: (run) => lasted(run.started_at, run.ended_at), right: true },
                { name: 'Why', cell: (run) => <span class="dim">{run.reason}</span>, wide: true },
              ]}
            />
            {runs.more.value && <button onClick={runs.next}>Older runs</button>}
          </>
        )}
      </Shown>
    </>
  )
}

/** All that the filter finds, counted first. */
function BulkCancel({ dag, state }: { dag: string; state: string }) {
  if (state !== 'running' && state !== 'queued') return null
  const where = { ...(dag && { dag }), state }
  return (
    <Act doing={{
      title: `Cancel all ${state} runs`,
      command: () => `bide cancel --where state=${state}${dag ? ` --where dag=${word(dag)}` : ''}`,
      act: async () => {
        const counted = await post('/api/v1/runs/actions', {}, { action: 'cancel', ...where, dry_run: true })
        await post('/api/v1/runs/actions', {}, { action: 'cancel', ...where, expect: counted.count })
        return `${counted.count} runs are cancelled.`
      },
      severe: true,
    }} />
  )
}
