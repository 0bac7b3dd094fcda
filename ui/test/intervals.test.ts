import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'utc', setItem: () => {} })
const { interval, short, strip } = await import('../src/lib/intervals')
const { dagZone, zone } = await import('../src/lib/time')

const day = (n: number, length = 1) => ({
  start: new Date(Date.UTC(2026, 6, n)).toISOString(),
  end: new Date(Date.UTC(2026, 6, n + length)).toISOString(),
})

test('an interval is named as short as says which one is meant', () => {
  expect(interval(day(1))).toBe('2026-07-01')
  expect(interval(day(1, 7))).toBe('2026-07-01 to 2026-07-08')
  expect(interval({ start: '2026-07-01T04:00:00Z', end: '2026-07-01T05:00:00Z' })).toBe('2026-07-01 04:00')
  expect(interval({ start: '2026-07-01T04:00:00Z', end: '2026-07-01T10:30:00Z' })).toBe('2026-07-01 04:00 to 2026-07-01 10:30')
  expect(short(day(3))).toEqual(['3 Jul', ''])
  expect(short(day(3, 7))).toEqual(['3 Jul', '7 d'])
  expect(short({ start: '2026-07-01T04:00:00Z', end: '2026-07-01T05:00:00Z' })).toEqual(['1 Jul', '04:00'])
})

test('what has no version stands between those that have one', () => {
  const parts = [day(5), day(2), day(1)].map((each) => ({ interval: each }))
  const shown = strip(parts)
  expect(shown).toHaveLength(4)
  expect(shown[2]).toEqual({ gap: { start: day(3).start, end: day(5).start } })
  expect(shown[3]).toEqual({ interval: day(5) })
  expect(strip([])).toEqual([])
})

test('a day of UTC is not called by the day before, wherever it is looked at', () => {
  dagZone.value = 'America/Los_Angeles'
  zone.value = 'dag'
  expect(interval(day(1))).toBe('2026-07-01 UTC')
  expect(short(day(1))).toEqual(['1 Jul', ''])
  expect(interval({ start: '2026-07-01T07:00:00Z', end: '2026-07-02T07:00:00Z' })).toBe('2026-07-01')
})
