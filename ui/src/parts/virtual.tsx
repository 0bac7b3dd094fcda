/** A long list of which only what can be seen is in the page: rows of known heights, scrolled with the page itself. */
import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'

/** Where rows begin, and at last where the list ends. */
export function offsets(heights: readonly number[]): number[] {
  const found = [0]
  for (const height of heights) found.push(found[found.length - 1]! + height)
  return found
}

/** The last row that begins at or above a height; of an empty list 0. */
export function rowAt(tops: readonly number[], y: number): number {
  let low = 0
  let high = Math.max(tops.length - 2, 0)
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (tops[middle]! <= y) low = middle
    else high = middle - 1
  }
  return low
}

/** A place in the page: what stands in it changes, the place stays where it is. */
export interface Place { key: number; name: string }

/** What stays keeps its place, what comes takes those of what is gone, and then new ones. `spare`: a place that nothing takes keeps what it has. */
export function seated(places: readonly Place[], wanted: readonly string[], spare: boolean): Place[] {
  const there = new Set(places.map((place) => place.name))
  const staying = new Set(wanted)
  const coming = wanted.filter((name) => !there.has(name)).reverse()
  const found: Place[] = []
  for (const place of places) {
    const next = staying.has(place.name) ? place.name : coming.pop() ?? (spare ? place.name : undefined)
    if (next !== undefined) found.push(next === place.name ? place : { key: place.key, name: next })
  }
  let key = places.reduce((most, place) => Math.max(most, place.key), -1)
  while (coming.length) found.push({ key: ++key, name: coming.pop()! })
  return found
}

/** In the order in which they are read. */
export function ordered(places: readonly Place[], wanted: readonly string[]): Place[] {
  const rank = new Map(wanted.map((name, at) => [name, at]))
  return [...places].sort((a, b) => rank.get(a.name)! - rank.get(b.name)!)
}

interface Made<T> { row: T; at: number; top: number; tall: number; of: unknown; body: ComponentChildren; it: VNode }

/** So far beyond what is seen, in pixels, rows are in the page: what is scrolled to is there before it is asked for. */
const BEYOND = 240
/** So long, ms, after the last piece of it scrolling is over. */
const REST = 150

/** While it is scrolled, rows that come are written into the places of rows that have gone: nothing is made, moved or thrown away. As soon
 *  as it rests, or anything in it has the focus, rows stand in the page in the order in which they are read. */
export function Virtual<T extends object>({ rows, height, id, children, label, onShown }: {
  rows: readonly T[]
  /** In pixels: the same for as long as the row and this function are the same. */
  height: (row: T, at: number) => number
  id: (row: T) => string
  /** What a row is made of: the same function for as long as the same row makes the same. */
  children: (row: T, at: number) => ComponentChildren
  label: string
  /** What is in the page now, after each change of that. */
  onShown?: (rows: readonly T[]) => void
}) {
  const box = useRef<HTMLDivElement>(null)
  const [span, setSpan] = useState<[number, number]>([0, 30])
  const [held, setHeld] = useState<string | null>(null)
  const [moving, setMoving] = useState(false)
  const tops = useMemo(() => offsets(rows.map(height)), [rows, height])
  const page = useRef<{ places: Place[]; made: Map<number, Made<T>>; of: unknown }>({ places: [], made: new Map(), of: rows })

  const latest = useRef(tops)
  latest.current = tops
  const look = useMemo(() => () => {
    const top = -(box.current?.getBoundingClientRect().top ?? 0)
    const from = rowAt(latest.current, top - BEYOND)
    const to = rowAt(latest.current, top + innerHeight + BEYOND) + 1
    setSpan((was) => (was[0] === from && was[1] === to ? was : [from, to]))
  }, [])
  useLayoutEffect(look, [tops])
  useEffect(() => {
    let asked = 0
    let rest: ReturnType<typeof setTimeout> | undefined
    const soon = () => {
      asked ||= requestAnimationFrame(() => {
        asked = 0
        look()
      })
    }
    const scrolled = () => {
      soon()
      setMoving(true)
      clearTimeout(rest)
      rest = setTimeout(() => setMoving(false), REST)
    }
    addEventListener('scroll', scrolled, { passive: true })
    addEventListener('resize', soon)
    return () => {
      cancelAnimationFrame(asked)
      clearTimeout(rest)
      removeEventListener('scroll', scrolled)
      removeEventListener('resize', soon)
    }
  }, [])

  const [from, to] = [Math.min(span[0], rows.length), Math.min(span[1], rows.length)]
  const shown: number[] = []
  for (let at = from; at < to; at++) shown.push(at)
  // what has the focus stays in the page, wherever it is scrolled to
  const kept = useMemo(() => (held === null ? -1 : rows.findIndex((row) => id(row) === held)), [held, rows])
  if (kept >= 0 && kept < from) shown.unshift(kept)
  else if (kept >= to) shown.push(kept)

  const wanted = shown.map((at) => id(rows[at]!))
  const where = new Map(wanted.map((name, n) => [name, shown[n]!]))
  const loose = moving && held === null
  const seats = seated(page.current.places, wanted, loose && page.current.of === rows)
  page.current.places = loose ? seats : ordered(seats, wanted)
  page.current.of = rows
  const { made } = page.current
  if (made.size > page.current.places.length) {
    const keys = new Set(page.current.places.map((place) => place.key))
    for (const key of made.keys()) if (!keys.has(key)) made.delete(key)
  }
  const drawn = ({ key, name }: Place) => {
    const was = made.get(key)
    const at = where.get(name)
    if (at === undefined) return was!.it // out of sight, until its place is wanted
    const [row, top, tall] = [rows[at]!, tops[at]!, tops[at + 1]! - tops[at]!]
    const same = was?.row === row && was.of === children
    if (same && was.at === at && was.top === top && was.tall === tall) return was.it
    const body = same ? was.body : children(row, at)
    const it = (
      <div
        key={key} class="virtual-row" role="row" aria-rowindex={at + 1} data-row={name}
        style={{ transform: `translateY(${top}px)`, height: `${tall}px` }}
      >
        {body}
      </div>
    )
    made.set(key, { row, at, top, tall, of: children, body, it })
    return it
  }

  // a row that has the focus and is moved within the page is scrolled to, or loses it: neither was asked for
  const focused = held === null ? null : (document.activeElement as HTMLElement | null)
  const stood = focused && scrollY
  useLayoutEffect(() => {
    if (!focused || !box.current?.contains(focused)) return
    if (focused !== document.activeElement) focused.focus({ preventScroll: true })
    if (scrollY !== stood) scrollTo({ top: stood!, behavior: 'instant' })
  })

  useEffect(() => onShown?.(rows.slice(from, to)), [rows, from, to])
  return (
    <div
      ref={box} class="virtual" role="table" aria-label={label} aria-rowcount={rows.length}
      style={{ height: `${tops[rows.length] ?? 0}px` }}
      onFocusIn={(event) => setHeld((event.target as Element).closest('[data-row]')?.getAttribute('data-row') ?? null)}
      onFocusOut={() => setHeld(null)}
    >
      {page.current.places.map(drawn)}
    </div>
  )
}
