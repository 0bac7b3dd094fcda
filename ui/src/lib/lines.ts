/** What differs between two texts, line by line: the shortest way from one to the other (Myers), as far as that is not too long. */

export interface Row { kind: 'same' | 'was' | 'now'; text: string; was: number; now: number }
/** Two lines that stand beside each other: null where one side has none. `gap`: so many lines alike are left out before. */
export interface Pair { was: Row | null; now: Row | null }
export interface Hunk<T> { skipped: number; rows: T[] }

/** More changes than that are shown as all of one text for all of the other, between what is alike at both ends. */
const MOST = 1_000

export function lines(text: string): string[] {
  const found = text.split('\n')
  if (found.at(-1) === '') found.pop()
  return found
}

/** All lines of both texts, in order; those that went stand before those that came. */
export function differ(was: string, now: string): Row[] {
  const [a, b] = [lines(was), lines(now)]
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++
  const rows: Row[] = []
  const same = (x: number, y: number) => rows.push({ kind: 'same', text: a[x]!, was: x + 1, now: y + 1 })
  const went = (x: number) => rows.push({ kind: 'was', text: a[x]!, was: x + 1, now: 0 })
  const came = (y: number) => rows.push({ kind: 'now', text: b[y]!, was: 0, now: y + 1 })
  for (let n = 0; n < start; n++) same(n, n)
  let [x, y] = [start, start]
  for (const [u, v] of alike(a.slice(start, a.length - end), b.slice(start, b.length - end))) {
    while (x < start + u) went(x++)
    while (y < start + v) came(y++)
    same(x++, y++)
  }
  while (x < a.length - end) went(x++)
  while (y < b.length - end) came(y++)
  for (let n = end; n > 0; n--) same(a.length - n, b.length - n)
  return rows
}

/** The places in both that are alike, in order. */
function alike(a: readonly string[], b: readonly string[]): [number, number][] {
  const most = Math.min(a.length + b.length, MOST)
  const furthest = new Int32Array(2 * most + 3)
  const at = (k: number) => k + most + 1
  const trail: Int32Array[] = []
  for (let d = 0; d <= most; d++) {
    trail.push(furthest.slice(at(-d) - 1, at(d) + 2))
    for (let k = -d; k <= d; k += 2) {
      let x = k === -d || (k !== d && furthest[at(k - 1)]! < furthest[at(k + 1)]!) ? furthest[at(k + 1)]! : furthest[at(k - 1)]! + 1
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++
      furthest[at(k)] = x
      if (x >= a.length && x - k >= b.length) return walked(trail, a.length, b.length)
    }
  }
  return []
}

/** Back along the way that was found. */
function walked(trail: readonly Int32Array[], x: number, y: number): [number, number][] {
  const found: [number, number][] = []
  for (let d = trail.length - 1; d >= 0; d--) {
    const before = (k: number) => trail[d]![k + d + 1]!
    const k = x - y
    const down = k === -d || (k !== d && before(k - 1) < before(k + 1))
    const from = down ? k + 1 : k - 1
    const fromX = d === 0 ? 0 : before(from)
    const fromY = d === 0 ? 0 : fromX - from
    while (x > fromX && y > fromY && (d === 0 || x > (down ? fromX : fromX + 1))) found.push([--x, --y])
    if (d > 0) [x, y] = [fromX, fromY]
  }
  return found.reverse()
}

/** What has changed with some lines around it; of what is alike between only how much it is. */
export function hunks<T>(rows: readonly T[], changed: (row: T) => boolean, around = 3): Hunk<T>[] {
  const found: Hunk<T>[] = []
  let end = 0
  for (let n = 0; n < rows.length; n++) {
    if (!changed(rows[n]!)) continue
    let upto = n
    for (let ahead = n + 1; ahead < rows.length && ahead - upto <= 2 * around + 1; ahead++) if (changed(rows[ahead]!)) upto = ahead
    const first = Math.max(end, n - around)
    const last = Math.min(rows.length, upto + around + 1)
    found.push({ skipped: first - end, rows: rows.slice(first, last) })
    end = last
    n = last - 1
  }
  return found
}

/** The same for two columns: lines that went stand beside those that came in their place. */
export function pairs(rows: readonly Row[]): Pair[] {
  const found: Pair[] = []
  let n = 0
  while (n < rows.length) {
    if (rows[n]!.kind === 'same') {
      found.push({ was: rows[n]!, now: rows[n]! })
      n++
      continue
    }
    const was: Row[] = []
    const now: Row[] = []
    for (; n < rows.length && rows[n]!.kind !== 'same'; n++) (rows[n]!.kind === 'was' ? was : now).push(rows[n]!)
    for (let at = 0; at < Math.max(was.length, now.length); at++) found.push({ was: was[at] ?? null, now: now[at] ?? null })
  }
  return found
}
