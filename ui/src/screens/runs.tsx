/** `/runs`: the runs of all DAGs, by filters that stand in the address; what is done to all that a filter finds is counted first. */
import { useGet, usePages } from '../api/query'
import { Ago, Choice, Empty, Head, Instant, Link, Shown, State, Table } from '../parts/basics'
import { KeptFilters } from '../parts/kept'
import { WhyHere } from '../parts/why_here'
import { Many } from '../parts/many'
import { matching, type Where } from '../lib/many'
import { filter, part, query } from '../lib/router'
import { lasted } from '../lib/time'
import { word } from '../lib/words'

const STATES: [string, string][] = [['', 'All'], ['running', 'Running'], ['queued', 'Queued'], ['failed', 'Failed'], ['success', 'Success'], ['cancelled', 'Cancelled']]
const KINDS = ['scheduled', 'manual', 'backfill', 'asset', 'plan', 'shadow']
const NAMES = ['dag', 'state', 'kind', 'since', 'until'] as const

export default function Runs() {
  const where = Object.fromEntries(NAMES.map((name) => [name, query.value.get(name) ?? '']).filter(([, value]) => value)) as Where
  const runs = usePages('/api/v1/runs', { query: { ...where, limit: 100 }, on: (event) => event.kind === 'run' })
  const dags = useGet('/api/v1/dags')
  const narrowed = Object.keys(where).length > 0
  return (
    <>
      <Head title="Runs" actions={<Many where={where} />}>{narrowed && <span class="dim">Those that match <code>{matching(where)}</code></span>}</Head>
      <div class="filters">
        <label>DAG
          <input list="dags" type="search" class="short" value={where.dag ?? ''} placeholder="all, daily_*" onChange={(event) => filter({ dag: event.currentTarget.value.trim() })} />
          <datalist id="dags">{dags.data.value?.map((each) => <option key={each.dag} value={each.dag} />)}</datalist>
        </label>
        <Choice label="State" value={where.state ?? ''} options={STATES} onChange={(chosen) => filter({ state: chosen })} />
        <label>By
          <select aria-label="Made by" value={where.kind ?? ''} onChange={(event) => filter({ kind: event.currentTarget.value })}>
            <option value="">anything</option>
            {KINDS.map((kind) => <option key={kind} value={kind}>{kind}</option>)}
          </select>
        </label>
        <span class="pair">
        <label>Dates from <input type="date" value={where.since ?? ''} onChange={(event) => filter({ since: event.currentTarget.value })} /></label>
        <label>before <input type="date" value={where.until ?? ''} onChange={(event) => filter({ until: event.currentTarget.value })} /></label>
        </span>
        {narrowed && <button class="small" onClick={() => filter(Object.fromEntries(NAMES.map((name) => [name, null])))}>All of them</button>}
      </div>
      <KeptFilters />
      <Shown of={runs}>
        {(rows) => (
          <>
            <Table
              label="Runs" rows={rows} id={(run) => run.run_id}
              empty={<Empty title={narrowed ? 'No run matches' : 'No run yet'}>Nothing has run{narrowed ? ' that this filter finds' : ''}. <code>bide trigger {where.dag ? word(where.dag) : 'DAG'}</code> starts one.</Empty>}
              columns={[
                { name: 'Run', cell: (run) => <Link to={`/runs/${part(run.run_id)}`}>{run.run_id}</Link>, right: true },
                { name: 'DAG', cell: (run) => <><Link to={`/dags/${part(run.dag)}`}>{run.dag}</Link><small class="narrow"><Instant at={run.logical_date} seconds={false} /></small></> },
                { name: 'State', cell: (run) => <State of={run.state} /> },
                { name: 'Logical date', cell: (run) => <Instant at={run.logical_date} />, wide: true },
                { name: 'By', cell: (run) => run.kind, wide: true },
                { name: 'Started', cell: (run) => <Ago at={run.started_at} />, wide: true },
                { name: 'Took', cell: (run) => lasted(run.started_at, run.ended_at), right: true, wide: true },
                { name: 'Why', cell: (run) => <WhyHere run={run.run_id} state={run.state} reason={run.reason} />, wide: true },
              ]}
            />
            {runs.more.value && <button onClick={runs.next}>Older runs</button>}
          </>
        )}
      </Shown>
    </>
  )
}
