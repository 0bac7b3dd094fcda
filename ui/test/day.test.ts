import { expect, test } from 'vitest'
import { bytes } from '../src/lib/sizes'
import { cells } from '../src/lib/day'

test('a day back and a day ahead are 48 hours, each with its runs or firings', () => {
  const hours = Array.from({ length: 24 }, (_, i) => ({ at: new Date(Date.UTC(2026, 5, 15, i)).toISOString(), runs: i === 23 ? { failed: 2 } : {} }))
  const found = cells(hours, [{ dag: 'orders', schedule: '', firings: ['2026-06-15T23:59:00Z', '2026-06-16T04:00:00Z', '2026-06-17T00:00:00Z'], more: false }])
  expect(found.length).toBe(48)
  expect(found[23]).toEqual({ at: Date.UTC(2026, 5, 15, 23), runs: { failed: 2 }, firings: ['orders'] })
  expect(found[28]?.firings).toEqual(['orders'])
  expect(found.flatMap((cell) => cell.firings).length).toBe(2)
})

test('bytes have two figures at most behind the thousand', () => {
  expect([0, 999, 1_500, 20_000, 3_400_000, 12_000_000_000].map(bytes)).toEqual(['0 B', '999 B', '1.5 kB', '20 kB', '3.4 MB', '12 GB'])
})
