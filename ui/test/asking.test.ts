import { expect, test } from 'vitest'
import { asking } from '../src/lib/asking'

test('what is asked in few words is one question', () => {
  expect(asking('Publish the figures?')).toEqual(['Publish the figures?', ''])
  expect(asking('one: two')).toEqual(['one: two', ''])
})

test('a long question is parted where its first clause ends, and nothing of it is lost', () => {
  const known = `of gold.case_sla_daily it needs a version without limitations, and version 4 is degraded: ${'it was late '.repeat(9)}`.trim()
  expect(asking(`export of 2026-11-16 may not leave the platform before a person approves: ${known}`)).toEqual(['export of 2026-11-16 may not leave the platform before a person approves', known])
  expect(asking(`Shall the figures of the quarter be published? ${known}`)).toEqual(['Shall the figures of the quarter be published?', known])
})

test('text without any clause stays whole', () => {
  const text = 'x'.repeat(400)
  expect(asking(text)).toEqual([text, ''])
})
