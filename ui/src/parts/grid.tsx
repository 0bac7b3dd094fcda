/**
 * Tasks by runs, the newest at the right, with the durations of runs on top: drawn on a canvas of what is in sight, with
 * rows for who cannot see it. Arrows move a cell, Enter opens what it stands for, and opens or closes a group.
 */
import './grid.css'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { theme } from '../app/theme'
import { rows, worst, type GridTask, type Row } from '../lib/rows'
import { state } from '../lib/states'
import { instant, lasted, zone } from '../lib/time'
import { State } from './basics'

export interface GridRun {
  run_id: string
  state: string
  kind: string
  logical_date: string
  started_at: string | null
  ended_at: string | null
  states: readonly number[]
  attempts: readonly number[]
}

export interface GridData { tasks: readonly GridTask[]; words: readonly string[]; runs: readonly GridRun[] }

const CELL = 20
const BARS = 64
const TOP = BARS + CELL + 6
const SHUT: ReadonlySet<string> = new Set()

export function TaskGrid({ data, closed = SHUT, onToggle, onTask, onRun, label = 'Tasks by runs' }: {
  data: GridData
  closed?: ReadonlySet<string>
  onToggle: (group: string) => void
  onTask: (run: string, task: string) => void
  onRun: (run: string) => void
  label?: string
}) {
  const scroller = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const runs = useMemo(() => [...data.runs].reverse(), [data])
  const shown = useMemo(() => rows(data.tasks, closed), [data.tasks, closed])
  const [at, setAt] = useState<{ row: number; column: number } | null>(null)
  const [over, setOver] = useState<{ row: number; column: number } | null>(null)
  const [size, setSize] = useState({ width: 0, height: 0 })
  const left = size.width && size.width < 500 ? 116 : 210
  const width = left + runs.length * CELL + 4
  const height = TOP + shown.length * CELL + 4
  const row = Math.min(at?.row ?? 0, shown.length - 1)
  const column = Math.min(at?.column ?? runs.length - 1, runs.length - 1)

  useLayoutEffect(() => {
    const box = scroller.current!
    const watch = new ResizeObserver(() => setSize({ width: box.clientWidth, height: Math.min(height, box.clientHeight) }))
    watch.observe(box)
    setSize({ width: box.clientWidth, height: Math.min(height, box.clientHeight) })
    return () => watch.disconnect()
  }, [height])
  useLayoutEffect(() => {
    scroller.current!.scrollLeft = width // the newest runs first
  }, [width, size.width > 0])

  const draw = () => size.width && canvas.current && scroller.current && paint(canvas.current, { runs, shown, words: data.words, left, size, scroller: scroller.current, at: at && { row, column } })
  const drawn = useRef(draw)
  drawn.current = draw
  useLayoutEffect(() => {
    const from = performance.now()
    if (draw()) performance.measure('bide-grid', { start: from, end: performance.now() })
  }, [data, shown, size, at, theme.value, zone.value])
  useEffect(() => {
    const again = () => drawn.current()
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', again)
    return () => dark.removeEventListener('change', again)
  }, [])

  function move(to: { row: number; column: number }) {
    const next = { row: Math.max(-1, Math.min(shown.length - 1, to.row)), column: Math.max(0, Math.min(runs.length - 1, to.column)) }
    setAt(next)
    const box = scroller.current!
    const x = left + next.column * CELL
    const y = TOP + next.row * CELL
    if (x - box.scrollLeft < left) box.scrollLeft = x - left
    else if (x + CELL > box.scrollLeft + box.clientWidth) box.scrollLeft = x + CELL + 4 - box.clientWidth
    if (next.row >= 0 && y - box.scrollTop < TOP) box.scrollTop = y - TOP
    else if (y + CELL > box.scrollTop + box.clientHeight) box.scrollTop = y + CELL + 4 - box.clientHeight
  }

  function enter(cell: { row: number; column: number }) {
    const run = runs[cell.column]
    const on = shown[cell.row]
    if (!on) run && onRun(run.run_id)
    else if (on.kind === 'group') onToggle(on.name)
    else if (run && run.states[on.of[0]!]! >= 0) onTask(run.run_id, on.name)
  }

  function key(event: KeyboardEvent) {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-10, 0], PageDown: [10, 0], Home: [0, -1e6], End: [0, 1e6] }[event.key]
    if (by) move(at ? { row: row + by[0]!, column: column + by[1]! } : { row, column })
    else if (event.key === 'Enter' || event.key === ' ') enter({ row, column })
    else return
    event.preventDefault()
  }

  function where(event: MouseEvent): { row: number; column: number } | null {
    const box = scroller.current!
    const frame = box.getBoundingClientRect()
    const x = event.clientX - frame.left - box.clientLeft
    const y = event.clientY - frame.top - box.clientTop
    const found = { row: y < TOP ? -1 : Math.floor((y + box.scrollTop - TOP) / CELL), column: x < left ? -1 : Math.floor((x + box.scrollLeft - left) / CELL) }
    return found.row < shown.length && found.column < runs.length ? found : null
  }

  function click(event: MouseEvent) {
    const found = where(event)
    if (!found) return
    if (found.column < 0) {
      const on = shown[found.row]
      if (on?.kind === 'group') onToggle(on.name)
      else if (on) setAt({ row: found.row, column })
      return
    }
    setAt(found)
    enter(found)
  }

  const told = over && over.column >= 0 ? over : at ? { row: at.row < 0 ? -1 : row, column } : null
  return (
    <>
      <div class="taskgrid" ref={scroller} tabIndex={0} role="grid" aria-label={label} aria-rowcount={shown.length + 1} aria-colcount={runs.length + 1}
        aria-activedescendant={at ? 'cell-at' : undefined} onKeyDown={key} onClick={click} onScroll={() => drawn.current()}
        onMouseMove={(event) => setOver(where(event))} onMouseLeave={() => setOver(null)} onFocus={() => at ?? setAt({ row: 0, column: runs.length - 1 })}>
        <div class="room" aria-hidden="true" style={{ width: `${width}px`, height: `${height}px` }}><canvas ref={canvas} /></div>
        <Rows runs={runs} shown={shown} words={data.words} row={at ? at.row < 0 ? -1 : row : 0} column={column} />
      </div>
      <div class="cellsays" data-testid="cell">
        {told ? <Says run={runs[told.column]} on={shown[told.row]} words={data.words} /> : <span class="dim">Point at a cell, or step through them with the arrow keys.</span>}
        <span class="dim keys">Arrows move, Enter opens</span>
      </div>
      <Legend data={data} />
    </>
  )
}

