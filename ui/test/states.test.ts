import { expect, test } from 'vitest'
import { state, STATES, URGENCY } from '../src/lib/states'

test('no two states look alike: what shares a colour differs by its sign or its word', () => {
  const seen = new Map<string, string>()
  for (const [name, it] of Object.entries(STATES)) {
    const look = `${it.family} ${it.sign} ${it.word}`
    expect(seen.get(look), `${name} and ${seen.get(look)}`).toBeUndefined()
    seen.set(look, name)
  }
})

test('what is degraded, stale or invalidated never looks like what is healthy', () => {
  for (const name of ['degraded', 'stale', 'invalidated', 'quarantined', 'failed', 'unknown']) expect(state(name).family).not.toBe('good')
})

test('a state that is not known yet is shown in words', () => {
  expect(state('some_new_state').word).toBe('some new state')
})

test('every state of a task instance has its place in the order of urgency', () => {
  expect(new Set(URGENCY).size).toBe(URGENCY.length)
  for (const name of URGENCY) expect(STATES[name]).toBeDefined()
})
