/** What a layout is: the size of nodes, their places, and edges as curves. */

export const WIDTH = 196
export const HEIGHT = 44

/** Nodes by number; an edge leads from one to another. */
export interface Structure {
  ids: string[]
  edges: [number, number][]
}

/** The middle of each node, and the points through which each edge goes, by their numbers. */
export interface Layout {
  ids: string[]
  at: [number, number][]
  lines: [number, number][][]
  width: number
  height: number
}

/** A short name of a structure: the same structure has the same. */
export function fingerprint({ ids, edges }: Structure): string {
  let one = 0x811c9dc5
  let other = 0x9e3779b9
  for (const text of [ids.join('\u0000'), edges.join(';')])
    for (let i = 0; i < text.length; i++) {
      one = Math.imul(one ^ text.charCodeAt(i), 0x01000193)
      other = Math.imul(other ^ text.charCodeAt(i), 0x85ebca6b) ^ (other >>> 13)
    }
  return `${(one >>> 0).toString(36)}-${(other >>> 0).toString(36)}-${ids.length}`
}

/** An edge as a curve that leaves and arrives level. */
export function curve(points: [number, number][]): string {
  const [first, ...rest] = points
  if (!first) return ''
  let [x, y] = [first[0] + WIDTH / 2, first[1]]
  let text = `M${x},${y}`
  rest.forEach(([nextX, nextY], i) => {
    const tip = i === rest.length - 1 ? nextX - WIDTH / 2 : nextX
    const bend = (tip - x) / 2
    text += `C${x + bend},${y} ${tip - bend},${nextY} ${tip},${nextY}`
    ;[x, y] = [tip, nextY]
  })
  return text
}

/** A path of a sign, somewhere else: what it says of absolute places is moved. */
export function moved(path: string, x: number, y: number): string {
  return path.replace(/([MLCVH])([^a-zA-Z]*)/g, (_, command: string, numbers: string) => {
    const across = (n: number) => (command === 'V' ? false : command === 'H' || n % 2 === 0)
    return command + [...numbers.matchAll(/-?(?:\d*\.)?\d+/g)].map(([text], n) => round(Number(text) + (across(n) ? x : y))).join(' ')
  })
}

const round = (value: number) => Math.round(value * 100) / 100

/** Left, top, right, bottom. */
export type Box = readonly [number, number, number, number]

/** What each line and then each node takes up, in the order in which they are drawn. */
export function boxes(layout: Layout): Box[] {
  const lines = layout.lines.map((points): Box => {
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)]
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]
  })
  return [...lines, ...layout.at.map(([x, y]): Box => [x - WIDTH / 2, y - HEIGHT / 2, x + WIDTH / 2, y + HEIGHT / 2])]
}

export const within = (box: Box, sight: Box) => box[0] <= sight[2] && box[2] >= sight[0] && box[1] <= sight[3] && box[3] >= sight[1]
