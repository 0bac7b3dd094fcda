import { expect, test } from 'vitest'
import { command, readParam, request } from '../src/lib/planning'

test('an address says all of a request, and what it leaves out is as the terminal has it', () => {
  const least = request(new URLSearchParams('plan=daily&from=2026-03-01&to=2026-04-01'))
  expect(least).toEqual({
    dag: 'daily', from: '2026-03-01', to: '2026-04-01', every: null, order: 'oldest', max_active: null, overwrite: 'skip', weight: 1, tasks: [], params: {}, asset_caps: {},
  })
  const all = request(
    new URLSearchParams('plan=d&from=2026-03-01&from_at=06:00&to=2026-04-01&every=day&order=newest&at_once=3&overwrite=fail&weight=5&tasks=a,b&caps=x/y=2&p.n=4'),
    { n: { type: 'integer' } },
  )
  expect(all).toEqual({
    dag: 'd', from: '2026-03-01T06:00', to: '2026-04-01', every: 'day', order: 'newest', max_active: 3, overwrite: 'fail', weight: 5, tasks: ['a', 'b'], params: { n: 4 }, asset_caps: { 'x/y': 2 },
  })
})

test('a request as a command names what differs from the least, and quotes what a shell would take apart', () => {
  const least = request(new URLSearchParams('plan=daily&from=2026-03-01&to=2026-04-01'))
  expect(command(least)).toBe('bide backfill plan daily --from 2026-03-01 --to 2026-04-01')
  const more = { ...least, tasks: ['load'], params: { text: "it's; rm" }, asset_caps: { orders: 2 }, max_active: 4 }
  expect(command(more, 'abc')).toBe(
    "bide backfill start daily --from 2026-03-01 --to 2026-04-01 --max-active 4 --task load --param 'text=it'\\''s; rm' --asset-cap orders=2 --hash abc",
  )
})

test('what is typed is a value of the kind its schema says, else the text as it is', () => {
  expect(readParam('3', { type: 'integer' })).toBe(3)
  expect(readParam('three', { type: 'integer' })).toBe('three')
  expect(readParam('true', { type: 'boolean' })).toBe(true)
  expect(readParam('true', { type: 'string' })).toBe('true')
  expect(readParam('[1, 2]', { type: 'array' })).toEqual([1, 2])
  expect(readParam('', { type: ['string', 'null'] })).toBeNull()
  expect(readParam('7', {})).toBe(7)
})
