import { expect, test } from 'vitest'
import { compare, written } from '../src/lib/compare'

const WAS = { name: 'd', tz: 'UTC', tasks: [{ name: 'a', lane: 'async' }, { name: 'b', lane: 'async', upstream: ['a'], retries: 1 }] }
const NOW = { name: 'd', tz: 'Europe/Berlin', tasks: [{ name: 'b', lane: 'async', retries: 3 }, { name: 'c', lane: 'shell', shell: { command: 'ls' } }] }

test('what was added, removed and changed is told field by field', () => {
  expect(compare(WAS, NOW)).toEqual([
    { name: '', kind: 'changed', fields: [{ path: 'tz', was: 'UTC', now: 'Europe/Berlin' }] },
    { name: 'b', kind: 'changed', fields: [{ path: 'upstream', was: '["a"]', now: null }, { path: 'retries', was: '1', now: '3' }] },
    { name: 'c', kind: 'added', fields: [{ path: 'name', was: null, now: 'c' }, { path: 'lane', was: null, now: 'shell' }, { path: 'shell.command', was: null, now: 'ls' }] },
    { name: 'a', kind: 'removed', fields: [{ path: 'name', was: 'a', now: null }, { path: 'lane', was: 'async', now: null }] },
  ])
  expect(compare(WAS, WAS)).toEqual([])
})

test('a graph is written one field a line', () => {
  expect(written(NOW)).toContain('task c\n  lane: shell\n  shell.command: ls')
})
