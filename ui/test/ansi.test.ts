import { expect, test } from 'vitest'
import { line, marked, nearest, PLAIN } from '../src/lib/ansi'

const of = (text: string) => line(text)[0]

test('a line has its instant, its level, and text with colours', () => {
  const found = of('2026-11-22T04:35:47.116806Z INFO \u001b[1;32mloaded\u001b[0m 12 <b>rows</b>')
  expect(found.at).toBe('2026-11-22T04:35:47.116806Z')
  expect(found.level).toBe('INFO')
  expect(found.pieces).toEqual([{ text: 'loaded', look: 'c2 strong' }, { text: ' 12 <b>rows</b>', look: '' }])
  expect(found.plain).toBe('loaded 12 <b>rows</b>')
})

test('a colour goes on behind the line, until it is taken back', () => {
  const [, look] = line('\u001b[38;5;196mred')
  expect(line('still', look)[0].pieces[0]!.look).toBe('c9')
  expect(line('\u001b[mno more', look)[1]).toEqual(PLAIN)
})

test('what is no colour is left out: titles, links, cursors, bells, halves of sequences', () => {
  expect(of('\u001b]0;title\u0007a\u001b[2K\u001b[1Ab\u0000\u0007c\u001b').plain).toBe('abc')
  expect(of('\u001b]8;;https://x.example\u001b\\link\u001b]8;;\u001b\\').plain).toBe('link')
})

test('what a progress bar showed last is what is left', () => {
  expect(of('10 %\r55 %\r100 %').plain).toBe('100 %')
})

test('any colour becomes one of the sixteen that read well', () => {
  expect(nearest(255, 20, 20)).toBe(9)
  expect(nearest(0, 100, 0)).toBe(2)
  expect(nearest(240, 240, 240)).toBe(15)
  expect(nearest(10, 10, 10)).toBe(0)
  expect(of('\u001b[38;2;20;20;240mx').pieces[0]!.look).toBe('c12')
})

test('what is searched for is marked across colours, whatever its case', () => {
  const { pieces } = of('no \u001b[31mCol\u001b[0mumn, no column')
  expect(marked(pieces, 'column').filter((each) => each.hit).map((each) => each.text)).toEqual(['Col', 'umn', 'column'])
  expect(marked(pieces, 'column').map((each) => each.text).join('')).toBe('no Column, no column')
})
