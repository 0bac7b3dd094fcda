/** What differs between two versions of a DAG's graph: of the DAG itself, and task by task. */

export interface Difference { path: string; was: string | null; now: string | null }
export interface Compared { name: string; kind: 'added' | 'removed' | 'changed'; fields: Difference[] }

type Plain = Record<string, unknown>
interface Graph { tasks?: Plain[]; [other: string]: unknown }

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** A value as lines of path and text: of an object one for each thing in it, of anything else one. */
function flat(value: unknown, path = '', found = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, each] of Object.entries(value)) flat(each, path ? `${path}.${key}` : key, found)
  } else if (path) found.set(path, text(value))
  return found
}

function differences(was: unknown, now: unknown): Difference[] {
  const [before, after] = [flat(was), flat(now)]
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => ({ path, was: before.get(path) ?? null, now: after.get(path) ?? null }))
}

const named = (graph: Graph) => new Map((graph.tasks ?? []).map((task) => [String(task.name), task]))
const without = ({ tasks: _, ...rest }: Graph): Plain => rest

/** The DAG itself stands first, under the name ''. */
export function compare(was: Graph, now: Graph): Compared[] {
  const found: Compared[] = []
  const whole = differences(without(was), without(now))
  if (whole.length) found.push({ name: '', kind: 'changed', fields: whole })
  const [before, after] = [named(was), named(now)]
  for (const [name, task] of after) {
    const old = before.get(name)
    if (!old) found.push({ name, kind: 'added', fields: differences({}, task) })
    else {
      const fields = differences(old, task)
      if (fields.length) found.push({ name, kind: 'changed', fields })
    }
  }
  for (const [name, task] of before) if (!after.has(name)) found.push({ name, kind: 'removed', fields: differences(task, {}) })
  return found
}

/** A graph as text: one field a line, tasks one after the other. */
export function written(graph: Graph): string {
  const lines = (value: Plain) => [...flat(Object.fromEntries(Object.entries(value).filter(([key]) => key !== 'name')))].map(([path, said]) => `  ${path}: ${said}`)
  return [String(graph.name ?? ''), ...lines(without(graph)), ...(graph.tasks ?? []).flatMap((task) => ['', `task ${String(task.name)}`, ...lines(task)])].join('\n')
}
