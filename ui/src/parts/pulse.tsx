/** How the service is at this moment, and how it was since this page was opened: asked once a second. */
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Answer } from '../api/client'
import { useGet } from '../api/query'
import { bytes } from '../lib/sizes'
import { instant } from '../lib/time'
import { theme } from '../app/theme'
import { Shown } from './basics'
import './pulse.css'

type Now = Answer<'/api/v1/system/pulse'>
const KEPT = 180

export function Pulse() {
  const pulse = useGet('/api/v1/system/pulse', { every: 1_000 })
  const seen = useRef<Now[]>([])
  const now = pulse.data.value
  if (now && seen.current.at(-1)?.at !== now.at) seen.current = [...seen.current.slice(1 - KEPT), now]
  return (
    <section class="panel pulse" aria-label="At this moment">
      <Shown of={pulse}>
        {(it) => (
          <>
            <div class="figures">
              <Figure name="Loop, now" of={it.loop_now_ms === null ? '-' : `${it.loop_now_ms} ms`} hint="how late it came to a timer" />
              <Figure name="Loop, last 10 s" of={it.loop_lag_ms === null ? '-' : `${it.loop_lag_ms} ms`} hint="at worst" />
              <Figure name="Journal" of={Number(it.newest).toLocaleString()} hint={`${rate(seen.current)} lines a second`} />
              <Figure name="To be decided" of={it.inbox === null ? '-' : it.inbox.toLocaleString()} hint="inputs before the engine" />
              <Figure name="Bodies" of={it.bodies === null ? '-' : it.bodies.toLocaleString()} hint={it.slots === null ? '' : `${it.slots_in_use} of ${it.slots} slots`} />
              <Figure name="Event stream" of={it.readers === null ? '-' : it.readers.toLocaleString()} hint={it.readers === 1 ? 'reader, this page' : 'readers'} />
              <Figure name="Database" of={bytes(it.database_bytes)} hint={`and ${bytes(it.log_bytes)} of log`} />
            </div>
            <Lag seen={seen.current} />
            <p class="dim lag-says">How late the loop came to a timer, once a second since this page was opened; three minutes are kept.</p>
            {it.full && <p class="wrong">Nothing can be committed: {it.full}</p>}
          </>
        )}
      </Shown>
    </section>
  )
}

function Figure({ name, of, hint }: { name: string; of: string; hint: string }) {
  return <div class="figure"><span class="dim">{name}</span><b>{of}</b><small class="dim">{hint}</small></div>
}

function rate(seen: readonly Now[]): string {
  const [first, last] = [seen.at(-10) ?? seen[0], seen.at(-1)]
  const seconds = first && last ? (Date.parse(last.at) - Date.parse(first.at)) / 1000 : 0
  return seconds > 0 ? ((Number(last?.newest) - Number(first?.newest)) / seconds).toFixed(1) : '0.0'
}

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** A small plot of the loop's lag. What it shows stands in figures above it. */
function Lag({ seen }: { seen: readonly Now[] }) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  useEffect(() => {
    const at = place.current
    if (!at) return
    const axis = { stroke: colour('--dim'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' }
    const made = new uPlot({
      width: at.clientWidth, height: 120, legend: { show: false }, cursor: { show: false },
      scales: { x: { range: (_plot, _min, max) => [max - KEPT, max] }, y: { range: (_plot, _min, max) => [0, Math.max(10, max * 1.1)] } },
      axes: [{ ...axis, size: 24, space: 90, values: (_plot, ticks) => ticks.map((tick) => instant(new Date(tick * 1000).toISOString()).slice(11)) }, { ...axis, size: 52, values: (_plot, ticks) => ticks.map((tick) => `${tick} ms`) }],
      series: [{}, { stroke: colour('--busy'), fill: colour('--busy-bg'), width: 1.5, points: { show: (plot) => (plot.data[0]?.length ?? 0) < 8, size: 4 } }],
    }, [[], []], at)
    plot.current = made
    const sized = new ResizeObserver(() => made.setSize({ width: at.clientWidth, height: 120 }))
    sized.observe(at)
    return () => { sized.disconnect(); made.destroy(); plot.current = null }
  }, [theme.value])
  useEffect(() => {
    const known = seen.filter((each) => each.loop_now_ms !== null)
    plot.current?.setData([known.map((each) => Date.parse(each.at) / 1000), known.map((each) => each.loop_now_ms)])
  }, [seen.at(-1)?.at, theme.value])
  return <div class="lag" ref={place} role="img" aria-label={`How late the loop came to a timer, of the last ${seen.length} seconds: ${Math.max(0, ...seen.map((each) => each.loop_now_ms ?? 0))} ms at most`} />
}
