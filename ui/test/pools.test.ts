import { expect, test } from 'vitest'
import { cells, chosen, taken, wanted } from '../src/lib/pools'

const pool = (key: string, slots: number | null, in_use: number | null, more = {}) => {
  const [kind, name] = key.includes(':') ? key.split(':') : ['slots', key]
  return { key, pool: name!, kind: kind as 'pool', slots, in_use, units: null, spent: null, by_backfills: 0, waiting: 0, ...more }
}

test('each slot is shown for itself where they are few', () => {
  expect(cells(pool('pool:gpu', 4, 3, { by_backfills: 1 }))).toEqual(['taken', 'taken', 'backfill', ''])
  expect(cells(pool('pool:gpu', 1, 5))).toEqual(['taken'])
  expect(cells(pool('slots', 64, 3))).toBeNull()
  expect(cells({ ...pool('budget:gpu', null, null), units: 10, spent: 2 })).toBeNull()
  expect(taken({ ...pool('budget:gpu', null, null), units: 10, spent: 10 })).toEqual({ used: 10, all: 10, full: true })
})

test('an address names a pool by key or by name; without one it is the first that somebody waits for', () => {
  const all = [pool('slots', 64, 3), pool('pool:gpu', 1, 1), pool('in_flight:gpu', 9, 1, { waiting: 2 })]
  expect(['pool:gpu', 'gpu', 'gpu in flight', 'slots', 'gone', null].map((asked) => chosen(all, asked)?.key)).toEqual(['pool:gpu', 'pool:gpu', 'in_flight:gpu', 'slots', 'in_flight:gpu', 'in_flight:gpu'])
  expect(chosen(all.slice(0, 2), null)?.key).toBe('slots')
  expect(chosen(all, 'runs:etl')).toEqual({ key: 'runs:etl', pool: 'etl', kind: 'runs' })
})

test('a sentence that wants a place leads to its pool', () => {
  expect(wanted('wants a slot, and 1 of 1 are taken')).toBe('slots')
  expect(wanted('wants a place in pool narrow, and 1 of 1 are taken')).toBe('pool:narrow')
  expect(wanted('wants a place in pool api in flight, and 2 of 2 are taken')).toBe('in_flight:api')
  expect(wanted('wants a place in DAG etl, and 2 of 2 are taken')).toBe('dag:etl')
  expect(wanted('wants a place in task etl.load, and 2 of 2 are taken')).toBe('task:etl.load')
  expect(wanted('1 of the 1 runs that etl may have at once (max_active_runs) are running: 4')).toBe('runs:etl')
  expect(wanted('waits for the budget queries: 80 of 100 used until 2026-01-01 01:00:00Z, it costs 40')).toBe('budget:queries')
  expect(wanted('its upstream failed')).toBeNull()
})
