/** `/pools`: what there is little of - slots, pools, budgets - how much of each is taken, by whom, and who is next. */
import { useEffect, useState } from 'preact/hooks'
import type { Answer } from '../api/client'
import { useGet, usePage } from '../api/query'
import { taskPath } from '../lib/conditions'
import { chosen, cells, isCap, named, taken } from '../lib/pools'
import { part, query } from '../lib/router'
import { Copy, word } from '../parts/action'
import { Ago, Empty, Fact, Head, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import './pools.css'

type Pool = Answer<'/api/v1/pools'>[number]
type One = Answer<'/api/v1/pools/{pool}'>
type Holder = One['holders'][number]
type Waiter = One['waiters'][number]

const MOVES = new Set(['task', 'attempt', 'run', 'dag', 'backfill'])
const moved = (event: { kind: string }) => MOVES.has(event.kind)
const PAGE = 100
const MOST = 1000

export default function Pools() {
  const found = useGet('/api/v1/pools', { on: moved, every: 10_000 })
  return (
    <Shown of={found}>
      {(pools) => {
        const one = chosen(pools, query.value.get('pool'))
        const [runs, tasks] = [pools.filter((each) => each.kind === 'runs'), pools.filter((each) => each.kind !== 'runs')]
        return (
          <>
            <Head title="Pools">
              <Wait of={tasks} one="task" /> <Wait of={runs} one="run" />
              {!pools.some((each) => each.waiting) && <span class="dim">Nobody waits for a place.</span>}
            </Head>
            <nav aria-label="Pools" class="pools">{pools.map((each) => <Card key={each.key} of={each} here={each.key === one?.key} />)}</nav>
            {one && <Chosen key={one.key} pool={one} />}
            {pools.every((each) => each.kind === 'slots' || isCap(each)) && <First />}
          </>
        )
      }}
    </Shown>
  )
}

function Wait({ of, one }: { of: readonly Pool[]; one: string }) {
  const count = of.reduce((sum, each) => sum + each.waiting, 0)
  if (count === 0) return null
  return <span class="state held"><b>{count.toLocaleString()}{of.some((each) => each.more_wait) && '+'}</b> {count === 1 ? `${one} waits` : `${one}s wait`} for a place</span>
}

function First() {
  return (
    <section class="panel">
      <Empty title="There are no pools yet">
        A pool bounds how many tasks use one thing at once, whatever DAG they are of. In <code>pyproject.toml</code>, under <code>[tool.bide.pools]</code> (or <code>[pools]</code> in <code>bide.toml</code>), <code>warehouse = 4</code> makes one; <code>@task(pool="warehouse")</code> is then one of its users. Under <code>[tool.bide.budgets]</code> stand units an hour, for tasks with a <code>cost</code>.
      </Empty>
    </section>
  )
}

function Card({ of: it, here }: { of: Pool; here: boolean }) {
  const { used, all, full } = taken(it)
  return (
    <Link to={`/pools?pool=${part(it.key)}`} class={`tile pool${full && it.waiting ? ' full' : ''}`} aria-current={here ? 'page' : undefined}>
      <span class="name"><b>{it.kind === 'slots' ? 'Slots' : it.pool}</b> <span class="dim">{named(it)}</span></span>
      <span class="figures"><strong>{used.toLocaleString()}</strong><span class="dim"> of {all.toLocaleString()}</span><span class="unseen"> {it.kind === 'budget' ? 'spent' : 'taken'},</span></span>
      <Bar of={it} />
      <span class={it.waiting ? 'waits' : 'dim'}>{it.waiting ? `${it.waiting.toLocaleString()}${it.more_wait ? '+' : ''} ${it.waiting === 1 && !it.more_wait ? 'waits' : 'wait'}` : 'nobody waits'}</span>
    </Link>
  )
}

/** A cell for each slot where they are few, else one bar; what backfills have of it is hatched. The figures say the same in words. */
function Bar({ of: it }: { of: Pool }) {
  const { used, all } = taken(it)
  const few = cells(it)
  if (few) return <span class="cells" aria-hidden="true">{few.map((what, at) => <i key={at} class={what} />)}</span>
  const share = (of: number) => `${Math.min(100, (100 * of) / Math.max(all, 1e-9))}%`
  return <span class="bar" aria-hidden="true"><i class="taken" style={{ width: share(used - it.by_backfills) }} /><i class="backfill" style={{ width: share(it.by_backfills) }} /></span>
}

function Chosen({ pool }: { pool: Pick<Pool, 'key' | 'pool' | 'kind'> }) {
  const [limit, more] = useState(PAGE)
  const [at, go] = useState<string | null>(null)
  const found = usePage('/api/v1/pools/{pool}', { names: { pool: pool.key }, query: { limit }, at, on: moved, every: 10_000 })
  const page = found.data.value
  const full = page?.items.waiters.at(limit - 1)?.queue === 'live'  // of backfills nothing is seen yet
  const behind = useGet('/api/v1/pools/{pool}', { names: { pool: pool.key }, query: { limit: PAGE, queue: 'backfill' }, on: moved, every: 10_000, idle: !full || at !== null })
  useEffect(() => {
    if (query.peek().has('pool') && matchMedia('(max-width: 760px)').matches) document.getElementById('pool')?.scrollIntoView()
  }, [])
  const command = `bide pools ${word(pool.key)}`
  return (
    <Panel title={pool.kind === 'slots' ? 'Slots of all tasks' : <>{pool.pool} <span class="dim">{named(pool)}</span></>} id="pool" side={<><code>{command}</code><Copy text={command} /></>}>
      <Shown of={found}>
        {({ items: one, next }) => (
          <>
            <Facts of={one} />
            <div class="columns">
              {one.kind !== 'budget' && <Holders of={one} />}
              <div>
                <Waiters of={full && !at ? { ...one, waiters: [...one.waiters, ...(behind.data.value?.waiters ?? [])] } : one} />
                {(next || at) && (
                  <div class="queue-pages">
                    <span class="dim">{one.waiters.length.toLocaleString()} of {one.waiting.toLocaleString()}{one.more_wait && ' and more'} who wait{at && ', further back'}</span>
                    {next && !at && limit < MOST && <button onClick={() => more(Math.min(MOST, limit * 10))}>More who wait</button>}
                    {next && (at || limit === MOST) && <button onClick={() => go(next)}>Those behind them</button>}
                    {at && <button onClick={() => go(null)}>From the first</button>}
                  </div>
                )}
              </div>
            </div>
          </>
        )}
      </Shown>
    </Panel>
  )
}

function Facts({ of: it }: { of: One }) {
  const { used, all } = taken(it)
  return (
    <div class="facts">
      <Fact name={it.kind === 'budget' ? 'Spent' : 'Taken'}><b>{used.toLocaleString()}</b> of {all.toLocaleString()}</Fact>
      {it.by_backfills > 0 && <Fact name="By backfills">{it.by_backfills.toLocaleString()}</Fact>}
      {it.backfill_share !== null && (it.by_backfills > 0 || it.waiters.some((each) => each.queue === 'backfill')) && <Fact name="Backfills are sure of">{Math.round(it.backfill_share * 100)} %</Fact>}
      {it.backfill_units !== null && <Fact name="Backfills may spend">{it.backfill_units.toLocaleString()}</Fact>}
      {it.resets_at && <Fact name="Whole again"><Ago at={it.resets_at} /> <span class="dim">(<Instant at={it.resets_at} />)</span></Fact>}
    </div>
  )
}

function Whose({ of: it }: { of: Holder | Waiter }) {
  return (
    <span class="whose">
      <Link to={it.task ? taskPath(it.run_id, it.task) : `/runs/${part(it.run_id)}`}>{it.task || `run ${it.run_id}`}</Link>
      <span class="dim"><Link to={`/dags/${part(it.dag)}`}>{it.dag}</Link>{it.task && <> <Link to={`/runs/${part(it.run_id)}`}>run {it.run_id}</Link></>}{it.backfill && <>, <Link to={`/backfills/${part(it.backfill)}`}>backfill {it.backfill}</Link></>}</span>
    </span>
  )
}

function Holders({ of: it }: { of: One }) {
  const several = it.holders.some((each) => each.slots !== 1)
  return (
    <div>
      <h3>{it.kind === 'in_flight' ? 'In flight' : 'Holds it'}</h3>
      <Table
        label="Who holds it" rows={it.holders} id={(each) => `${each.run_id}/${each.task}`}
        empty={<p class="dim">Nobody: who wants a place has it at once.</p>}
        columns={[
          { name: it.kind === 'runs' ? 'Run' : 'Task', cell: (each) => <Whose of={each} /> },
          { name: 'State', cell: (each) => <><State of={each.state} />{each.stopping && <div class="dim">stopping: {each.stopping}</div>}</>, wide: it.kind !== 'in_flight' },
          ...(several ? [{ name: 'Slots', cell: (each: Holder) => each.slots, right: true }] : []),
          { name: 'Since', cell: (each) => <Ago at={each.since} /> },
        ]}
      />
      {it.holders.length === 1000 && <p class="dim">The thousand that have held it longest.</p>}
    </div>
  )
}

function Waiters({ of: it }: { of: One }) {
  const live = it.waiters.filter((each) => each.queue === 'live')
  const late = it.waiters.filter((each) => each.queue === 'backfill')
  if (it.waiters.length === 0) return <><h3>Next</h3><p class="dim">Nobody waits{it.kind === 'budget' ? ' for the next window' : ''}.</p></>
  return (
    <>
      {live.length > 0 && <><h3>Next{late.length > 0 && ', of live runs'}</h3><Queue label="Who waits" rows={live} budget={it.kind === 'budget'} /></>}
      {late.length > 0 && <><h3>Next, of backfills</h3><Queue label="Who waits, of backfills" rows={late} budget={it.kind === 'budget'} /></>}
    </>
  )
}

function Queue({ label, rows, budget }: { label: string; rows: readonly Waiter[]; budget: boolean }) {
  const several = budget || rows.some((each) => each.wants !== 1)
  const runs = rows.every((each) => !each.task)
  return (
    <Table
      label={label} rows={rows} id={(each) => each.key}
      columns={[
        { name: 'Place', cell: (each) => <b class="place">{each.place}</b> },
        { name: runs ? 'Run' : 'Task', cell: (each) => <Whose of={each} /> },
        ...(runs ? [] : [{ name: 'Priority', cell: (each: Waiter) => (each.resumed ? <span title="It has waited for the world, and goes on before any priority">resumed</span> : each.priority), right: true }]),
        ...(several ? [{ name: budget ? 'Costs' : 'Wants', cell: (each: Waiter) => each.wants.toLocaleString(), right: true }] : []),
        { name: 'Since', cell: (each) => <Ago at={each.since} /> },
      ]}
    />
  )
}
