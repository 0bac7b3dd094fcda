import { expect, test } from 'vitest'
import { lines, next, unit } from '../src/lib/heat'

const at = (text: string) => Date.parse(`${text}Z`)
const said = (ms: number) => new Date(ms).toISOString().replace('T', ' ')
const every = (from: string, count: number, ms: number) => Array.from({ length: count }, (_, i) => at(from) + i * ms)
const HOUR = 3_600_000

test('a line is an hour, a day, a month or a year, by how far apart intervals begin', () => {
  expect([60_000, HOUR, 24 * HOUR, 7 * 24 * HOUR].map((apart) => unit(every('2026-03-01', 9, apart)))).toEqual([13, 10, 7, 4])
  expect(unit([at('2026-03-01')])).toBe(7)
})

test('days stand below their number in the month, whatever the order they are done in', () => {
  const starts = every('2026-02-27', 4, 24 * HOUR).reverse()
  expect(lines(starts, said)).toEqual([
    { name: '2026-02', cells: [[26, 3], [27, 2]] },
    { name: '2026-03', cells: [[0, 1], [1, 0]] },
  ])
})

test('hours stand below their number in the day; an hour that comes twice stands beside itself', () => {
  const twice = every('2026-10-25T01:00', 3, HOUR)
  const clock = (ms: number) => (ms === twice[0] ? '2026-10-25 02:00' : said(ms))
  expect(lines(twice, clock)[0]).toEqual({ name: '2026-10-25', cells: [[2, 0], [3, 1], [4, 2]] })
  const early = lines(every('2026-03-01T06:00', 20, HOUR), said)
  expect(early.map((line) => [line.name, line.cells[0]![0], line.cells.length])).toEqual([['2026-03-01', 6, 18], ['2026-03-02', 0, 2]])
})

test('50,000 intervals are laid out, each in a cell', () => {
  const found = lines(every('2026-01-01', 50_000, HOUR), said)
  expect(found.reduce((sum, line) => sum + line.cells.length, 0)).toBe(50_000)
})

test('keys lead from cell to cell, over the ends of lines, and never out of them', () => {
  const all = lines(every('2026-02-27', 4, 24 * HOUR), said)
  expect([next(all, -1, 'ArrowRight'), next(all, -1, 'End')]).toEqual([0, 3])
  expect(next(all, 1, 'ArrowRight')).toBe(2)
  expect(next(all, 2, 'ArrowLeft')).toBe(1)
  expect(next(all, 1, 'ArrowDown')).toBe(3)
  expect([next(all, 3, 'ArrowRight'), next(all, 0, 'ArrowUp'), next(all, 2, 'Home'), next(all, 0, 'End')]).toEqual([3, 0, 0, 3])
  expect(next([], -1, 'End')).toBe(-1)
})
