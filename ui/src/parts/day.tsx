/** A day back and a day ahead: what runs became, hour by hour, and what fires when. */
import type { Answer } from '../api/client'
import { cells, type Cell } from '../lib/day'
import { state } from '../lib/states'
import { instant } from '../lib/time'
import './day.css'

type Home = Answer<'/api/v1/home'>
const HOUR = 3_600_000
const ORDER = ['failed', 'cancelled', 'running', 'queued', 'success']

const sum = (runs: Record<string, number>) => Object.values(runs).reduce((all, count) => all + count, 0)
const hour = (at: number) => instant(new Date(at).toISOString(), false)

function words(cell: Cell): string {
  const runs = ORDER.filter((name) => cell.runs[name]).map((name) => `${cell.runs[name]} ${state(name).word}`)
  const fires = [...new Set(cell.firings)]
  if (fires.length) runs.push(`due: ${fires.slice(0, 6).join(', ')}${fires.length > 6 ? ` and ${fires.length - 6} more` : ''}`)
  return `${hour(cell.at)} ${runs.join(', ') || 'nothing'}`
}

export function Day({ hours, whole, next, at }: { hours: Home['hours']; whole: boolean; next: Home['next']; at: string }) {
  const shown = cells(hours, next)
  const most = Math.max(1, ...shown.map((cell) => sum(cell.runs)), ...shown.map((cell) => cell.firings.length))
  const now = (Date.parse(at) - (shown[0]?.at ?? 0)) / (shown.length * HOUR)
  const runs = hours.reduce((all, each) => all + sum(each.runs), 0)
  const failed = hours.reduce((all, each) => all + (each.runs.failed ?? 0), 0)
  const of = whole ? `${runs.toLocaleString()} runs` : `the newest ${runs.toLocaleString()} runs`
  const due = next.reduce((all, each) => all + each.firings.length, 0)
  return (
    <section class="panel day">
      <header>
        <h2>A day back, a day ahead</h2>
        <div class="side dim">{of}, {failed.toLocaleString()} of them failed; {due.toLocaleString()}{next.some((each) => each.more) ? ' and more' : ''} to come</div>
      </header>
      <div class="hours" role="img" aria-label={`${of} in the last 24 hours, ${failed} of them failed; ${due} firings in the next 24 hours`}>
        {shown.map((cell) => (
          <div key={cell.at} class="hour" title={words(cell)}>
            <div class="column">
              {ORDER.filter((name) => cell.runs[name]).map((name) => <i key={name} class={`of-${state(name).family}`} style={{ height: `${(100 * (cell.runs[name] ?? 0)) / most}%` }} />)}
              {cell.firings.length > 0 && <i class="due" style={{ height: `${Math.max(8, (100 * cell.firings.length) / most)}%` }} />}
            </div>
          </div>
        ))}
        <span class="now" style={{ left: `${100 * now}%` }} aria-hidden="true"><b>now</b></span>
      </div>
      <div class="scale dim" aria-hidden="true">{[0, 0.25, 0.5, 0.75, 1].map((share) => <span key={share} style={{ left: `${100 * share}%` }}>{hour((shown[0]?.at ?? 0) + share * shown.length * HOUR).slice(11)}</span>)}</div>
      <div class="legend dim" aria-hidden="true"><span><i class="of-good" />success</span><span><i class="of-busy" />running</span><span><i class="of-bad" />failed</span><span><i class="due" />due</span></div>
    </section>
  )
}
