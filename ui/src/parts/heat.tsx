/** A heat map of intervals: a cell each, its state as sign and colour. A canvas; keys lead through it, and what is chosen is said. */
import { useEffect, useMemo, useRef } from 'preact/hooks'
import type { ComponentChildren } from 'preact'
import { theme } from '../app/theme'
import { lines, next } from '../lib/heat'
import { state, type Family } from '../lib/states'
import { instant, zoneName } from '../lib/time'
import './heat.css'

const SIZE = 18
const GAP = 2
const LEFT = 84
const EDGE = 6
/** Families whose cells are filled: what is done and what goes on stand out, what is to come does not. */
const FILLED: ReadonlySet<Family> = new Set(['good', 'bad', 'busy'])

export function Heat({ label, starts, states, chosen, onChoose, onOpen, children }: {
  label: string
  /** When each interval begins, in milliseconds, and its state. */
  starts: readonly number[]
  states: readonly string[]
  chosen: number
  onChoose: (cell: number) => void
  onOpen?: (cell: number) => void
  /** What is said of the chosen one. */
  children?: ComponentChildren
}) {
  const box = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const zone = zoneName.value
  const all = useMemo(() => lines(starts, (at) => instant(new Date(at).toISOString())), [starts, zone])
  const wide = useMemo(() => all.reduce((most, line) => Math.max(most, line.cells.at(-1)?.[0] ?? 0), 0) + 1, [all])
  const step = SIZE + GAP
  const size = { width: LEFT + wide * step + EDGE, height: all.length * step + 2 * EDGE }

  function draw() {
    const at = box.current
    const on = canvas.current
    const ink = on?.getContext('2d')
    if (!at || !on || !ink) return
    const fine = devicePixelRatio || 1
    const height = Math.min(size.height, at.clientHeight || size.height)
    on.width = size.width * fine
    on.height = height * fine
    on.style.width = `${size.width}px`
    on.style.height = `${height}px`
    ink.scale(fine, fine)
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim()
    ink.font = `12px ${colour('mono') || 'monospace'}`
    ink.textBaseline = 'middle'
    const top = at.scrollTop
    const first = Math.max(0, Math.floor((top - EDGE) / step))
    for (let y = first; y < all.length && y * step + EDGE - top < height; y++) {
      const down = y * step + EDGE - top
      ink.fillStyle = colour('dim')
      ink.fillText(all[y]!.name, EDGE, down + SIZE / 2)
      for (const [column, cell] of all[y]!.cells) {
        const it = state(states[cell] ?? 'pending')
        const filled = FILLED.has(it.family)
        const right = LEFT + column * step
        ink.fillStyle = colour(filled ? it.family : `${it.family}-bg`)
        ink.beginPath()
        ink.roundRect(right, down, SIZE, SIZE, 3)
        ink.fill()
        ink.save()
        ink.translate(right + 2, down + 2)
        ink.scale((SIZE - 4) / 16, (SIZE - 4) / 16)
        ink.strokeStyle = colour(filled ? 'paper' : it.family)
        ink.lineWidth = 2
        ink.lineCap = ink.lineJoin = 'round'
        ink.stroke(new Path2D(it.sign))
        ink.restore()
        if (cell === chosen) {
          ink.strokeStyle = colour('focus')
          ink.lineWidth = 2.5
          ink.strokeRect(right - 1, down - 1, SIZE + 2, SIZE + 2)
        }
      }
    }
  }

  useEffect(draw)
  useEffect(() => theme.subscribe(() => requestAnimationFrame(draw)), [])
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', draw)
    return () => dark.removeEventListener('change', draw)
  })

  function choose(cell: number) {
    onChoose(cell)
    const y = all.findIndex((line) => line.cells.some((each) => each[1] === cell))
    const at = box.current
    if (!at || y < 0) return
    if (y * step < at.scrollTop) at.scrollTop = y * step
    else if ((y + 1) * step + 2 * EDGE > at.scrollTop + at.clientHeight) at.scrollTop = (y + 1) * step + 2 * EDGE - at.clientHeight
  }

  function clicked(event: MouseEvent) {
    const at = canvas.current?.getBoundingClientRect()
    if (!at || !box.current) return
    const line = all[Math.floor((event.clientY - at.top + box.current.scrollTop - EDGE) / step)]
    const column = Math.floor((event.clientX - at.left - LEFT) / step)
    const cell = line?.cells.find(([its]) => its === column)?.[1]
    if (cell !== undefined) choose(cell)
  }

  return (
    <>
      <div
        ref={box} class="heat" role="application" aria-roledescription="heat map" tabIndex={0} aria-label={`${label}. Arrow keys choose an interval.`}
        onScroll={draw} onClick={clicked}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && chosen >= 0) onOpen?.(chosen)
          else if (/^(Arrow|Home|End)/.test(event.key)) choose(next(all, chosen, event.key))
          else return
          event.preventDefault()
        }}
      >
        <div style={{ height: `${size.height}px`, width: `${size.width}px` }}><canvas ref={canvas} aria-hidden="true" /></div>
      </div>
      <div class="heat-said" role="status">{children}</div>
    </>
  )
}
