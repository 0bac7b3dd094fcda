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

/** So far beyond what is seen, in pixels, rows are in the page: what is scrolled to is there before it is asked for. */
const BEYOND = 240

export function Virtual<T>({ rows, height, id, children, label, onShown }: {
  rows: readonly T[]
  /** In pixels: the same for as long as the row is the same. */
  height: (row: T) => number
  id: (row: T) => string
  children: (row: T) => ComponentChildren
  label: string
  /** What is in the page now, after each change of that. */
  onShown?: (rows: readonly T[]) => void
}) {
  const box = useRef<HTMLDivElement>(null)
  const [span, setSpan] = useState<[number, number]>([0, 30])
  const [held, setHeld] = useState<string | null>(null)
  const tops = useMemo(() => offsets(rows.map(height)), [rows, height])

  useLayoutEffect(() => {
    let asked = 0
    const look = () => {
      asked = 0
      const top = -(box.current?.getBoundingClientRect().top ?? 0)
      const from = rowAt(tops, top - BEYOND)
      const to = rowAt(tops, top + innerHeight + BEYOND) + 1
      setSpan((was) => (was[0] === from && was[1] === to ? was : [from, to]))
    }
    const soon = () => { asked ||= requestAnimationFrame(look) }
    look()
    addEventListener('scroll', soon, { passive: true })
    addEventListener('resize', soon)
    return () => {
      cancelAnimationFrame(asked)
      removeEventListener('scroll', soon)
      removeEventListener('resize', soon)
    }
  }, [tops])

  const [from, to] = [Math.min(span[0], rows.length), Math.min(span[1], rows.length)]
  const shown: number[] = []
  for (let at = from; at < to; at++) shown.push(at)
  // what has the focus stays in the page, wherever it is scrolled to
  const kept = useMemo(() => (held === null ? -1 : rows.findIndex((row) => id(row) === held)), [held, rows])
  if (kept >= 0 && kept < from) shown.unshift(kept)
  else if (kept >= to) shown.push(kept)

  // a row that stays is not made again by scrolling: only what comes into sight is work
  const made = useMemo(() => new Map<number, VNode>(), [rows, tops, children])
  for (const at of made.keys()) if ((at < from || at >= to) && at !== kept) made.delete(at)
  const drawn = (at: number) => {
    const row = rows[at]!
    const name = id(row)
    const it = (
      <div
        key={name} class="virtual-row" role="row" aria-rowindex={at + 1} data-row={name}
        style={{ transform: `translateY(${tops[at]}px)`, height: `${tops[at + 1]! - tops[at]!}px` }}
      >
        {children(row)}
      </div>
    )
    made.set(at, it)
    return it
  }

  useEffect(() => onShown?.(rows.slice(from, to)), [rows, from, to])
  return (
    <div
      ref={box} class="virtual" role="table" aria-label={label} aria-rowcount={rows.length}
      style={{ height: `${tops[rows.length] ?? 0}px` }}
      onFocusIn={(event) => setHeld((event.target as Element).closest('[data-row]')?.getAttribute('data-row') ?? null)}
      onFocusOut={() => setHeld(null)}
    >
      {shown.map((at) => made.get(at) ?? drawn(at))}
    </div>
  )
}
