/** What is affected when a version is wrong, drawn on the graph before anybody says so; and what an invalidation has hit. */
import { useMemo } from 'preact/hooks'
import { useGet } from '../api/query'
import type { components } from '../api/schema'
import { Act } from '../parts/action'
import { Empty, Link, Name, Panel, Shown, State, Table } from '../parts/basics'
import { interval, type Interval } from '../lib/intervals'
import { state } from '../lib/states'
import { invalidatingOne, reporting } from './asset_acts'
import { AssetGraph } from './asset_graph'
import { Plans } from './asset_plan'
import { MOVES, ORDER, versionPath } from './asset_words'

type Radius = components['schemas']['BlastShown']

export function Blast({ asset, version, invalidation }: { asset: string; version: string | undefined; invalidation: string }) {
  const found = useGet('/api/v1/blast', { query: invalidation ? { invalidation } : { version: version ?? '' }, on: MOVES, idle: !invalidation && !version })
  return (
    <>
      <Panel title={invalidation ? `What invalidation ${invalidation} has hit` : `If version ${version} is wrong`}
        side={found.data.value && <>
          {invalidation ? <Act small doing={reporting(invalidation, asset)}>Open an incident</Act>
            : <Act small doing={invalidatingOne(asset, version ?? '', found.data.value.interval as Interval, sentence(found.data.value, false))}>Invalidate version {version}</Act>}
        </>}>
        <Shown of={found}>{(radius) => <Drawn radius={radius} done={Boolean(invalidation)} asset={asset} />}</Shown>
      </Panel>
      {invalidation && <Plans invalidation={invalidation} />}
    </>
  )
}

const many = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`

function sentence(of: Radius, done: boolean): string {
  const left = of.exports ? `; ${many(of.exports, 'version')} of them ${done ? 'had' : 'have'} left the house, and can only be corrected` : ''
  return `${many(of.nodes.length, 'version')} of ${many(of.assets.length, 'asset')} ${done ? (of.nodes.length === 1 ? 'is' : 'are') : 'would be'} affected${left}.`
}

function Drawn({ radius, done, asset }: { radius: Radius; done: boolean; asset: string }) {
  const marked = useMemo(() => new Set(radius.assets), [radius])
  const states = useMemo(() => {
    const worst = new Map<string, string>()
    for (const each of radius.nodes) {
      const to = each.decision.to ?? each.state
      const was = worst.get(each.asset)
      if (was === undefined || ORDER.indexOf(to) < ORDER.indexOf(was)) worst.set(each.asset, to)
    }
    return worst
  }, [radius])
  if (radius.nodes.length === 0) return <Empty title="Nothing is affected">No version there is was made of it.</Empty>
  return (
    <>
      <p class="radius"><strong>{sentence(radius, done)}</strong> <span class="dim">{done ? 'Cause' : 'Asked as'}: {radius.cause.replaceAll('_', ' ')}, {radius.severity}.</span></p>
      <AssetGraph marked={marked} states={states} chosen={asset} label="Blast radius" />
      <Table
        label="Affected versions" rows={radius.nodes} id={(each) => `${each.asset} ${each.version} ${each.interval.start}`}
        columns={[
          { name: 'Asset', cell: (each) => each.version === '0' ? each.asset : <><Link to={versionPath(each.asset, each.version)}><Name of={each.asset} /> {each.version}</Link><small class="narrow">{interval(each.interval)}</small></> },
          { name: 'Interval', cell: (each) => <span class="nowrap">{interval(each.interval)}</span>, wide: true },
          { name: done ? 'Put into' : 'Would be', cell: (each) => <>{each.decision.to ? <State of={each.decision.to} /> : <span class="dim">left as it is</span>}<br /><small class="dim">{done ? 'was' : 'is now'} {state(each.state).word}</small></> },
          { name: 'What follows', cell: (each) => <>{each.decision.action.replaceAll('_', ' ')}{each.output === 'export' || each.node === 'external_effect' ? <> <span class="kind">has left</span></> : null}</> },
          { name: 'By', cell: (each) => each.via ? <>version {each.via}, {each.kind?.replaceAll('_', ' ')}</> : 'it is wrong itself', wide: true },
          { name: 'Owner', cell: (each) => each.owner || <span class="dim">-</span>, wide: true },
          { name: 'Why', cell: (each) => <span class="said dim">{each.decision.reason}</span>, wide: true },
        ]}
      />
    </>
  )
}
