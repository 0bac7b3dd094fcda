/** What `why` tells, put together by what it is about. */
import type { components } from '../api/schema'

type Detail = components['schemas']['Detail']

/** Where a task of a run is shown: `load[3]` is `/runs/4/t/load?map=3`. */
export function taskPath(run: string, task: string): string {
  const found = /^(.+)\[(\d+)\]$/.exec(task)
  return `/runs/${encodeURIComponent(run)}/t/${encodeURIComponent(found?.[1] ?? task)}${found ? `?map=${found[2]}` : ''}`
}

export interface Condition {
  /** `upstream load`, `wait 3`, '' for what stands by itself. */
  head: string
  facts: Detail[]
}

/** What `why` tells in a row, by what it is about: a wait with its looks and its deadline is one condition. */
export function conditions(details: readonly Detail[]): Condition[] {
  const found: Condition[] = []
  for (const each of details) {
    const last = found.at(-1)
    if (/^wait \d+$/.test(each.what)) found.push({ head: each.what, facts: [{ what: 'for', value: each.value }] })
    else if (last?.head && WITHIN.has(each.what)) last.facts.push(each)
    else if (last && !last.head) last.facts.push(each)
    else found.push({ head: '', facts: [each] })
  }
  return found
}

const WITHIN = new Set(['since', 'last look', 'next look', 'looks', 'deadline'])
