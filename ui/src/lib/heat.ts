/** Where the cells of a heat map stand: one an interval, a line for each hour, day, month or year, whichever the intervals fill. */

const HOUR = 3_600_000
const DAY = 24 * HOUR

export interface Line {
  /** What its cells have in common: `2026-03`. */
  name: string
  /** Column and number of each cell, from the left. */
  cells: [column: number, cell: number][]
}

/** How much of `2026-03-01 04:00:00` is the name of a line, by how far apart the intervals begin. */
export function unit(starts: readonly number[]): 4 | 7 | 10 | 13 {
  const apart = starts.slice(1, 200).map((each, i) => Math.abs(each - starts[i]!)).sort((a, b) => a - b)
  const usual = apart[apart.length >> 1] ?? DAY
  return usual < 0.9 * HOUR ? 13 : usual < 0.9 * DAY ? 10 : usual < 6 * DAY ? 7 : 4
}

/**
 * The lines of cells that begin at `starts`. `said` gives an instant as people read it. Days stand below their number in
 * the month and hours below that of the day, so that lines can be compared; two of one number stand side by side.
 */
export function lines(starts: readonly number[], said: (at: number) => string): Line[] {
  const order = starts.map((_, i) => i).sort((a, b) => starts[a]! - starts[b]!)
  const length = unit(order.map((i) => starts[i]!))
  const found: Line[] = []
  for (const cell of order) {
    const text = said(starts[cell]!)
    const name = text.slice(0, length)
    let line = found.at(-1)
    if (line?.name !== name) found.push((line = { name, cells: [] }))
    const after = (line.cells.at(-1)?.[0] ?? -1) + 1
    const own = length === 7 ? Number(text.slice(8, 10)) - 1 : length === 10 && hourly(starts, order) ? Number(text.slice(11, 13)) : 0
    line.cells.push([Math.max(own, after), cell])
  }
  return found
}

function hourly(starts: readonly number[], order: readonly number[]): boolean {
  return order.length < 2 || Math.abs(starts[order[1]!]! - starts[order[0]!]!) < 1.5 * HOUR
}

/** The cell that a key leads to from `chosen`. */
export function next(all: readonly Line[], chosen: number, key: string): number {
  const y = all.findIndex((line) => line.cells.some(([, cell]) => cell === chosen))
  if (y < 0) return (key === 'End' ? all.at(-1)?.cells.at(-1) : all[0]?.cells[0])?.[1] ?? -1
  const line = all[y]!
  const x = line.cells.findIndex(([, cell]) => cell === chosen)
  const column = line.cells[x]![0]
  const near = (at: Line | undefined) => at?.cells.reduce((best, each) => (Math.abs(each[0] - column) < Math.abs(best[0] - column) ? each : best))[1] ?? chosen
  switch (key) {
    case 'ArrowLeft': return line.cells[x - 1]?.[1] ?? all[y - 1]?.cells.at(-1)?.[1] ?? chosen
    case 'ArrowRight': return line.cells[x + 1]?.[1] ?? all[y + 1]?.cells[0]?.[1] ?? chosen
    case 'ArrowUp': return near(all[y - 1])
    case 'ArrowDown': return near(all[y + 1])
    case 'Home': return all[0]!.cells[0]![1]
    case 'End': return all.at(-1)!.cells.at(-1)![1]
    default: return chosen
  }
}
