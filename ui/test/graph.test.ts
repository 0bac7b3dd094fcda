import { expect, test } from 'vitest'
import { fold, groupId, groups, nearby, step } from '../src/parts/graph_fold'
import { arrange } from '../src/parts/graph_arrange'
import { STATES } from '../src/lib/states'
import { boxes, curve, fingerprint, HEIGHT, moved, WIDTH, within } from '../src/parts/graph_layout'

const fan = (count: number) => ({
  nodes: [{ id: 'first' }, ...Array.from({ length: count }, (_, i) => ({ id: `t${i}`, group: `g${Math.floor(i / 10)}` })), { id: 'last' }],
  edges: Array.from({ length: count }, (_, i) => [['first', `t${i}`] as const, [`t${i}`, 'last'] as const]).flat(),
})
const structure = (part: ReturnType<typeof fold>) => ({ ids: part.shown.map((each) => each.id), edges: part.edges.map(({ from, to }) => [from, to] as [number, number]) })

test('closed groups are one node each, and their edges one', () => {
  const whole = fan(40)
  expect([...groups(whole).values()]).toEqual([10, 10, 10, 10])
  expect(fold(whole, new Set()).shown).toHaveLength(42)
  const part = fold(whole, new Set(['g0', 'g1', 'g2', 'g3']))
  expect(part.shown.map((each) => each.id)).toEqual(['first', groupId('g0'), groupId('g1'), groupId('g2'), groupId('g3'), 'last'])
  expect(part.shown[1]!.members).toHaveLength(10)
  expect(part.edges).toHaveLength(8)
  expect(part.edges[0]).toMatchObject({ from: 0, to: 1, count: 10 })
})

test('a group of one is no group, and edges to what is not there are none', () => {
  const part = fold({ nodes: [{ id: 'a', group: 'alone' }, { id: 'b' }], edges: [['a', 'b'], ['gone', 'b']] }, new Set(['alone']))
  expect(part.shown.map((each) => each.id)).toEqual(['a', 'b'])
  expect(part.edges).toHaveLength(1)
})

test('what is near is within so many steps, and of a crowd only so many', () => {
  const chain = fold({ nodes: [...'abcdef'].map((id) => ({ id })), edges: [['a', 'b'], ['b', 'c'], ['c', 'd'], ['d', 'e'], ['e', 'f']] }, new Set())
  expect(nearby(chain, 2, 1).shown.map((each) => each.id)).toEqual(['b', 'c', 'd'])
  expect(nearby(chain, 2, 2).edges).toHaveLength(4)
  expect(nearby(fold(fan(2000), new Set()), 0, 2, 300).shown).toHaveLength(300)
})

test('layers go from left to right and no two nodes overlap', () => {
  const { at, lines, width, height, ids } = arrange(structure(fold(fan(40), new Set())))
  for (const [i, one] of at.entries())
    for (const other of at.slice(i + 1)) expect(Math.abs(one[0] - other[0]) >= WIDTH || Math.abs(one[1] - other[1]) >= HEIGHT).toBe(true)
  expect(at[ids.indexOf('first')]![0]).toBeLessThan(at[ids.indexOf('t0')]![0])
  expect(at[ids.indexOf('t0')]![0]).toBeLessThan(at[ids.indexOf('last')]![0])
  expect(Math.max(...at.map(([x]) => x)) + WIDTH / 2).toBeLessThanOrEqual(width + 1)
  expect(Math.max(...at.map(([, y]) => y)) + HEIGHT / 2).toBeLessThanOrEqual(height + 1)
  expect(lines.every((points) => points.length >= 2)).toBe(true)
})

test('a graph with a cycle, with an edge to itself, or with nothing in it is laid out too', () => {
  expect(arrange({ ids: ['a', 'b', 'c'], edges: [[0, 1], [1, 2], [2, 0], [1, 1]] }).at).toHaveLength(3)
  expect(arrange({ ids: [], edges: [] })).toMatchObject({ width: 0, at: [] })
})

test('1,000 nodes are laid out, each at a place', () => {
  const wide = structure(fold(fan(1000), new Set()))
  const { at } = arrange(wide)
  expect(at).toHaveLength(wide.ids.length)
  expect(at.flat().every(Number.isFinite)).toBe(true)
})

test('another structure has another fingerprint', () => {
  const prints = [10, 11, 40].map((count) => fingerprint(structure(fold(fan(count), new Set()))))
  expect(new Set(prints).size).toBe(3)
  expect(fingerprint(structure(fold(fan(10), new Set())))).toBe(prints[0])
})

test('a curve leaves one side and arrives at the other', () => {
  expect(curve([[0, 0], [300, 50]])).toMatch(/^M98,0C.* 202,50$/)
  expect(curve([])).toBe('')
})

test('a sign stands where it is moved to, whatever it is drawn with', () => {
  expect(moved('M3.5 8.5l3 3 6-7', 100, 10)).toBe('M103.5 18.5l3 3 6-7')
  expect(moved('M8 5.2V8l2 1.4', 100, 10)).toBe('M108 15.2V18l2 1.4')
  expect(moved('M4 4l8 8M12 4l-8 8H2z', -4, 0.5)).toBe('M0 4.5l8 8M8 4.5l-8 8H-2z')
  expect(moved('M8 3a5 5 0 1 0 .01 0', 1, 1)).toBe('M9 4a5 5 0 1 0 .01 0')
  expect(moved('M3-5.5L8 2.8', 1, 1)).toBe('M4 -4.5L9 3.8')
  for (const { sign } of Object.values(STATES)) expect(sign.replace(/[MLCVHalchvqz\d\s.-]/g, '')).toBe('')
})

test('arrow keys go along edges and within a layer', () => {
  const part = fold(fan(3), new Set())
  const at: [number, number][] = [[0, 50], [100, 0], [100, 50], [100, 100], [200, 50]]
  expect(step('ArrowRight', 0, at, part.edges)).toBe(2)
  expect(step('ArrowDown', 2, at, part.edges)).toBe(3)
  expect(step('ArrowUp', 2, at, part.edges)).toBe(1)
  expect(step('ArrowUp', 1, at, part.edges)).toBe(1)
  expect(step('ArrowLeft', 4, at, part.edges)).toBe(2)
})

test('nodes that differ in nothing but their names stand in the order in which they were given', () => {
  const { at, lines, ids } = arrange(structure(fold(fan(12), new Set())))
  const heights = Array.from({ length: 12 }, (_, i) => at[ids.indexOf(`t${i}`)]![1])
  expect(heights).toEqual([...heights].sort((a, b) => a - b))
  const edges = structure(fold(fan(12), new Set())).edges
  edges.forEach(([from, to], i) => {
    expect(lines[i]![0]).toEqual(at[from])
    expect(lines[i]!.at(-1)).toEqual(at[to])
  })
})

test('lines and nodes are in sight when any part of them is', () => {
  const made = boxes({ ids: ['a', 'b'], at: [[100, 50], [400, 50]], lines: [[[100, 50], [250, 90], [400, 50]]], width: 500, height: 100 })
  expect(made).toEqual([[100, 50, 400, 90], [2, 28, 198, 72], [302, 28, 498, 72]])
  expect(made.map((box) => within(box, [0, 0, 150, 100]))).toEqual([true, true, false])
  expect(made.map((box) => within(box, [0, 73, 600, 100]))).toEqual([true, false, false])
})
