/** Where the nodes of a graph stand, layer by layer from left to right. Only the worker loads it: it is large, and takes its time. */
import { coordGreedy, decrossTwoLayer, graph, layeringLongestPath, sugiyama, twolayerGreedy, type MutGraphNode } from 'd3-dag'
import { HEIGHT, WIDTH, type Layout, type Structure } from './graph_layout'

const GAP: [number, number] = [14, 64]

export function arrange({ ids, edges }: Structure): Layout {
  if (ids.length === 0) return { ids, at: [], lines: [], width: 0, height: 0 }
  const made = graph<number, number>()
  const nodes: MutGraphNode<number, number>[] = ids.map((_, i) => made.node(i))
  edges.forEach(([from, to], i) => from !== to && nodes[from]!.child(nodes[to]!, i))
  // it lays out from top to bottom: sides are swapped going in and coming out
  const { width, height } = sugiyama()
    .layering(layeringLongestPath())
    .decross(decrossTwoLayer().order(twolayerGreedy()).passes(ids.length > 400 ? 4 : 16))
    .coord(coordGreedy())
    .nodeSize([HEIGHT, WIDTH])
    .gap(GAP)(made)
  const at: [number, number][] = ids.map(() => [0, 0])
  for (const node of made.nodes()) at[node.data] = [node.y, node.x]
  const lines: [number, number][][] = edges.map(() => [])
  for (const link of made.links()) lines[link.data] = link.points.map(([x, y]) => [y, x])
  return { ids, at, lines, width: height, height: width }
}
