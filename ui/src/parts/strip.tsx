/** The intervals of an asset as a strip: a cell an interval, its state as sign, colour and word. */
import { interval, short, strip, type Interval } from '../lib/intervals'
import { state } from '../lib/states'

export interface Part { interval: Interval; version: string; state: string; newest: string; newest_state: string; versions: number; place: string }

/** A newer version in one of these states is said where an older one counts. */
const HELD = new Set(['invalidated', 'staged', 'validated', 'quarantined', 'building', 'failed'])

/** What a cell says to those who do not see it. */
function told(part: Part): string {
  const more = part.versions > 1 ? `, ${part.versions} versions` : ''
  const held = part.newest !== part.version && HELD.has(part.newest_state) ? `; version ${part.newest} is ${state(part.newest_state).word}` : ''
  return `${interval(part.interval)}: ${state(part.state).word}, version ${part.version}${more}${held}`
}

/** The newest stands at the right, and is what is seen first. */
export function Strip({ parts, chosen, onChoose, label }: { parts: readonly Part[]; chosen: string; onChoose: (part: Part) => void; label: string }) {
  return (
    <div class="strip" role="group" aria-label={label} ref={(at) => {
      if (at && !at.dataset.seen) {
        at.dataset.seen = '1'
        at.scrollLeft = at.scrollWidth
      }
    }}>
      {strip(parts).map((part) => {
        if ('gap' in part) return <span key={part.gap.start} class="gap" title={`no version for ${interval(part.gap)}`}><span aria-hidden="true">...</span><small>none</small></span>
        const it = state(part.state)
        const [above, below] = short(part.interval)
        return (
          <button key={part.place} class={it.family} aria-pressed={part.place === chosen} title={told(part)} aria-label={told(part)} onClick={() => onChoose(part)}>
            <span>{above}{below && <><br />{below}</>}</span>
            <svg viewBox="0 0 16 16" aria-hidden="true"><path d={it.sign} /></svg>
            <small>{it.word}</small>
            {part.versions > 1 && <span class="mark" aria-hidden="true">{part.newest !== part.version && HELD.has(part.newest_state) ? '!' : ''}x{part.versions}</span>}
          </button>
        )
      })}
    </div>
  )
}

/** The last intervals, small: for a row of a table. */
export function Ribbon({ parts }: { parts: readonly Part[] }) {
  if (parts.length === 0) return <span class="dim">no version yet</span>
  const words = new Map<string, number>()
  for (const part of parts) words.set(state(part.state).word, (words.get(state(part.state).word) ?? 0) + 1)
  return (
    <span class="ribbon" role="img" aria-label={`the last ${parts.length} intervals: ${[...words].map(([word, count]) => `${count} ${word}`).join(', ')}`}>
      {[...parts].reverse().map((part) => {
        const it = state(part.state)
        return <span key={part.place} class={it.family} title={told(part)}><svg viewBox="0 0 16 16" aria-hidden="true"><path d={it.sign} /></svg></span>
      })}
    </span>
  )
}
