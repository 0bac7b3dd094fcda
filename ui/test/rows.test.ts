import { expect, test } from 'vitest'
import { rows, worst } from '../src/lib/rows'

const task = (name: string, group = '') => ({ task: name, group, does: 'task', gone: false })
const TASKS = [task('start'), task('a.x', 'a'), task('a.b.y', 'a.b'), task('a.z', 'a'), task('end')]

test('groups stand where their first task does, with those within them', () => {
  const found = rows(TASKS, new Set())
  expect(found.map((row) => [row.kind, row.name, row.label, row.depth])).toEqual([
    ['task', 'start', 'start', 0],
    ['group', 'a', 'a', 0],
    ['task', 'a.x', 'x', 1],
    ['group', 'a.b', 'b', 1],
    ['task', 'a.b.y', 'y', 2],
    ['task', 'a.z', 'z', 1],
    ['task', 'end', 'end', 0],
  ])
})

test('a closed group is one row of all its tasks', () => {
  const found = rows(TASKS, new Set(['a']))
  expect(found.map((row) => row.name)).toEqual(['start', 'a', 'end'])
  expect(found[1]!.of).toEqual([1, 2, 3])
})

test('of a group the gravest state is shown, and none where none of it is there', () => {
  const words = ['success', 'running', 'failed']
  expect(worst([0, 1, -1], words)).toBe(1)
  expect(worst([0, 2, 1], words)).toBe(2)
  expect(worst([-1, -1], words)).toBe(-1)
})
