/** What is left of a span, as a bar that shrinks, and in words. */
import { instant, now, span, zoneName } from '../lib/time'

/** The share of a span that lies ahead, 0 to 1, and how much to worry: less than a fifth of it is soon. */
export function left(since: string, until: string, at: number): { share: number; ms: number; mood: '' | 'soon' | 'over' } {
  const [start, end] = [new Date(since).getTime(), new Date(until).getTime()]
  const ms = end - at
  const share = Math.min(Math.max(ms / Math.max(end - start, 1), 0), 1)
  return { share, ms, mood: ms <= 0 ? 'over' : share < 0.2 ? 'soon' : '' }
}

export function Remaining({ since, until }: { since: string; until: string | null | undefined }) {
  if (!until) return <span class="dim">no deadline</span>
  const it = left(since, until, now.value)
  const words = it.ms <= 0 ? `over for ${span(-it.ms)}` : `${span(it.ms)} left`
  return (
    <span class="remaining" onPointerEnter={(event) => { event.currentTarget.title = `gives up at ${instant(until)} ${zoneName.peek()}` }}>
      <span class={`bar ${it.mood}`} aria-hidden="true"><i style={{ width: `${(it.share * 100).toFixed(1)}%` }} /></span>
      <span class={it.mood ? `left ${it.mood}` : 'left'}>{words}</span>
    </span>
  )
}
