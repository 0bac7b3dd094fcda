/** The rows of the run grid: tasks under their groups, of which some are closed. */
import { URGENCY } from './states'

export interface GridTask { task: string; group: string; does: string; gone: boolean }

export interface Row {
  kind: 'group' | 'task'
  /** The whole name; of a group with those around it. */
  name: string
  /** What is shown of it: its name within its group. */
  label: string
  depth: number
  closed: boolean
  /** The places of its tasks in the grid: of a task its own. */
  of: number[]
}

/** Tasks in their order, each group where its first task stands. What a closed group holds is left out. */
export function rows(tasks: readonly GridTask[], closed: ReadonlySet<string>): Row[] {
  const root: Node = { name: '', children: [] }
  const groups = new Map<string, Node>([['', root]])
  const group = (name: string): Node => {
    const there = groups.get(name)
    if (there) return there
    const above = group(name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '')
    const made: Node = { name, children: [] }
    groups.set(name, made)
    above.children.push(made)
    return made
  }
  tasks.forEach((each, place) => group(each.group).children.push(place))
  const found: Row[] = []
  const walk = (node: Node, depth: number) => {
    for (const child of node.children) {
      if (typeof child === 'number') {
        const { task, group } = tasks[child]!
        found.push({ kind: 'task', name: task, label: within(task, group), depth, closed: false, of: [child] })
      } else {
        const shut = closed.has(child.name)
        found.push({ kind: 'group', name: child.name, label: within(child.name, node.name), depth, closed: shut, of: all(child) })
        if (!shut) walk(child, depth + 1)
      }
    }
  }
  walk(root, 0)
  return found
}

interface Node { name: string; children: (Node | number)[] }

const all = (node: Node): number[] => node.children.flatMap((child) => (typeof child === 'number' ? [child] : all(child)))
const within = (name: string, group: string) => (group && name.startsWith(`${group}.`) ? name.slice(group.length + 1) : name)

const RANK = new Map(URGENCY.map((word, n) => [word, n]))

/** Of several states the one that a person wants to hear of first; -1 where there is none. */
export function worst(states: readonly number[], words: readonly string[]): number {
  let found = -1
  let rank = Infinity
  for (const state of states) {
    if (state < 0) continue
    const its = RANK.get(words[state]!) ?? URGENCY.length - 1.5
    if (its < rank) [found, rank] = [state, its]
  }
  return found
}