function Says({ run, on, words }: { run: GridRun | undefined; on: Row | undefined; words: readonly string[] }) {
  if (!run) return null
  const found = on ? worst(on.of.map((place) => run.states[place]!), words) : -1
  const tries = on?.kind === 'task' ? run.attempts[on.of[0]!]! : 0
  return (
    <>
      <strong>{on ? on.name : `Run ${run.run_id}`}</strong>
      {on ? found < 0 ? <span class="dim">not part of this run</span> : <State of={words[found]!} /> : <State of={run.state} />}
      {on && <span>run {run.run_id}</span>}
      <span class="dim">{instant(run.logical_date, false)}</span>
      {!on && <span class="dim">{run.kind}{run.started_at ? `, took ${lasted(run.started_at, run.ended_at)}` : ''}</span>}
      {tries > 1 && <span class="dim">started {tries} times</span>}
      {on?.kind === 'group' && <span class="dim">the gravest of {on.of.length} tasks</span>}
    </>
  )
}

function Legend({ data }: { data: GridData }) {
  const there = useMemo(() => {
    const found = new Set<string>()
    for (const run of data.runs) for (const each of run.states) if (each >= 0) found.add(data.words[each]!)
    return data.words.filter((word) => found.has(word))
  }, [data])
  return <div class="legend" aria-label="States in the grid" role="group">{there.map((word) => <State key={word} of={word} />)}</div>
}

