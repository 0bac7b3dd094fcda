import { expect, test } from 'vitest'
import { unique } from '../src/lib/unique'

test('where a page is not secure a key is made of chance all the same', () => {
  const plain = { getRandomValues: crypto.getRandomValues.bind(crypto) }
  const made = Array.from({ length: 100 }, () => unique(plain))
  expect(new Set(made).size).toBe(100)
  for (const each of made) expect(each).toMatch(/^[0-9a-f]{32}$/)
  expect(unique()).toMatch(/^[0-9a-f-]{36}$/)
})
