/** The log of an attempt: its end first, live while it goes on, with the terminal's colours, a search, and the whole to take away. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { signal } from '@preact/signals'
import { get, Problem } from '../api/client'
import { subscribe } from '../api/feed'
import { line, marked, PLAIN, type Line, type Look } from '../lib/ansi'
import { instant, zoneName } from '../lib/time'
import { Wrong } from './basics'
import { say } from './action'
import './log.css'

const PIECE = 262_144
/** So many lines are kept in the page; the whole is in the file. */
const MOST = 20_000
const CHUNK = 200
/** Between two looks at a log that goes on; when nothing comes it is looked at less often. */
const LOOK = [250, 500, 1000, 2000]

interface Given { run: string; task: string; attempt: number; bytes: number }

/** Reads a log, from near its end, for as long as it goes on. */
function reading({ run, task, attempt, bytes }: Given) {
  const lines = signal<Line[]>([])
  const over = signal(false)
  const error = signal<Problem | undefined>(undefined)
  const from = signal(Math.max(0, bytes - PIECE))
  const stop = new AbortController()
  let rest = ''
  let look: Look = PLAIN
  let next = from.peek()
  let cut = next > 0
  let quiet = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let busy = false

  const piece = (offset: number, limit: number) =>
    get('/api/v1/runs/{run}/tasks/{task}/logs', { run, task }, { attempt, offset, limit }, stop.signal)

  function take(text: string) {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    if (cut && parts.length) {
      parts.shift() // the rest of a line whose beginning is not here
      cut = false
    }
    const found = parts.map((each) => {
      const [made, after] = line(each, look)
      look = after
      return made
    })
    if (found.length) lines.value = [...lines.peek(), ...found].slice(-MOST)
  }

  async function read() {
    if (busy || over.peek() || stop.signal.aborted) return
    busy = true
    clearTimeout(timer)
    try {
      for (;;) {
        const part = await piece(next, PIECE)
        const grown = part.next_offset > next
        next = part.next_offset
        take(part.text)
        error.value = undefined
        if (part.over) {
          if (rest) take('\n')
          over.value = true
        }
        quiet = grown ? 0 : Math.min(quiet + 1, LOOK.length - 1)
        if (part.over || !grown) break
      }
    } catch (failure) {
      if (stop.signal.aborted) return
      if (!(failure instanceof Problem)) throw failure
      error.value = failure
      quiet = LOOK.length - 1
    } finally {
      busy = false
    }
    if (!over.peek() && !stop.signal.aborted) timer = setTimeout(() => (document.hidden ? soon() : void read()), LOOK[quiet])
  }
  const soon = () => (timer = setTimeout(() => (document.hidden ? soon() : void read()), 1000))

  /** All that was before what is shown, read anew from the beginning. */
  async function whole() {
    clearTimeout(timer)
    next = 0
    rest = ''
    look = PLAIN
    cut = false
    from.value = 0
    lines.value = []
    over.value = false
    await read()
  }

  async function download() {
    let text = ''
    for (let at = 0; ; ) {
      const part = await piece(at, 4 * 1024 * 1024)
      text += part.text
      if (part.next_offset === at) break
      at = part.next_offset
    }
    const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
    const link = document.createElement('a')
    link.href = url
    link.download = `${run}-${task}-${attempt}.log`
    link.click()
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  }

  void read()
  const unheard = subscribe((events) => events.some((each) => each.run_id === run && each.kind === 'attempt') && read())
  return { lines, over, error, from, whole, download, end: () => (clearTimeout(timer), stop.abort(), unheard()) }
}

const timed = signal(localStorage.getItem('bide.log.times') !== 'no')
const wrapped = signal(localStorage.getItem('bide.log.wrap') !== 'no')
timed.subscribe((is) => localStorage.setItem('bide.log.times', is ? 'yes' : 'no'))
wrapped.subscribe((is) => localStorage.setItem('bide.log.wrap', is ? 'yes' : 'no'))

