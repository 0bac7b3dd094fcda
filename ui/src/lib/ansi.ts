/** Lines of a log: their head, and colours that a terminal would show, as pieces of text with classes. Nothing is ever made HTML of. */

export interface Piece {
  text: string
  /** Of `log.css`: `c1` to `c15`, `b1`..., `strong`, `faint`, `slanted`, `under`. */
  look: string
}

export interface Line {
  /** ISO instant, '' where the line has none. */
  at: string
  level: string
  pieces: Piece[]
  /** Its text without colours, for searching. */
  plain: string
}

const HEAD = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) (DEBUG|INFO|WARNING|ERROR|CRITICAL) /
// a control sequence, an operating system's one (titles, links), or any other escape: only SGR says how text looks
// eslint-disable-next-line no-control-regex
const ESCAPE = /\u001b(?:\[([0-9;:]*)([ -/]*[@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_])/g
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f]/g

export interface Look { ink: number; paper: number; strong: boolean; faint: boolean; slanted: boolean; under: boolean; turned: boolean }
export const PLAIN: Look = { ink: -1, paper: -1, strong: false, faint: false, slanted: false, under: false, turned: false }

/** The nearest of the 16 colours, which read well on either ground. */
export function nearest(r: number, g: number, b: number): number {
  const most = Math.max(r, g, b)
  if (most < 50) return 0
  if (most - Math.min(r, g, b) < 30) return most > 200 ? 15 : most > 110 ? 7 : 8
  const part = most * 0.6
  return (r >= part ? 1 : 0) + (g >= part ? 2 : 0) + (b >= part ? 4 : 0) + (most > 180 ? 8 : 0)
}

function of256(n: number): number {
  if (n < 16) return n
  if (n > 231) return nearest(8 + (n - 232) * 10, 8 + (n - 232) * 10, 8 + (n - 232) * 10)
  const level = (each: number) => (each ? 55 + each * 40 : 0)
  const at = n - 16
  return nearest(level(Math.floor(at / 36)), level(Math.floor(at / 6) % 6), level(at % 6))
}

/** The look after a sequence of SGR numbers. */
export function looked(was: Look, codes: string): Look {
  const numbers = codes.split(/[;:]/).map((each) => Number(each) || 0)
  let now = { ...was }
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i]!
    if (n === 0) now = { ...PLAIN }
    else if (n === 1) now.strong = true
    else if (n === 2) now.faint = true
    else if (n === 3) now.slanted = true
    else if (n === 4) now.under = true
    else if (n === 7) now.turned = true
    else if (n === 22) now.strong = now.faint = false
    else if (n === 23) now.slanted = false
    else if (n === 24) now.under = false
    else if (n === 27) now.turned = false
    else if (n >= 30 && n <= 37) now.ink = n - 30
    else if (n >= 90 && n <= 97) now.ink = n - 82
    else if (n >= 40 && n <= 47) now.paper = n - 40
    else if (n >= 100 && n <= 107) now.paper = n - 92
    else if (n === 39) now.ink = -1
    else if (n === 49) now.paper = -1
    else if (n === 38 || n === 48) {
      const kind = numbers[i + 1]
      const colour = kind === 5 ? of256(numbers[i + 2] ?? 0) : kind === 2 ? nearest(numbers[i + 2] ?? 0, numbers[i + 3] ?? 0, numbers[i + 4] ?? 0) : -1
      if (n === 38) now.ink = colour
      else now.paper = colour
      i += kind === 5 ? 2 : kind === 2 ? 4 : 0
    }
  }
  return now
}

export function classes(look: Look): string {
  const found: string[] = []
  if (look.ink >= 0) found.push(`c${look.ink}`)
  if (look.paper >= 0 || look.turned) found.push('on')
  if (look.strong) found.push('strong')
  if (look.faint) found.push('faint')
  if (look.slanted) found.push('slanted')
  if (look.under) found.push('under')
  return found.join(' ')
}

/** A line, and the look that goes on behind it. */
export function line(text: string, look: Look = PLAIN): [Line, Look] {
  const head = HEAD.exec(text)
  // a carriage return begins the line anew: what a progress bar showed last is what is left
  const body = text.slice(head ? head[0].length : 0).replace(/\r+$/, '').split('\r').pop() ?? ''
  const pieces: Piece[] = []
  let at = 0
  const add = (part: string) => {
    const clean = part.replace(CONTROL, '')
    if (clean) pieces.push({ text: clean, look: classes(look) })
  }
  for (const found of body.matchAll(ESCAPE)) {
    add(body.slice(at, found.index))
    at = found.index + found[0].length
    if (found[2] === 'm') look = looked(look, found[1] ?? '')
  }
  add(body.slice(at).replaceAll('\u001b', ''))
  return [{ at: head?.[1] ?? '', level: head?.[2] ?? '', pieces, plain: pieces.map((each) => each.text).join('') }, look]
}

/** Pieces cut where a text is found in them, whatever its case: those of it are marked. */
export function marked(pieces: readonly Piece[], wanted: string): (Piece & { hit: boolean })[] {
  if (!wanted) return pieces.map((each) => ({ ...each, hit: false }))
  const plain = pieces.map((each) => each.text).join('').toLowerCase()
  const low = wanted.toLowerCase()
  const found: (Piece & { hit: boolean })[] = []
  let piece = 0
  let within = 0
  const take = (upto: number, from: number, hit: boolean) => {
    let left = upto - from
    while (left > 0 && piece < pieces.length) {
      const { text, look } = pieces[piece]!
      const part = text.slice(within, within + left)
      if (part) found.push({ text: part, look, hit })
      left -= part.length
      within += part.length
      if (within >= text.length) {
        piece++
        within = 0
      }
    }
  }
  let at = 0
  for (let next = plain.indexOf(low); next >= 0; next = plain.indexOf(low, at)) {
    take(next, at, false)
    take(next + low.length, next, true)
    at = next + low.length
  }
  take(plain.length, at, false)
  return found
}
