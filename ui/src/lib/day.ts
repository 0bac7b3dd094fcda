/** A day back and a day ahead, hour by hour. Pure. */
import type { components } from '../api/schema'

type Home = components['schemas']['HomeShown']
const HOUR = 3_600_000

export interface Cell { at: number; runs: Record<string, number>; firings: string[] }

/** 48 hours from the first of `hours` on: runs of those that were, names of DAGs that fire in those to come. */
export function cells(hours: Home['hours'], next: Home['next']): Cell[] {
  const first = hours[0] ? Date.parse(hours[0].at) : 0
  const found: Cell[] = Array.from({ length: hours.length * 2 }, (_, i) => ({ at: first + i * HOUR, runs: hours[i]?.runs ?? {}, firings: [] }))
  for (const dag of next)
    for (const at of dag.firings) found[Math.floor((Date.parse(at) - first) / HOUR)]?.firings.push(dag.dag)
  return found
}
