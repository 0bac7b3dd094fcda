import { signal } from '@preact/signals'
import { beforeAll, expect, test, vi } from 'vitest'
import { bars, ends, path, place, ticks } from '../src/parts/gantt_bars'
import { below } from '../src/screens/run_below'

beforeAll(() => {
  vi.stubGlobal('document', { baseURI: 'http://localhost/' })
  vi.stubGlobal('location', { pathname: '/runs/1', search: '', hash: '' })
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => {}, removeItem: () => {} })
})

const moves = [{ at: 10, now: 'ready' }, { at: 30, now: 'running' }, { at: 40, now: 'up_for_retry' }, { at: 90, now: 'ready' }, { at: 90, now: 'running' }, { at: 120, now: 'success' }]

test('bars are what a task did between its moves, one beside the other', () => {
  expect(bars('pending', moves, 0, 500)).toEqual([
    { phase: 'blocked', from: 0, until: 10 }, { phase: 'queued', from: 10, until: 30 }, { phase: 'running', from: 30, until: 40 },
    { phase: 'backoff', from: 40, until: 90 }, { phase: 'running', from: 90, until: 120 },
  ])
})

test('what goes on lasts until now, and what is of the same kind is one bar', () => {
  expect(bars('pending', [{ at: 5, now: 'blocked' }, { at: 9, now: 'deferred' }], 0, 20)).toEqual([{ phase: 'blocked', from: 0, until: 9 }, { phase: 'deferred', from: 9, until: 20 }])
  expect(bars('success', [], 0, 20)).toEqual([])
})

test('moves before the axis begins, and clocks that went back, make no bar backwards', () => {
  for (const bar of bars('pending', [{ at: -5, now: 'running' }, { at: 8, now: 'ready' }, { at: 6, now: 'running' }, { at: 12, now: 'failed' }], 0, 20)) expect(bar.until).toBeGreaterThan(bar.from)
})

test('a task takes from when it was let go to its end', () => {
  expect(ends(moves)).toEqual({ from: 10, until: 120 })
  expect(ends(moves.slice(0, 3))).toEqual({ from: 10, until: null })
  expect(ends([])).toEqual({ from: null, until: null })
})

test('an axis has a few round instants', () => {
  expect(ticks(950, 8)).toEqual([0, 200, 400, 600, 800])
  expect(ticks(3_600_000, 8).length).toBeLessThanOrEqual(9)
  expect(ticks(1e12, 8).length).toBeLessThanOrEqual(100)
})

test('what stands below a task is found at any depth, through diamonds and cycles', () => {
  const under = below([{ task: 'a', upstream: [] }, { task: 'b', upstream: ['a', 'd'] }, { task: 'c', upstream: ['a'] }, { task: 'd', upstream: ['b', 'c'] }])
  expect([...under('a')].sort()).toEqual(['b', 'c', 'd'])
  expect([...under('c')].sort()).toEqual(['b', 'd'])
})

test('an event moves its task once, however often it is heard', async () => {
  const { apply } = await import('../src/screens/run_live')
  const task = { id: '1', place: place('load', -1), task: 'load', index: -1, first: 'pending', state: signal('ready'), attempts: signal(0), reason: signal(''), moves: signal([{ at: 1000, now: 'ready' }]) }
  const event = { at: new Date(2000).toISOString(), was: 'ready', now: 'running', reason: '' }
  apply(task, event)
  apply(task, event)
  apply(task, { ...event, at: new Date(500).toISOString(), was: 'pending', now: 'ready' })
  expect([task.state.value, task.attempts.value, task.moves.value.length]).toEqual(['running', 1, 2])
  expect(place('load', 3)).toBe('load[3]')
})

test('pieces of the stream within one frame are heard together, those of a page without frames after a moment', async () => {
  const { frames } = await import('../src/screens/run_live')
  let frame: (() => void) | undefined
  vi.stubGlobal('requestAnimationFrame', (next: () => void) => ((frame = next), 1))
  vi.stubGlobal('cancelAnimationFrame', () => (frame = undefined))
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const heard: string[][] = []
  const late = frames((events) => heard.push(events.map((event) => event.id)))
  const events = (...ids: string[]) => ids.map((id) => ({ id }) as Parameters<typeof late.add>[0][number])
  late.add(events('1', '2'))
  late.add(events('3'))
  expect(heard).toEqual([])
  frame?.()
  expect(heard).toEqual([['1', '2', '3']])
  late.add(events('4'))
  vi.advanceTimersByTime(100)
  expect(heard).toEqual([['1', '2', '3'], ['4']])
  late.add(events('5'))
  late.end()
  vi.advanceTimersByTime(1000)
  expect(heard).toHaveLength(2)
  vi.useRealTimers()
})

test('lines of the critical path lead from row to row, wherever these stand, past links that a filter hides', () => {
  const rows = ['pull', 'drop', 'join', 'publish'].map((id) => ({ id }))
  const critical = new Map([['drop', 0], ['pull', 10], ['gone', 20], ['publish', 30]])
  expect(path(rows, critical)).toEqual([{ from: 1, to: 0, at: 10 }, { from: 0, to: 3, at: 30 }])
  expect(path(rows, new Map([['join', 5]]))).toEqual([])
})
