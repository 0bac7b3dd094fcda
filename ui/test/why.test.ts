import { expect, test } from 'vitest'
import { conditions, taskPath } from '../src/lib/conditions'

test('the facts of a wait are one condition, what stands before and behind it others', () => {
  const found = conditions([
    { what: 'progress', value: '3 of 9' },
    { what: 'wait 3', value: 'file x' },
    { what: 'since', value: 'now' },
    { what: 'deadline', value: 'later' },
    { what: 'wait 4', value: 'file y' },
    { what: 'DAG', value: 'paused' },
  ])
  expect(found.map((each) => [each.head, each.facts.map((fact) => fact.what)])).toEqual([
    ['', ['progress']],
    ['wait 3', ['for', 'since', 'deadline']],
    ['wait 4', ['for']],
    ['', ['DAG']],
  ])
})

test('an instance of a mapped task is addressed by the query', () => {
  expect(taskPath('4', 'load[3]')).toBe('/runs/4/t/load?map=3')
  expect(taskPath('4', 'a/b')).toBe('/runs/4/t/a%2Fb')
})
