/** The asset graph: every asset with the worst of its last intervals, and what it means that one depends on another. */
import { useMemo } from 'preact/hooks'
import { useGet } from '../api/query'
import type { components } from '../api/schema'
import { Graph } from '../parts/graph'
import { Empty, Link, Panel, Shown, Table } from '../parts/basics'
import { assetPath, KINDS, MOVES, worstOf } from './asset_words'

type Shape = components['schemas']['GraphShown']
type Standing = components['schemas']['StandingLine']

/** All of it, or with a radius: what stands out, and the states that are meant for it. */
export function AssetGraph({ marked, states, chosen, label = 'Asset graph' }: { marked?: ReadonlySet<string>; states?: ReadonlyMap<string, string>; chosen?: string; label?: string }) {
  const graph = useGet('/api/v1/asset-graph', { on: (event) => event.kind === 'contract' || event.kind === 'dag' })
  const standings = useGet('/api/v1/asset-standings', { query: { limit: 1000 }, on: MOVES, every: 60_000 })
  return <Shown of={graph}>{(shape) => <Drawn {...{ shape, marked, states, chosen, label }} standings={standings.data.value ?? []} />}</Shown>
}

function Drawn({ shape, standings, marked, states, chosen, label }: { shape: Shape; standings: Standing[]; marked: ReadonlySet<string> | undefined; states: ReadonlyMap<string, string> | undefined; chosen: string | undefined; label: string }) {
  const known = new Map(standings.map((each) => [each.asset, worstOf(each)]))
  const nodes = useMemo(() => shape.assets.map((each) => ({
    id: each.asset, label: each.asset, kind: each.node.replaceAll('_', ' '), to: assetPath(each.asset),
    state: states?.get(each.asset) ?? known.get(each.asset) ?? 'unknown',
  })), [shape, standings, states])
  const edges = useMemo(() => shape.edges.map((each) => [each.upstream, each.downstream, each.kind] as const), [shape])
  const id = useMemo(() => `assets ${nodes.map((each) => each.id).join(' ')} ${edges.join(' ')}`, [nodes.length, edges])
  if (nodes.length === 0) return <Empty title="No asset is known yet">A task makes one: <code>@task(outlets=[Asset("orders")])</code>.</Empty>
  return <Graph id={id} nodes={nodes} edges={edges} label={label} {...(chosen ? { chosen } : {})} {...(marked ? { marked } : {})} />
}

/** The graph as a screen of its own: drawn, and its edges in words. */
export function WholeGraph() {
  const graph = useGet('/api/v1/asset-graph', { on: (event) => event.kind === 'contract' || event.kind === 'dag' })
  return (
    <>
      <Panel title="Graph" side={<span class="dim">each asset shows the worst of its last intervals</span>}>
        <AssetGraph />
        {graph.data.value && <Legend shape={graph.data.value} />}
        {graph.data.value?.cycles.filter((each) => !each.ordered).map((each) => <p key={each.sentence} class="wrong">A cycle of versions: {each.sentence}</p>)}
      </Panel>
      <Panel title="What depends on what">
        <Shown of={graph}>
          {(shape) => (
            <Table
              label="Edges" rows={shape.edges} id={(each) => `${each.upstream} ${each.downstream}`}
              empty={<Empty title="No edge yet">A task that names <code>inlets</code> beside <code>outlets</code> makes one, and so does <code>Contract(...)</code>.</Empty>}
              columns={[
                { name: 'Asset', cell: (each) => <Link to={assetPath(each.downstream)}>{each.downstream}</Link> },
                { name: 'depends on', cell: (each) => <Link to={assetPath(each.upstream)}>{each.upstream}</Link> },
                { name: 'Kind', cell: (each) => <span class={each.contract ? 'kind contract' : 'kind'} title={KINDS[each.kind]}>{each.kind.replaceAll('_', ' ')}</span> },
                { name: 'Version', cell: (each) => each.version, wide: true },
                { name: 'Interval', cell: (each) => each.interval, wide: true },
                { name: 'Said by', cell: (each) => each.contract ? 'a contract' : <span class="dim">{each.via}</span>, wide: true },
              ]}
            />
          )}
        </Shown>
      </Panel>
    </>
  )
}

function Legend({ shape }: { shape: Shape }) {
  const kinds = [...new Set(shape.edges.map((each) => each.kind))].sort()
  if (kinds.length === 0) return null
  return (
    <ul class="legend" aria-label="Kinds of edges">
      {kinds.map((each) => (
        <li key={each}><svg class="graph" width="42" height="10" aria-hidden="true"><path class={`edge kind-${each}`} d="M2 5H40" /></svg> <b>{each.replaceAll('_', ' ')}</b> {KINDS[each]}</li>
      ))}
    </ul>
  )
}
