/** Instants and spans as people read them. Which zone instants are shown in is one choice for the whole page. */
import { computed, signal } from '@preact/signals'

const KEY = 'bide.zone'
export type Zone = 'utc' | 'local' | 'dag'
export const zone = signal<Zone>((localStorage.getItem(KEY) as Zone | null) ?? 'local')
/** The zone of the DAG that is looked at, for `dag`. */
export const dagZone = signal('UTC')
zone.subscribe((chosen) => localStorage.setItem(KEY, chosen))

export const zoneName = computed(() => (zone.value === 'utc' ? 'UTC' : zone.value === 'dag' ? dagZone.value : Intl.DateTimeFormat().resolvedOptions().timeZone))

const formats = new Map<string, Intl.DateTimeFormat>()

function parts(at: Date, name: string): Record<string, string> {
  let format = formats.get(name)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', { timeZone: name, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' })
    formats.set(name, format)
  }
  return Object.fromEntries(format.formatToParts(at).map((part) => [part.type, part.value]))
}

/** `2026-11-22 14:05:09`, in the zone that is chosen; with `ms` to the millisecond. */
export function instant(text: string | null | undefined, seconds: boolean | 'ms' = true): string {
  if (!text) return ''
  const date = new Date(text)
  const at = parts(date, zoneName.value)
  const fine = seconds === 'ms' ? `.${String(date.getUTCMilliseconds()).padStart(3, '0')}` : ''
  return `${at.year}-${at.month}-${at.day} ${at.hour}:${at.minute}${seconds ? `:${at.second}${fine}` : ''}`
}

export function day(text: string): string {
  return instant(text).slice(0, 10)
}

/** `3 d 4 h`, `2 m 5 s`, `1.2 s`, `35 ms`: two figures at most. */
export function span(ms: number): string {
  const sign = ms < 0 ? '-' : ''
  const s = Math.abs(ms) / 1000
  if (s < 1) return `${sign}${Math.round(s * 1000)} ms`
  if (s < 10) return `${sign}${s.toFixed(1)} s`
  if (s < 60) return `${sign}${Math.floor(s)} s`
  if (s < 3600) return `${sign}${Math.floor(s / 60)} m ${Math.floor(s % 60)} s`
  if (s < 86_400) return `${sign}${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`
  return `${sign}${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`
}

/** The present, a second apart: whoever shows an age reads this. */
export const now = signal(Date.now())
setInterval(() => (now.value = Date.now()), 1000)

/** `5 m ago`, `in 3 s`. */
export function ago(text: string | null | undefined): string {
  if (!text) return ''
  const past = now.value - new Date(text).getTime()
  return past >= 0 ? `${span(Math.max(past, 0))} ago` : `in ${span(-past)}`
}

export function lasted(start: string | null | undefined, end: string | null | undefined): string {
  if (!start) return ''
  return span((end ? new Date(end).getTime() : now.value) - new Date(start).getTime())
}
