import { expect, test } from 'vitest'
import { differ, hunks, lines, pairs } from '../src/lib/lines'
import { coloured } from '../src/lib/python'

const said = (was: string, now: string) => differ(was, now).map((row) => ({ same: ' ', was: '-', now: '+' })[row.kind] + row.text).join('\n')

test('the shortest way from one text to another is told line by line', () => {
  expect(said('a\nb\nc\n', 'a\nx\nc\nd\n')).toBe(' a\n-b\n+x\n c\n+d')
  expect(said('', 'a\n')).toBe('+a')
  expect(said('a\n', '')).toBe('-a')
  expect(said('a\nb\na\nb\n', 'b\na\nb\na\n')).toBe('-a\n b\n a\n b\n+a')
  expect(differ('a\nb\n', 'x\nb\n').map((row) => [row.was, row.now])).toEqual([[1, 0], [0, 1], [2, 2]])
})

test('both texts come back out of what differs, whatever they are', () => {
  let seed = 7
  const next = (upto: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % upto
  for (let round = 0; round < 300; round++) {
    const [a, b] = [0, 1].map(() => Array.from({ length: next(14) }, () => 'abc'[next(3)]!))
    const rows = differ(a!.join('\n') + '\n', b!.join('\n') + '\n')
    expect(rows.filter((row) => row.kind !== 'now').map((row) => row.text)).toEqual(lines(a!.join('\n') + '\n'))
    expect(rows.filter((row) => row.kind !== 'was').map((row) => row.text)).toEqual(lines(b!.join('\n') + '\n'))
    for (const row of rows) expect([row.kind === 'now' || row.text === lines(a!.join('\n') + '\n')[row.was - 1], row.kind === 'was' || row.text === lines(b!.join('\n') + '\n')[row.now - 1]]).toEqual([true, true])
    expect(pairs(rows).flatMap((pair) => (pair.was === pair.now ? [pair.now] : [pair.was])).filter(Boolean).length).toBe(lines(a!.join('\n') + '\n').length)
  }
})

test('two texts of which nothing is alike are shown whole', () => {
  const many = (name: string) => Array.from({ length: 8_000 }, (_, n) => `${name}${n}`).join('\n')
  expect(differ(many('a'), many('b')).length).toBe(16_000)
})

test('of what is alike only what stands around a change is shown', () => {
  const rows = differ(Array.from({ length: 40 }, (_, n) => `l${n}`).join('\n'), Array.from({ length: 40 }, (_, n) => (n === 10 || n === 13 || n === 30 ? `x${n}` : `l${n}`)).join('\n'))
  const found = hunks(rows, (row) => row.kind !== 'same')
  expect(found.map((hunk) => [hunk.skipped, hunk.rows.length])).toEqual([[7, 12], [10, 8]])
})

test('Python is told apart: strings over lines, comments in strings, names', () => {
  const looks = (text: string) => coloured(lines(text)).map((line) => line.filter((each) => each.look).map((each) => `${each.look}:${each.text}`))
  expect(looks('@task(retries=3)\nasync def load(x):  # why\n    return f"# {x}" + 1.5')).toEqual([
    ['decorator:@task', 'number:3'], ['keyword:async', 'keyword:def', 'named:load', 'comment:# why'], ['keyword:return', 'string:f"# {x}"', 'number:1.5'],
  ])
  expect(looks('x = """one\n# two\nthree""" if y else None')).toEqual([['string:"""one'], ['string:# two'], ['string:three"""', 'keyword:if', 'keyword:else', 'keyword:None']])
  expect(looks("'\\'' # x\n'open\nplain = match")).toEqual([["string:'\\''", 'comment:# x'], ["string:'open"], []])
  const text = 'def f(a, *, b: int = 0x1F) -> None:\n    """Doc."""\n    a @ b\n\ttype = match(a)'
  expect(coloured(lines(text)).map((line) => line.map((each) => each.text).join('')).join('\n')).toBe(text)
})
