/** Where a version comes from and where it went: versions, not names. */
import { useMemo } from 'preact/hooks'
import { useGet } from '../api/query'
import type { components } from '../api/schema'
import { Graph } from '../parts/graph'
import { Choice, Fact, Instant, Link, Name, Panel, Shown, State, Table } from '../parts/basics'
import { filter, go, part, query } from '../lib/router'
import { brief, interval } from '../lib/intervals'
import { MOVES, versionPath } from './asset_words'

type Shape = components['schemas']['LineageShown']

const DEPTHS: [string, string][] = [['1', '1 step'], ['3', '3 steps'], ['10', '10 steps']]

export function Lineage({ version }: { version: string }) {
  const depth = query.value.get('depth') ?? '3'
  const found = useGet('/api/v1/lineage/{version}', { names: { version }, query: { depth: Number(depth) }, on: MOVES })
  return (
    <Panel title={`Lineage of version ${version}`} side={<Choice label="How far" value={depth} options={DEPTHS} onChange={(chosen) => filter({ depth: chosen === '3' ? '' : chosen })} />}>
      <Shown of={found}>{(shape) => <Drawn shape={shape} />}</Shown>
    </Panel>
  )
}

function Drawn({ shape }: { shape: Shape }) {
  const all = useMemo(() => [shape.version, ...shape.versions.filter((each) => each.version !== shape.version.version)], [shape])
  const nodes = all.map((each) => ({ id: each.version, label: `${each.asset} ${each.version}`, state: each.state, kind: brief(each.interval), to: versionPath(each.asset, each.version) }))
  const edges = useMemo(() => {
    const once = new Map([...shape.up, ...shape.down].map((each) => [`${each.input} ${each.version}`, [each.input, each.version, each.kind] as const]))
    return [...once.values()]
  }, [shape])
  const from = new Map(edges.filter(([, to]) => to === shape.version.version).map(([input, , kind]) => [input, kind]))
  const into = new Map(edges.filter(([input]) => input === shape.version.version).map(([, to, kind]) => [to, kind]))
  const side = (each: { version: string }) => each.version === shape.version.version ? 'this version' : from.has(each.version) ? `made of it: ${from.get(each.version)?.replaceAll('_', ' ')}` : into.has(each.version) ? `made from this: ${into.get(each.version)?.replaceAll('_', ' ')}` : shape.up.some((edge) => edge.input === each.version) ? 'further up' : 'further down'
  const name = (id: string) => all.find((each) => each.version === id)
  return (
    <>
      {edges.length > 0 && <Graph id={`lineage ${nodes.map((each) => each.id).join(' ')} ${edges.join(' ')}`} nodes={nodes} edges={edges} label="Lineage" chosen={shape.version.version} onChoose={(id) => { const to = name(id); if (to) go(versionPath(to.asset, id)) }} />}
      <Table
        label="Versions of the lineage" rows={all} id={(each) => each.version} chosen={(each) => each.version === shape.version.version}
        columns={[
          { name: 'Asset', cell: (each) => <><Link to={versionPath(each.asset, each.version)}><Name of={each.asset} /> {each.version}</Link><small class="narrow">{interval(each.interval)}</small></> },
          { name: 'State', cell: (each) => <State of={each.state} /> },
          { name: 'Interval', cell: (each) => <span class="nowrap">{interval(each.interval)}</span>, wide: true },
          { name: 'Where', cell: side },
          { name: 'Made by', cell: (each) => each.run_id ? <Link to={`/runs/${part(each.run_id)}`}>{each.dag}, run {each.run_id}</Link> : <span class="dim">-</span>, wide: true },
          { name: 'Code', cell: (each) => <code>{each.code?.slice(0, 10)}</code>, wide: true },
          { name: 'Left the house', cell: (each) => each.delivery ? <>{each.delivery} to {each.target} <Instant at={each.delivered_at} /></> : <span class="dim">-</span>, wide: true },
        ]}
      />
      <div class="facts">
        {shape.runs.length > 0 && <Fact name="runs made of it">{shape.runs.map((run) => <span key={run}><Link to={`/runs/${part(run.slice(run.lastIndexOf(' ') + 1))}`}>{run}</Link> </span>)}</Fact>}
        {shape.told.length > 0 && <Fact name="told that it is affected">{shape.told.join(', ')}</Fact>}
      </div>
    </>
  )
}
