/** Instants of looks in whole seconds: what is a moment away is now, and what was is never ahead. */
import { instant, now, span, zoneName } from '../lib/time'

/** The instant in full, put into words when somebody points at it: a long list has many. */
export const inFull = (at: string) => (event: { currentTarget: HTMLElement }) => {
  event.currentTarget.title = `${instant(at)} ${zoneName.peek()}`
}

const whole = (ms: number, round: (s: number) => number) => (ms < 10_000 ? `${round(ms / 1000)} s` : span(ms))

/** `in 46 s`; `now` when it is due. */
export function Ahead({ at }: { at: string }) {
  const left = new Date(at).getTime() - now.value
  return <time dateTime={at} onPointerEnter={inFull(at)}>{left <= 0 ? 'now' : `in ${whole(left, Math.ceil)}`}</time>
}

/** `13 s ago`; `just now` within the last second. */
export function Past({ at }: { at: string }) {
  const past = now.value - new Date(at).getTime()
  return <time dateTime={at} onPointerEnter={inFull(at)}>{past < 1000 ? 'just now' : `${whole(past, Math.floor)} ago`}</time>
}

/** `2 h 40 m`: how long since then. */
export function For({ at }: { at: string }) {
  return <time dateTime={at} onPointerEnter={inFull(at)}>{whole(Math.max(now.value - new Date(at).getTime(), 0), Math.floor)}</time>
}
