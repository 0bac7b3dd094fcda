/** `/backfills`: those there are, live, and the planner of a new one. */
import { useRef } from 'preact/hooks'
import { useGet, usePages } from '../api/query'
import { several } from '../lib/planning'
import { state as looks } from '../lib/states'
import { filter, part, query } from '../lib/router'
import { Ago, Empty, Head, Link, Shown, State, Table } from '../parts/basics'
import { Planner } from '../parts/planner'
import './backfills.css'

export default function Backfills() {
  const dag = query.value.get('dag') ?? ''
  const planning = query.value.has('plan')
  const going = useRef(new Set<string>()) // the DAGs of those that are not over: only their runs move a number here
  const found = usePages('/api/v1/backfills', { query: { ...(dag && { dag }), limit: 50 }, on: (event) => event.kind === 'backfill' || (event.kind === 'run' && going.current.has(event.dag ?? '')) })
  going.current = new Set(found.data.value?.filter((one) => one.ended_at === null).map((one) => one.dag))
  const dags = useGet('/api/v1/dags')
  const first = dags.data.value?.[0]?.dag
  return (
    <>
      <Head title="Backfills" actions={
        <button class={planning ? '' : 'first'} disabled={!first} aria-expanded={planning} onClick={() => filter({ plan: planning ? null : dag || first })}>{planning ? 'Leave the planner' : 'Plan a backfill'}</button>
      } />
      {planning && <Planner />}
      <div class="filters">
        <label>DAG
          <select value={dag} onChange={(event) => filter({ dag: event.currentTarget.value })}>
            <option value="">All</option>
            {dags.data.value?.map((each) => <option key={each.dag} value={each.dag}>{each.dag}</option>)}
          </select>
        </label>
      </div>
      <Shown of={found}>
        {(all) => (
          <>
            <Table
              label="Backfills" rows={all} id={(one) => one.backfill_id}
              empty={<Empty title="No backfill">A backfill runs a DAG for intervals of the past. Plan one here: it says what it would do before anything starts. In the terminal, <code>bide backfill plan {dag || 'DAG'} --from 2026-01-01 --to 2026-02-01</code>.</Empty>}
              columns={[
                { name: 'Backfill', cell: (one) => <Link to={`/backfills/${part(one.backfill_id)}`}>{one.backfill_id}</Link> },
                { name: 'DAG', cell: (one) => <Link to={`/dags/${part(one.dag)}`}>{one.dag}</Link> },
                { name: 'State', cell: (one) => <State of={one.state} /> },
                { name: 'Intervals', cell: (one) => <Progress done={one.done} of={one.intervals} counts={one.counts} /> },
                { name: 'Failed', cell: (one) => one.counts.failed ? <State of="failed" count={one.counts.failed} /> : null, wide: true },
                { name: 'Started', cell: (one) => <Ago at={one.created_at} />, wide: true },
                { name: 'Ended', cell: (one) => <Ago at={one.ended_at} />, wide: true },
                { name: 'Why', cell: (one) => <span class="dim">{one.reason}</span>, wide: true },
              ]}
            />
            {found.more.value && <button onClick={found.next}>Older backfills</button>}
          </>
        )}
      </Shown>
    </>
  )
}

function Progress({ done, of, counts }: { done: number; of: number; counts: Record<string, number> }) {
  return (
    <span class="backfill-progress">
      <span>{done.toLocaleString('en')} of {several(of, 'interval')}</span>
      <span class="bar" aria-hidden="true">{['success', 'skipped', 'failed', 'cancelled', 'running'].map((name) => <i key={name} class={looks(name).family} style={{ width: `${of ? (100 * (counts[name] ?? 0)) / of : 0}%` }} />)}</span>
    </span>
  )
}
