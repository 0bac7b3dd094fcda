import { expect, test } from 'vitest'
import { months, step } from '../src/lib/days'

test('months follow each other over the year', () => {
  expect(step('2026-12', 1)).toBe('2027-01')
  expect(step('2026-01', -1)).toBe('2025-12')
})

test('weeks begin on Monday, and every day of the month is there once', () => {
  const [february, march] = months('2026-03', 2)
  expect(february!.title).toBe('February 2026')
  expect(march!.weeks[0]).toEqual([null, null, null, null, null, null, '2026-03-01'])
  expect(march!.weeks.flat().filter(Boolean)).toHaveLength(31)
  expect(march!.weeks.every((week) => week.length === 7)).toBe(true)
})
