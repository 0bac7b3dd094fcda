/** Where the nodes of a graph stand, layer by layer from left to right. Only the worker loads it: it is large, and takes its time. */
import { coordGreedy, decrossTwoLayer, graph, layeringLongestPath, sugiyama, twolayerGreedy, type MutGraphNode } from 'd3-dag'
import { HEIGHT, WIDTH, type Layout, type Structure } from './graph_layout'

const GAP: [number, number] = [14, 64]

export function arrange(structure: Structure): Layout {
  const { ids, edges } = structure
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
  return { ids, ...ordered(structure, at, lines), width: height, height: width }
}

/** Nodes of one layer that have the same neighbours stand in the order in which they were given: `part0` above `part9`. */
function ordered({ ids, edges }: Structure, at: [number, number][], lines: [number, number][][]) {
  const beside: string[][] = ids.map(() => [])
  const line = new Map<string, [number, number][]>()
  edges.forEach(([from, to], i) => {
    beside[from]!.push(`>${to}`)
    beside[to]!.push(`<${from}`)
    line.set(`${from}>${to}`, lines[i]!)
  })
  const alike = new Map<string, number[]>()
  ids.forEach((_, i) => {
    const key = `${Math.round(at[i]![0])} ${beside[i]!.sort().join(' ')}`
    const there = alike.get(key)
    if (there) there.push(i)
    else alike.set(key, [i])
  })
  const place = ids.map((_, i) => i) // whose place each takes
  for (const group of alike.values()) [...group].sort((a, b) => at[a]![1] - at[b]![1]).forEach((from, n) => (place[group[n]!] = from))
  const found = edges.map(([from, to], i) => {
    // two ends that both move are of two such groups: then the line between their new places is drawn straight
    const [a, b] = [place[from]!, place[to]!]
    return line.get(`${a}>${b}`) ?? (a === from && b === to ? lines[i]! : [at[a]!, at[b]!])
  })
  return { at: place.map((from) => at[from]!), lines: found }
}
