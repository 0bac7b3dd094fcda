/** What there is little of, in words and in figures. */
import type { components } from '../api/schema'

type Pool = Pick<components['schemas']['PoolLine'], 'key' | 'pool' | 'kind' | 'slots' | 'in_use' | 'units' | 'spent' | 'by_backfills' | 'waiting'>

/** No more slots than that are shown one by one. */
const FEW = 32

/** What a pool is besides its name. */
export const named = (of: Pick<Pool, 'kind'>): string => ({ slots: 'of all tasks', pool: 'at once', in_flight: 'in flight', budget: 'budget', dag: 'tasks at once', task: 'at once', runs: 'runs at once' })[of.kind]

/** Caps of DAGs and tasks: they are listed while somebody waits for them, and shown by their key at any time. */
const CAP = /^(dag|task|runs):(.+)$/
export const isCap = (of: Pick<Pool, 'key'>) => CAP.test(of.key)

export function taken(of: Pool): { used: number; all: number; full: boolean } {
  const used = of.in_use ?? of.spent ?? 0
  const all = of.slots ?? of.units ?? 0
  return { used, all, full: used >= all }
}

/** Each slot: `taken`, `backfill` (by a backfill) or '' (free); null where they are too many, or no slots at all. */
export function cells(of: Pool): string[] | null {
  if (of.slots === null || of.slots > FEW) return null
  const { used } = taken(of)
  return Array.from({ length: of.slots }, (_, at) => (at >= used ? '' : at < used - of.by_backfills ? 'taken' : 'backfill'))
}

/** The one that an address names, by key or by name; else the first for which somebody waits, or the slots. */
export function chosen<T extends Pool>(pools: readonly T[], asked: string | null): T | Pick<Pool, 'key' | 'pool' | 'kind'> | undefined {
  const said = asked && (pools.find((each) => each.key === asked) ?? pools.find((each) => each.pool === asked || (each.kind === 'in_flight' && `${each.pool} in flight` === asked)))
  const cap = !said && asked && CAP.exec(asked)
  if (cap) return { key: asked!, pool: cap[2]!, kind: cap[1] as 'dag' | 'task' | 'runs' }
  return said || pools.find((each) => each.waiting > 0) || pools[0]
}

/** Which pool a sentence of `why` says is wanted. */
export function wanted(why: string): string | null {
  const budget = /^waits for the budget (.+): \S+ of \S+ used /.exec(why)
  if (budget) return `budget:${budget[1]}`
  const runs = /^\d+ of the \d+ runs that (.+) may have at once \(max_active_runs\) /.exec(why)
  if (runs) return `runs:${runs[1]}`
  const cap = /^wants a place in (DAG|task) (.+), and \d+ of \d+ /.exec(why)
  if (cap) return `${cap[1]!.toLowerCase()}:${cap[2]}`
  const found = /^wants (?:a slot|a place in pool (.+?)( in flight)?), and \d+ of \d+ /.exec(why)
  if (!found) return null
  return found[1] === undefined ? 'slots' : `${found[2] ? 'in_flight' : 'pool'}:${found[1]}`
}
