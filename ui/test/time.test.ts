import { expect, test, vi } from 'vitest'

vi.stubGlobal('localStorage', { getItem: () => 'utc', setItem: () => {} })
const { instant, span, zone, dagZone } = await import('../src/lib/time')

test('spans have two figures at most', () => {
  expect([35, 999, 1200, 59_000, 125_000, 7_260_000, 273_600_000].map(span)).toEqual(['35 ms', '999 ms', '1.2 s', '59 s', '2 m 5 s', '2 h 1 m', '3 d 4 h'])
  expect(span(-90_000)).toBe('-1 m 30 s')
})

test('an instant is shown in the zone that is chosen, over the change of summer time', () => {
  expect(instant('2026-03-29T00:30:00Z')).toBe('2026-03-29 00:30:00')
  dagZone.value = 'Europe/Berlin'
  zone.value = 'dag'
  expect(instant('2026-03-29T00:30:00Z')).toBe('2026-03-29 01:30:00')
  expect(instant('2026-03-29T01:30:00Z')).toBe('2026-03-29 03:30:00')
  expect(instant('2026-10-25T00:30:00Z', false)).toBe('2026-10-25 02:30')
  expect(instant(null)).toBe('')
})
