/** Data intervals as people read them: as short as says which one is meant. */
import { instant } from './time'

export interface Interval { start: string; end: string }

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const hours = (of: Interval) => (new Date(of.end).getTime() - new Date(of.start).getTime()) / 3_600_000
const utc = (at: string) => new Date(at).toISOString().slice(0, 16).replace('T', ' ')

/** Both ends in the zone that is chosen; those of days of UTC in UTC, for `2026-07-01` is not the evening before. */
function ends(of: Interval): [string, string, string] {
  const local: [string, string] = [instant(of.start, false), instant(of.end, false)]
  const days = ([start, end]: [string, string]) => hours(of) >= 23 && start.endsWith(' 00:00') && end.endsWith(' 00:00')
  const plain: [string, string] = [utc(of.start), utc(of.end)]
  return !days(local) && days(plain) ? [...plain, ' UTC'] : [...local, '']
}

/** `2026-07-01` of a whole day, `2026-07-01 04:00` of an hour, `2026-07-01 to 2026-07-08` of what is longer. */
export function interval(of: Interval): string {
  const [start, end, zone] = ends(of)
  if (of.start === of.end || hours(of) <= 2) return start + zone
  if (!start.endsWith(' 00:00') || !end.endsWith(' 00:00')) return `${start} to ${end}${zone}`
  return hours(of) <= 25 ? start.slice(0, 10) + zone : `${start.slice(0, 10)} to ${end.slice(0, 10)}${zone}`
}

/** The parts of a name for a narrow cell: `1 Jul` above, `04:00` or `7 d` below. */
export function short(of: Interval): [string, string] {
  const [start] = ends(of)
  const length = hours(of)
  const below = length < 23 ? start.slice(11) : length <= 25 ? '' : `${Math.round(length / 24)} d`
  return [`${Number(start.slice(8, 10))} ${MONTHS[Number(start.slice(5, 7)) - 1]}`, below]
}

/** Where it begins, for a box of a graph: `21 Nov`, `21 Nov 04:00`. */
export const brief = (of: Interval) => (hours(of) < 23 ? short(of).join(' ') : short(of)[0])

/** The newest first, as they are listed: the oldest first, and between them what has no version. */
export function strip<T extends { interval: Interval }>(parts: readonly T[]): (T | { gap: Interval })[] {
  const found: (T | { gap: Interval })[] = []
  for (const part of [...parts].reverse()) {
    const before = found.at(-1)
    if (before && 'interval' in before && new Date(before.interval.end) < new Date(part.interval.start))
      found.push({ gap: { start: before.interval.end, end: part.interval.start } })
    found.push(part)
  }
  return found
}

/** What the terminal and the API take for an interval. */
export const asked = (of: Interval) => `${of.start}..${of.end}`