export function Log(given: Given) {
  const log = useMemo(() => reading(given), [given.run, given.task, given.attempt])
  useEffect(() => log.end, [log])
  const [wanted, setWanted] = useState('')
  const [only, setOnly] = useState(false)
  const [follow, setFollow] = useState(true)
  const [place, setPlace] = useState(0)
  const box = useRef<HTMLDivElement>(null)
  const lines = log.lines.value
  const low = wanted.toLowerCase()
  const hits = useMemo(() => (low ? lines.flatMap((each, at) => (each.plain.toLowerCase().includes(low) ? [at] : [])) : []), [lines, low])
  const shown = useMemo(() => (only && low ? hits.map((at) => lines[at]!) : lines), [lines, hits, only, low])
  const here = hits.length ? hits[Math.min(place, hits.length - 1)]! : -1

  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [shown, follow])

  function to(next: number) {
    if (!hits.length) return
    const at = (next + hits.length) % hits.length
    setPlace(at)
    setFollow(false)
    requestAnimationFrame(() => box.current?.querySelector('.here')?.scrollIntoView({ block: 'center' }))
  }

  const chunks = []
  for (let at = 0; at < shown.length; at += CHUNK) chunks.push(shown.slice(at, at + CHUNK))
  const first = only && low ? -1 : here

  return (
    <div class={`log ${timed.value ? '' : 'untimed'} ${wrapped.value ? '' : 'long'}`}>
      <div class="tools">
        <input type="search" aria-label="Search the log" placeholder="Search" value={wanted}
          onInput={(event) => { setWanted(event.currentTarget.value); setPlace(0) }}
          onKeyDown={(event) => event.key === 'Enter' && (event.preventDefault(), to(event.shiftKey ? place - 1 : first < 0 ? 0 : place + 1))} />
        {wanted && <span class="dim" role="status">{hits.length ? `${Math.min(place + 1, hits.length)} of ${hits.length.toLocaleString()} lines` : 'no line has it'}</span>}
        {wanted && <label><input type="checkbox" checked={only} onChange={(event) => setOnly(event.currentTarget.checked)} />Only these</label>}
        <span class="grow" />
        {!log.over.value && <label><input type="checkbox" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />Follow</label>}
        <label><input type="checkbox" checked={timed.value} onChange={(event) => (timed.value = event.currentTarget.checked)} />Times</label>
        <label><input type="checkbox" checked={wrapped.value} onChange={(event) => (wrapped.value = event.currentTarget.checked)} />Wrap</label>
        <button class="small" onClick={() => log.download().catch((error: Error) => say(error.message, true))}>Download</button>
      </div>
      {log.error.value && <Wrong problem={log.error.value} />}
      <div class="lines" ref={box} role="log" aria-label={`Log of attempt ${given.attempt}`} tabIndex={0}
        onScroll={(event) => {
          const at = event.currentTarget
          const end = at.scrollHeight - at.scrollTop - at.clientHeight < 24
          if (end !== follow) setFollow(end)
        }}>
        {log.from.value > 0 && <p class="line"><button class="small" onClick={() => { setFollow(false); void log.whole() }}>Show the {(log.from.value / 1024).toFixed(0)} KiB before</button></p>}
        {chunks.map((chunk, at) => <Many key={at} lines={chunk} wanted={low} here={first - at * CHUNK} zone={zoneName.value} later={chunks.length > 5 && at < chunks.length - 1} />)}
        {lines.length === 0 && <p class="line dim">{log.over.value ? 'The attempt has written nothing.' : 'Nothing is written yet. It is shown as it comes.'}</p>}
        {lines.length > 0 && only && low && !hits.length && <p class="line dim">No line has it.</p>}
      </div>
      <div class="foot">
        <span>{lines.length.toLocaleString()} {lines.length === 1 ? 'line' : 'lines'}{lines.length >= MOST && ', the last ones: the file has more'}</span>
        <span role="status">{log.over.value ? 'Ended' : 'Goes on: new lines are shown as they come'}</span>
      </div>
    </div>
  )
}

/** Two hundred lines. `later`: what is not in sight is not laid out, which very long logs need. */
function Many({ lines, wanted, here, zone, later }: { lines: readonly Line[]; wanted: string; here: number; zone: string; later: boolean }) {
  return useMemo(() => (
    <div class={later ? 'many later' : 'many'}>
      {lines.map((each, at) => (
        <div key={at} class={`line ${each.level}${at === here ? ' here' : ''}`}>
          <time dateTime={each.at} title={each.at}>{each.at && instant(each.at).slice(11) + each.at.slice(19, 23).replace('Z', '')}</time>
          <span>
            {each.level && each.level !== 'INFO' && <b class="level">{each.level}</b>}
            {marked(each.pieces, wanted).map((part, n) => (part.hit ? <mark key={n} class={part.look}>{part.text}</mark> : part.look ? <i key={n} class={part.look}>{part.text}</i> : part.text))}
          </span>
        </div>
      ))}
    </div>
  ), [lines.length, lines[0], lines.at(-1), wanted, here >= 0 && here < lines.length ? here : -1, zone, later])
}
