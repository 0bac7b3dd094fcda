/** `/assets`: what there is, how it stands and how fresh it is; as a list or as a graph. What is not healthy comes first. */
import './asset.css'
import { useGet, usePages } from '../api/query'
import type { components } from '../api/schema'
import type { Event } from '../api/feed'
import { Ago, Choice, Empty, Head, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import { Ribbon } from '../parts/strip'
import { filter, query } from '../lib/router'
import { interval } from '../lib/intervals'
import { state } from '../lib/states'
import { WholeGraph } from './asset_graph'
import { assetPath, MOVES, ORDER, worstOf } from './asset_words'

type Standing = components['schemas']['StandingLine']

const worst = (of: Standing) => ORDER.indexOf(worstOf(of))

export default function Assets() {
  const text = (query.value.get('q') ?? '').toLowerCase()
  const only = query.value.get('state') ?? ''
  const view = query.value.get('view') ?? ''
  const assets = usePages('/api/v1/asset-standings', { query: { limit: 500 }, on: MOVES, every: 60_000 })
  return (
    <>
      <Head title="Assets">
        <span class="dim">What tasks make and others use: which version counts for an interval, and whether it may be trusted.</span>
      </Head>
      <div class="filters">
        {view !== 'graph' && <label>Name, owner <input type="search" value={query.value.get('q') ?? ''} onInput={(event) => filter({ q: event.currentTarget.value })} /></label>}
        <Choice label="View" value={view} options={[['', 'List'], ['graph', 'Graph']]} onChange={(chosen) => filter({ view: chosen })} />
      </div>
      {view === 'graph' ? <WholeGraph /> : <Shown of={assets}>
        {(all) => {
          const named = all.filter((each) => !text || `${each.asset} ${each.owner} ${each.node}`.toLowerCase().includes(text))
          const rows = named
            .filter((each) => !only || (only === 'trouble' ? worst(each) < ORDER.indexOf('staged') : each.state === only))
            .sort((one, other) => worst(one) - worst(other) || one.asset.localeCompare(other.asset))
          return (
            <>
              <Sums of={named} only={only} />
              <List rows={rows} any={all.length > 0} />
              {assets.more.value && <button onClick={assets.next}>More assets</button>}
            </>
          )
        }}
      </Shown>}
      <Invalidations />
    </>
  )
}

/** How many stand how, each a filter. */
function Sums({ of, only }: { of: Standing[]; only: string }) {
  if (of.length === 0) return null
  const counts = new Map<string, number>()
  for (const each of of) counts.set(each.state, (counts.get(each.state) ?? 0) + 1)
  const trouble = of.filter((each) => worst(each) < ORDER.indexOf('staged')).length
  return (
    <div class="sums" role="group" aria-label="State of the newest interval">
      <button aria-pressed={only === ''} onClick={() => filter({ state: '' })}>&nbsp;All {of.length}&nbsp;</button>
      {trouble > 0 && <button aria-pressed={only === 'trouble'} onClick={() => filter({ state: only === 'trouble' ? '' : 'trouble' })}>&nbsp;Something wrong in the last intervals {trouble}&nbsp;</button>}
      {ORDER.filter((name) => counts.has(name)).map((name) => (
        <button key={name} aria-pressed={only === name} onClick={() => filter({ state: only === name ? '' : name })}><State of={name} count={counts.get(name) ?? 0} /></button>
      ))}
    </div>
  )
}

function List({ rows, any }: { rows: Standing[]; any: boolean }) {
  return (
    <Table
      label="Assets" rows={rows} id={(each) => each.asset}
      empty={any ? <Empty title="No asset matches">The filters leave none.</Empty>
        : <Empty title="No asset is known yet">A task makes one: <code>@task(outlets=[Asset("orders")])</code>. Each of its successes makes a version.</Empty>}
      columns={[
        { name: 'Asset', cell: (each) => <><Link to={assetPath(each.asset)}>{each.asset}</Link> <span class="kind">{each.node.replaceAll('_', ' ')}</span>{each.interval && <small class="narrow">{interval(each.interval)}</small>}</> },
        { name: 'Newest', cell: (each) => <><State of={each.state} />{each.parts[0]?.limits && <small class="known">{each.parts[0].limits.known_limitations.join('; ')}</small>}</> },
        { name: 'Interval', cell: (each) => each.interval ? <span class="nowrap">{interval(each.interval)}</span> : <span class="dim">-</span>, wide: true },
        { name: 'Last intervals', cell: (each) => <Ribbon parts={each.parts} />, wide: true },
        { name: 'Fresh', cell: (each) => <Fresh of={each} />, wide: true },
        { name: 'Owner', cell: (each) => each.owner || <span class="dim">-</span>, wide: true },
        { name: 'Critical', cell: (each) => each.criticality, wide: true },
      ]}
    />
  )
}

/** When it was made, and whether the next one is late. */
export function Fresh({ of }: { of: Standing }) {
  if (of.late) return <span class="state warned" title={of.promise}><svg viewBox="0 0 16 16" aria-hidden="true"><path d={state('stale').sign} /></svg>late{of.due_at && <>, due <Ago at={of.due_at} /></>}</span>
  return <>{of.created_at ? <>made <Ago at={of.created_at} /></> : <span class="dim">-</span>}{of.due_at && <span class="dim" title={of.promise}>; next due <Instant at={of.due_at} seconds={false} /></span>}</>
}

const SAID = (event: Event) => event.kind === 'invalidation'

/** What was said to be wrong, the newest first. */
function Invalidations() {
  const found = useGet('/api/v1/invalidations', { query: { limit: 20 }, on: SAID })
  if (found.data.value?.length === 0) return null
  return (
    <Panel title="Invalidations">
      <Shown of={found}>
        {(rows) => (
          <Table
            label="Invalidations" rows={rows} id={(each) => each.invalidation_id}
            columns={[
              { name: 'Invalidation', cell: (each) => <Link to={`${assetPath(each.asset)}?tab=blast&invalidation=${each.invalidation_id}`}>{each.invalidation_id}</Link> },
              { name: 'Asset', cell: (each) => each.asset },
              { name: 'Interval', cell: (each) => interval(each.interval) },
              { name: 'Cause', cell: (each) => each.cause.replaceAll('_', ' ') },
              { name: 'Severity', cell: (each) => each.severity, wide: true },
              { name: 'Hit', cell: (each) => `${each.versions}${each.state === 'spreading' ? ', and it spreads' : ''}`, right: true },
              { name: 'Said', cell: (each) => <><Ago at={each.discovered_at} />{each.by && ` by ${each.by}`}</>, wide: true },
              { name: 'Why', cell: (each) => <span class="said dim">{each.reason}</span>, wide: true },
            ]}
          />
        )}
      </Shown>
    </Panel>
  )
}