/** What a screen reader has of it: the heads, and the rows about the cell that is stood on. */
function Rows({ runs, shown, words, row, column }: { runs: readonly GridRun[]; shown: readonly Row[]; words: readonly string[]; row: number; column: number }) {
  const near = shown.map((on, n) => [on, n] as const).slice(Math.max(0, row - 1), Math.max(0, row) + 2)
  return (
    <div role="rowgroup" class="unseen">
      <div role="row" aria-rowindex={1}>
        <span role="columnheader">Task</span>
        {runs.map((run, n) => (
          <span key={run.run_id} role="columnheader" id={row === -1 && n === column ? 'cell-at' : undefined}>Run {run.run_id}, {instant(run.logical_date, false)}, {state(run.state).word}</span>
        ))}
      </div>
      {near.map(([on, n]) => (
        <div key={on.name} role="row" aria-rowindex={n + 2} aria-expanded={on.kind === 'group' ? !on.closed : undefined}>
          <span role="rowheader">{on.kind === 'group' ? 'Group ' : ''}{on.name}</span>
          {runs.map((run, c) => {
            const found = worst(on.of.map((place) => run.states[place]!), words)
            return <span key={run.run_id} role="gridcell" id={n === row && c === column ? 'cell-at' : undefined}>{on.name}, run {run.run_id}: {found < 0 ? 'not part of it' : state(words[found]!).word}</span>
          })}
        </div>
      ))}
    </div>
  )
}

// --- drawing -------------------------------------------------------------------------------------------

interface Picture {
  runs: readonly GridRun[]
  shown: readonly Row[]
  words: readonly string[]
  left: number
  size: { width: number; height: number }
  scroller: HTMLElement
  at: { row: number; column: number } | null
}

const took = (run: GridRun) => (run.started_at ? Math.max(0, (run.ended_at ? Date.parse(run.ended_at) : Date.now()) - Date.parse(run.started_at)) : 0)

