/** Rows of tasks with bars of what each did with its time. Only the rows that are seen are drawn, however many there are. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { ReadonlySignal } from '@preact/signals'
import { Link, State } from './basics'
import { bars, ends, path, PHASES, ticks, type Bar, type Phase } from './gantt_bars'
import { now, span } from '../lib/time'
import './gantt.css'

const ROW = 30
const MIDDLE = ROW / 2
const MOST = 16

export interface GanttRow {
  id: string
  label: string
  to?: string
  state: ReadonlySignal<string>
  /** The state before the first move. */
  first: string
  moves: ReadonlySignal<{ at: number; now: string }[]>
  /** When it was made, where that was later than the axis begins. */
  made?: () => number | undefined
}

export interface GanttShown {
  rows: readonly GanttRow[]
  /** Where the axis begins, and where it ends: null while it goes on. */
  opened: number
  ended: number | null
  label: string
  chosen?: string | undefined
  onChoose?: (id: string) => void
  /** Rows of the critical path, with when each was let go: a line leads there from the one before. */
  critical?: ReadonlyMap<string, number> | undefined
}

export function Gantt({ rows, opened, ended, label, chosen, onChoose, critical }: GanttShown) {
  const body = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  const until = Math.max(ended ?? now.value, opened + 1)
  const from = Math.max(0, Math.floor(top / ROW) - 4)
  const seen = rows.slice(from, from + MOST + 8)
  const leads = useMemo(() => (critical ? path(rows, critical) : []), [rows, critical])
  useEffect(() => {
    const at = rows.findIndex((row) => row.id === chosen)
    const box = body.current
    if (at < 0 || !box) return
    if (at * ROW < box.scrollTop || (at + 1) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, (at - 4) * ROW)
  }, [chosen])
  return (
    <div class="gantt">
      <div class="gantt-axis" aria-hidden="true">
        <div class="gantt-track">{ticks(until - opened, innerWidth < 760 ? 2 : 8).filter((at) => at <= (until - opened) * (innerWidth < 760 ? 0.75 : 0.93)).map((at) => <span key={at} style={{ left: `${(at / (until - opened)) * 100}%` }}>{at ? span(at).replace(/ 0 [smh]$/, '') : '0'}</span>)}</div>
      </div>
      <div class="gantt-body" ref={body} style={{ height: `${Math.min(rows.length, MOST) * ROW}px` }} tabIndex={0} role="region" aria-label={`${label}, ${rows.length.toLocaleString()} rows`} onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
        <div class="gantt-rows" style={{ height: `${rows.length * ROW}px` }}>
          {seen.map((row, i) => <Row key={row.id} {...{ row, opened, until, onChoose }} at={from + i} over={ended !== null} chosen={row.id === chosen} critical={critical?.has(row.id) ?? false} />)}
          <div class="gantt-leads" aria-hidden="true">
            {leads.filter((lead) => Math.max(lead.from, lead.to) >= from && Math.min(lead.from, lead.to) < from + MOST + 8).map((lead) => <i key={lead.to} style={{ left: `${((lead.at - opened) / (until - opened)) * 100}%`, top: `${Math.min(lead.from, lead.to) * ROW + MIDDLE}px`, height: `${Math.abs(lead.to - lead.from) * ROW}px` }} />)}
          </div>
        </div>
      </div>
    </div>
  )
}

function Row({ row, at, opened, until, over, chosen, critical, onChoose }: { row: GanttRow; at: number; opened: number; until: number; over: boolean; chosen: boolean; critical: boolean; onChoose: ((id: string) => void) | undefined }) {
  const moves = row.moves.value
  const found = bars(row.first, moves, Math.max(opened, row.made?.() ?? opened), until)
  const { from, until: left } = ends(moves)
  const wide = until - opened
  const took = from === null ? '' : span((left ?? (over ? from : until)) - from)
  return (
    <div class={`gantt-row${chosen ? ' chosen' : ''}${critical ? ' critical' : ''}`} style={{ top: `${at * ROW}px` }}>
      <span class="gantt-name">
        <State of={row.state.value} bare />
        {onChoose ? <button class="plain" title={row.label} aria-pressed={chosen} onClick={() => onChoose(row.id)}><bdi>{row.label}</bdi></button> : row.to ? <Link to={row.to} title={row.label}>{row.label}</Link> : <span title={row.label}>{row.label}</span>}
      </span>
      <span class="gantt-track" role="img" aria-label={said(found)} title={said(found)}>
        {found.map((bar) => <i key={bar.from} class={`bar-${bar.phase}`} style={{ left: `${((bar.from - opened) / wide) * 100}%`, width: `${((bar.until - bar.from) / wide) * 100}%` }} />)}
      </span>
      <span class="gantt-took">{took}</span>
    </div>
  )
}

const said = (found: Bar[]) => found.filter((bar) => bar.phase !== 'blocked').map((bar) => `${PHASES[bar.phase]} ${span(bar.until - bar.from)}`).join(', ') || 'nothing yet'

/** What the bars mean. */
export function Legend({ of = Object.keys(PHASES) as Phase[] }: { of?: Phase[] }) {
  return <div class="gantt-legend">{of.map((phase) => <span key={phase}><i class={`bar-${phase}`} />{PHASES[phase]}</span>)}</div>
}
