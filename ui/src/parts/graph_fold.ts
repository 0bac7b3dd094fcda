/** What of a graph is shown: groups as one node each while they are closed, or only what is near one node. */

/** More visible nodes than these: groups start closed. */
export const CROWD = 300
/** More visible nodes than these: only the neighbourhood of one is shown. */
export const MANY = 1000

export interface Whole {
  nodes: readonly { id: string; group?: string }[]
  edges: readonly (readonly [string, string, string?])[]
}

export interface Part {
  /** Nodes and closed groups, in the order of the nodes. `members`: of a group, by their places in the whole. */
  shown: { id: string; at: number; members?: number[] }[]
  /** Edges between what is shown, each pair once; `kind` of the first. */
  edges: { from: number; to: number; kind: string; count: number }[]
}

/** The id of a closed group among the nodes: no task has a name with this sign in it. */
export const groupId = (name: string) => `\u0001${name}`

export function groups(whole: Whole): Map<string, number> {
  const found = new Map<string, number>()
  for (const node of whole.nodes) if (node.group) found.set(node.group, (found.get(node.group) ?? 0) + 1)
  for (const [name, count] of found) if (count < 2) found.delete(name)
  return found
}

export function fold(whole: Whole, closed: ReadonlySet<string>): Part {
  const known = groups(whole)
  const shown: Part['shown'] = []
  const place = new Map<string, number>()
  const boxes = new Map<string, number>()
  whole.nodes.forEach((node, at) => {
    const group = node.group && known.has(node.group) && closed.has(node.group) ? node.group : ''
    const box = group ? boxes.get(group) : undefined
    if (box !== undefined) {
      shown[box]!.members!.push(at)
      place.set(node.id, box)
      return
    }
    if (group) boxes.set(group, shown.length)
    place.set(node.id, shown.length)
    shown.push(group ? { id: groupId(group), at, members: [at] } : { id: node.id, at })
  })
  const edges = new Map<string, Part['edges'][number]>()
  for (const [a, b, kind = ''] of whole.edges) {
    const from = place.get(a)
    const to = place.get(b)
    if (from === undefined || to === undefined || from === to) continue
    const key = `${from}>${to}`
    const there = edges.get(key)
    if (there) there.count++
    else edges.set(key, { from, to, kind, count: 1 })
  }
  return { shown, edges: [...edges.values()] }
}

/** What is at most so many edges from `centre`, in either direction; no more nodes than `most`. */
export function nearby(part: Part, centre: number, steps: number, most = CROWD): Part {
  const beside = new Map<number, number[]>()
  const add = (a: number, b: number) => {
    const there = beside.get(a)
    if (there) there.push(b)
    else beside.set(a, [b])
  }
  for (const { from, to } of part.edges) {
    add(from, to)
    add(to, from)
  }
  const found = new Set([centre])
  let edge = [centre]
  for (let step = 0; step < steps && found.size < most; step++) {
    const next: number[] = []
    for (const at of edge)
      for (const each of beside.get(at) ?? [])
        if (!found.has(each) && found.size < most) {
          found.add(each)
          next.push(each)
        }
    edge = next
  }
  const kept = part.shown.map((_, i) => i).filter((i) => found.has(i))
  const place = new Map(kept.map((i, to) => [i, to]))
  return {
    shown: kept.map((i) => part.shown[i]!),
    edges: part.edges.filter(({ from, to }) => found.has(from) && found.has(to)).map((edge) => ({ ...edge, from: place.get(edge.from)!, to: place.get(edge.to)! })),
  }
}

/** Where an arrow key leads from a node: along an edge, or to the next one in the same layer. */
export function step(key: string, from: number, at: readonly [number, number][], edges: Part['edges']): number {
  const here = at[from]
  if (!here) return from
  const sideways = key === 'ArrowLeft' || key === 'ArrowRight'
  const candidates = sideways
    ? edges.flatMap((edge) => (key === 'ArrowRight' ? (edge.from === from ? [edge.to] : []) : edge.to === from ? [edge.from] : []))
    : at.map((_, i) => i).filter((i) => i !== from && Math.abs(at[i]![0] - here[0]) < 1 && (key === 'ArrowDown' ? at[i]![1] > here[1] : at[i]![1] < here[1]))
  let best = from
  let least = Infinity
  for (const each of candidates) {
    const far = Math.abs(at[each]![1] - here[1])
    if (far < least) [best, least] = [each, far]
  }
  return best
}