function paint(canvas: HTMLCanvasElement, { runs, shown, words, left, size, scroller, at }: Picture): boolean {
  const ratio = devicePixelRatio || 1
  const css = getComputedStyle(scroller)
  const colour = (name: string) => css.getPropertyValue(`--${name}`)
  if (canvas.width !== Math.round(size.width * ratio) || canvas.height !== Math.round(size.height * ratio)) {
    canvas.width = Math.round(size.width * ratio)
    canvas.height = Math.round(size.height * ratio)
    canvas.style.width = `${size.width}px`
    canvas.style.height = `${size.height}px`
  }
  const on = canvas.getContext('2d')!
  on.setTransform(ratio, 0, 0, ratio, 0, 0)
  on.fillStyle = colour('paper')
  on.fillRect(0, 0, size.width, size.height)
  const { scrollLeft, scrollTop } = scroller
  const stamps = new Map<string, HTMLCanvasElement>()
  const stamp = (word: string) => {
    const there = stamps.get(word)
    if (there) return there
    const made = stamped(word, ratio, colour)
    stamps.set(word, made)
    return made
  }
  const first = Math.max(0, Math.floor(scrollLeft / CELL))
  const last = Math.min(runs.length, Math.ceil((scrollLeft + size.width - left) / CELL))
  const from = Math.max(0, Math.floor(scrollTop / CELL))
  const until = Math.min(shown.length, Math.ceil((scrollTop + size.height - TOP) / CELL))
  on.textBaseline = 'middle'
  on.font = `12px ${css.fontFamily}`

  // cells
  on.save()
  on.beginPath()
  on.rect(left, TOP, size.width - left, size.height - TOP)
  on.clip()
  for (let r = from; r < until; r++) {
    const y = TOP + r * CELL - scrollTop
    const row = shown[r]!
    if (row.kind === 'group') {
      on.fillStyle = colour('ground')
      on.fillRect(left, y, size.width, CELL)
    }
    for (let c = first; c < last; c++) {
      const run = runs[c]!
      const found = row.kind === 'task' ? run.states[row.of[0]!]! : worst(row.of.map((place) => run.states[place]!), words)
      if (found < 0) continue
      const x = left + c * CELL - scrollLeft
      on.drawImage(stamp(words[found]!), x, y, CELL, CELL)
      if (row.kind === 'task' && run.attempts[row.of[0]!]! > 1) {
        on.fillStyle = colour('ink')
        on.fillRect(x + CELL - 6, y + 3, 3, 3) // it was started more than once
      }
    }
  }
  on.restore()

  // names
  on.fillStyle = colour('paper')
  on.fillRect(0, TOP, left, size.height - TOP)
  on.save()
  on.beginPath()
  on.rect(0, TOP, left - 6, size.height - TOP)
  on.clip()
  for (let r = from; r < until; r++) {
    const row = shown[r]!
    const y = TOP + r * CELL - scrollTop
    if (row.kind === 'group') {
      on.fillStyle = colour('ground')
      on.fillRect(0, y, left, CELL)
    }
    if (at && at.row === r) {
      on.fillStyle = colour('hover')
      on.fillRect(0, y, left, CELL)
    }
    const x = 8 + row.depth * 12
    on.fillStyle = colour(row.kind === 'group' ? 'ink' : 'ink')
    on.font = `${row.kind === 'group' ? '600 ' : ''}12px ${css.fontFamily}`
    if (row.kind === 'group') {
      on.beginPath()
      if (row.closed) on.moveTo(x, y + 6), on.lineTo(x + 6, y + 10), on.lineTo(x, y + 14)
      else on.moveTo(x - 1, y + 8), on.lineTo(x + 7, y + 8), on.lineTo(x + 3, y + 14)
      on.fill()
    }
    const text = row.kind === 'group' ? `${row.label} (${row.of.length})` : row.label
    on.fillText(fitted(on, text, left - x - (row.kind === 'group' ? 24 : 12)), x + (row.kind === 'group' ? 12 : 0), y + CELL / 2)
  }
  on.restore()

  // durations of runs, and how they ended
  on.fillStyle = colour('paper')
  on.fillRect(0, 0, size.width, TOP)
  const longest = runs.reduce((most, run) => Math.max(most, took(run)), 0)
  on.font = `11px ${css.fontFamily}`
  on.fillStyle = colour('dim')
  on.textAlign = 'right'
  if (longest) on.fillText(lasted(new Date(0).toISOString(), new Date(longest).toISOString()), left - 8, 12)
  on.fillText('duration', left - 8, BARS - 8)
  on.fillText('run', left - 8, BARS + CELL / 2 + 1)
  on.textAlign = 'left'
  on.strokeStyle = colour('line')
  on.beginPath()
  on.moveTo(left, 6.5)
  on.lineTo(size.width, 6.5)
  on.moveTo(0, TOP - 2.5)
  on.lineTo(size.width, TOP - 2.5)
  on.stroke()
  on.save()
  on.beginPath()
  on.rect(left, 0, size.width - left, TOP - 3)
  on.clip()
  for (let c = first; c < last; c++) {
    const run = runs[c]!
    const x = left + c * CELL - scrollLeft
    const tall = longest ? Math.max(2, (took(run) / longest) * (BARS - 8)) : 0
    if (run.started_at) {
      on.fillStyle = colour(state(run.state).family)
      on.fillRect(x + 5, BARS - tall, CELL - 10, tall)
    }
    on.drawImage(stamp(run.state), x, BARS + 1, CELL, CELL)
  }
  on.restore()

  if (at && runs.length) {
    const x = left + at.column * CELL - scrollLeft
    const y = at.row < 0 ? BARS + 1 : TOP + at.row * CELL - scrollTop
    if (x >= left - 1 && (at.row < 0 || y >= TOP - 1)) {
      on.strokeStyle = colour('focus')
      on.lineWidth = 2.5
      on.strokeRect(x + 1, y + 1, CELL - 2, CELL - 2)
      on.lineWidth = 1
    }
  }
  return true
}

/** The sign of a state on its ground, drawn once. */
function stamped(word: string, ratio: number, colour: (name: string) => string): HTMLCanvasElement {
  const it = state(word)
  const made = document.createElement('canvas')
  made.width = made.height = Math.round(CELL * ratio)
  const on = made.getContext('2d')!
  on.scale(ratio, ratio)
  on.fillStyle = colour(`${it.family}-bg`)
  on.beginPath()
  on.roundRect(1.5, 1.5, CELL - 3, CELL - 3, 3)
  on.fill()
  on.translate(3, 3)
  on.scale((CELL - 6) / 16, (CELL - 6) / 16)
  on.strokeStyle = colour(it.family)
  on.lineWidth = 2
  on.lineCap = on.lineJoin = 'round'
  on.stroke(new Path2D(it.sign))
  return made
}

function fitted(on: CanvasRenderingContext2D, text: string, room: number): string {
  if (on.measureText(text).width <= room) return text
  let most = text.length
  while (most > 1 && on.measureText(`${text.slice(0, most)}…`).width > room) most--
  return `${text.slice(0, most)}…`
}
