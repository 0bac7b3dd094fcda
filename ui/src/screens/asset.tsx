/** `/assets/*asset`: which version counts for each interval, where it comes from and where it went, and whether it may be used. */
import './asset.css'
import { useGet, usePages } from '../api/query'
import type { components } from '../api/schema'
import { Choice, Empty, Fact, Head, Link, Panel, Shown, State, Wrong } from '../parts/basics'
import { Act } from '../parts/action'
import { Strip } from '../parts/strip'
import { filter, part, query } from '../lib/router'
import { interval } from '../lib/intervals'
import { state } from '../lib/states'
import { invalidating } from './asset_acts'
import { Blast } from './asset_blast'
import { Checklist, Contracts, Decisions } from './asset_contracts'
import { Lineage } from './asset_lineage'
import { MayUse } from './asset_use'
import { MEANS, MOVES } from './asset_words'
import { Because, Limits, Version } from './asset_version'

type Part = components['schemas']['PartLine']

export default function Asset({ asset }: { asset: string }) {
  const mine = (event: { kind: string; asset: string | null }) => MOVES(event as never) && (event.asset === asset || event.kind === 'invalidation')
  const shown = useGet('/api/v1/assets/{asset}', { names: { asset }, query: { limit: 1 }, on: mine })
  const graph = useGet('/api/v1/asset-graph', { on: (event) => event.kind === 'contract' || event.kind === 'dag' })
  const parts = usePages('/api/v1/asset-intervals', { query: { asset, limit: 60 }, on: mine })
  const node = graph.data.value?.assets.find((each) => each.asset === asset)
  if (shown.error.value?.status === 404) return <><Head title={asset} trail={[['Assets', '/assets']]} /><Wrong problem={shown.error.value} /></>
  const tab = query.value.get('tab') ?? ''
  const all = parts.data.value ?? []
  const wanted = query.value.get('version')
  const chosen = all.find((each) => each.version === wanted || each.newest === wanted) ?? (wanted ? undefined : all[0])
  const version = wanted ?? chosen?.version
  return (
    <>
      <Head title={asset} trail={[['Assets', '/assets']]} actions={<Act doing={() => invalidating(asset, chosen?.interval)}>Invalidate</Act>}>
        {all[0] && <Fact name={`newest, ${interval(all[0].interval)}`}><State of={all[0].state} /></Fact>}
        {shown.data.value && <>
          <Fact name="is">{shown.data.value.node.replaceAll('_', ' ')}</Fact>
          <Fact name="owner">{shown.data.value.owner || 'nobody'}</Fact>
          <Fact name="criticality">{shown.data.value.criticality}</Fact>
          {shown.data.value.grain && <Fact name="a version a">{shown.data.value.grain}</Fact>}
          {node && <Fact name="written as">{node.output.replaceAll('_', ' ')}</Fact>}
          <Fact name="made by">{shown.data.value.producers.length ? shown.data.value.producers.map((each) => <Producer key={each} of={each} />) : 'no task that is loaded'}</Fact>
          {shown.data.value.consumers.length > 0 && <Fact name="sets going">{shown.data.value.consumers.map((each) => <span key={each}><Link to={`/dags/${part(each)}`}>{each}</Link> </span>)}</Fact>}
        </>}
      </Head>
      {shown.data.value?.doc && <p class="asset-doc">{shown.data.value.doc}</p>}
      {all[0] && <Trouble part={all[0]} />}
      <Panel title="Intervals" side={<span class="dim">the version that counts for each</span>}>
        <Shown of={parts}>
          {(rows) => rows.length === 0
            ? <Empty title="No version yet">A success of {node?.made_by[0] ? <code>{node.made_by[0]}</code> : <>the task that has it as an outlet</>} makes the first.</Empty>
            : <>
              <Strip parts={rows} chosen={chosen?.place ?? ''} label={`Intervals of ${asset}`} onChoose={(one: { version: string }) => filter({ version: one.version, invalidation: '' })} />
              {parts.more.value && <button class="small" onClick={parts.next}>Older intervals</button>}
            </>}
        </Shown>
      </Panel>
      {version && <Version asset={asset} version={version} part={chosen} />}
      <MayUse asset={asset} interval={chosen?.interval} purposes={graph.data.value?.edges.filter((each) => each.upstream === asset).map((each) => each.downstream) ?? []} />
      <div class="tabs"><Choice label="About it" value={tab} options={TABS} onChange={(one) => filter({ tab: one, invalidation: '' }, 'push')} /></div>
      {tab === '' && version && <Lineage version={version} />}
      {tab === 'blast' && <Blast asset={asset} version={version} invalidation={query.value.get('invalidation') ?? ''} />}
      {tab === 'contracts' && <Contracts asset={asset} />}
      {tab === 'decisions' && <Decisions asset={asset} />}
      {tab === 'checklist' && <Checklist asset={asset} />}
    </>
  )
}

const TABS: [string, string][] = [['', 'Lineage'], ['blast', 'Blast radius'], ['contracts', 'Contracts'], ['decisions', 'Decisions'], ['checklist', 'Checklist']]

function Producer({ of }: { of: string }) {
  const dag = of.slice(0, of.lastIndexOf('.'))
  return <span><Link to={`/dags/${part(dag)}`}>{of}</Link> </span>
}

/** What is not healthy says so before anything else. */
function Trouble({ part: of }: { part: Part }) {
  if (of.state === 'published') return null
  const it = state(of.state)
  return (
    <div class={`trouble ${it.family}`} role="status">
      <State of={of.state} /> <strong>{interval(of.interval)}</strong>
      <p>{MEANS[of.state]}{!of.limits && <> <Because text={of.reason} /></>}</p>
      {of.limits && <Limits of={of.limits} />}
    </div>
  )
}

