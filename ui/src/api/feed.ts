/** The one live stream of the page: events as they are committed, read over fetch because it carries a token. */
import { signal } from '@preact/signals'
import { href } from '../lib/router'
import type { components } from './schema'
import { authorization, token } from './session'

export type Event = components['schemas']['EventLine']
export type Listener = (events: Event[]) => void

/** live: connected; waiting: it is tried again soon; off: nobody is let in. */
export const connection = signal<'live' | 'waiting' | 'off'>('waiting')
/** When the last thing was heard, by this browser's clock. */
export const heard = signal(0)

const listeners = new Set<Listener>()
let last = ''
let stop: AbortController | null = null

/** Hear of events, those of one piece of the stream together; the answer ends it. */
export function subscribe(listener: Listener): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

export function parse(block: string): Event | null {
  let data = ''
  for (const line of block.split('\n')) {
    if (line.startsWith('id:')) last = line.slice(3).trim()
    else if (line.startsWith('data:')) data += line.slice(5).trim()
  }
  return data ? (JSON.parse(data) as Event) : null
}

async function read(signal: AbortSignal): Promise<void> {
  const answer = await fetch(href('/api/v1/events'), {
    signal,
    headers: { accept: 'text/event-stream', ...authorization(), ...(last ? { 'last-event-id': last } : {}) },
  })
  if (answer.status === 401 || answer.status === 403) {
    connection.value = 'off'
    return
  }
  if (!answer.ok || !answer.body) throw new Error(String(answer.status))
  connection.value = 'live'
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    heard.value = Date.now()
    const blocks = (rest + value.replaceAll('\r\n', '\n')).split('\n\n')
    rest = blocks.pop() ?? ''
    const events = blocks.map(parse).filter((event): event is Event => event !== null)
    if (events.length) for (const listener of [...listeners]) listener(events)
  }
}

async function follow(signal: AbortSignal) {
  let wait = 250
  while (!signal.aborted) {
    try {
      await read(signal)
      wait = 250
    } catch {
      wait = Math.min(wait * 2, 10_000)
    }
    if (signal.aborted || connection.peek() === 'off') return
    connection.value = 'waiting'
    await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)))
  }
}

/** Follow the stream as whoever is signed in. */
export function start() {
  token.subscribe(() => {
    stop?.abort()
    stop = new AbortController()
    connection.value = 'waiting'
    void follow(stop.signal)
  })
}
