/** What the screens show: answers of the service, asked again when an event says that they may have changed. */
import { useEffect, useMemo } from 'preact/hooks'
import { signal, type Signal } from '@preact/signals'
import { address, get, getAt, Problem, type Answer, type GetPath, type Page, type PathNames, type Query } from './client'
import { connection, subscribe, type Event } from './feed'
import { token } from './session'

export interface Asked<T> {
  data: Signal<T | undefined>
  error: Signal<Problem | undefined>
  /** Whether an answer is under way and none was there before. */
  loading: Signal<boolean>
  again: () => void
}

/** At most one question of a kind is under way, and they are this far apart: a busy service is not asked for each event. */
const APART = 200
/** A service that was out of reach is asked again so long after. */
const AFRESH = 1000
/** What takes long to answer is asked for less often: so many times as long lies between two questions. */
const PATIENCE = 5
/** But never longer than that: who looks on a slow day is to see what changes, too. */
const LONGEST = 2000

export function asking<T>(ask: (signal: AbortSignal) => Promise<T>): Asked<T> & { end: () => void } {
  const data = signal<T | undefined>(undefined)
  const error = signal<Problem | undefined>(undefined)
  const loading = signal(true)
  const stop = new AbortController()
  let underWay = false
  let wanted = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let asked = -Infinity
  let took = 0

  async function now() {
    underWay = true
    wanted = false
    asked = performance.now()
    try {
      const found = await ask(stop.signal)
      if (stop.signal.aborted) return
      data.value = found
      error.value = undefined
    } catch (failure) {
      if (stop.signal.aborted) return
      if (!(failure instanceof Problem)) throw failure
      error.value = failure
      if (failure.status === 0) timer = setTimeout(() => { timer = undefined; void now() }, AFRESH)
    } finally {
      underWay = false
      took = performance.now() - asked
      loading.value = false
      if (wanted && !stop.signal.aborted) again()
    }
  }

  function again() {
    if (stop.signal.aborted || timer !== undefined) return
    if (underWay) {
      wanted = true
      return
    }
    const left = asked + Math.max(APART, Math.min(took * PATIENCE, LONGEST)) - performance.now()
    if (left <= 0) void now()
    else
      timer = setTimeout(() => {
        timer = undefined
        void now()
      }, left)
  }

  again()
  return { data, error, loading, again, end: () => (clearTimeout(timer), stop.abort()) }
}

export interface Options<P extends GetPath> {
  names?: PathNames<P>
  query?: Query<P>
  /** Which events may change the answer; none: it is asked once. */
  on?: (event: Event) => boolean
  /** Ask again so often, in ms, for what no event tells. */
  every?: number
  /** Do not ask: what would be asked for is not known yet. */
  idle?: boolean
}

function useAsking<T>(key: string, ask: (signal: AbortSignal) => Promise<T>, options: { on?: ((event: Event) => boolean) | undefined; every?: number | undefined; idle?: boolean | undefined }): Asked<T> {
  const asked = useMemo(() => (options.idle ? null : asking(ask)), [key, token.value, options.idle])
  useEffect(() => {
    if (!asked) return
    const { on, every } = options
    const ends = [asked.end]
    if (on) {
      ends.push(subscribe((events) => events.some(on) && asked.again()))
      // what was missed while the stream was down is not known: ask anew
      let was = connection.peek()
      ends.push(connection.subscribe((now) => {
        if (now === 'live' && was !== 'live') asked.again()
        was = now
      }))
    }
    if (every) {
      const timer = setInterval(asked.again, every)
      ends.push(() => clearInterval(timer))
    }
    return () => ends.forEach((end) => end())
  }, [asked])
  return asked ?? NOTHING as Asked<T>
}

const NOTHING: Asked<never> = { data: signal(undefined), error: signal(undefined), loading: signal(true), again: () => {} }

/** One answer of the API. */
export function useGet<P extends GetPath>(path: P, options: Options<P> = {}): Asked<Answer<P>> {
  const key = options.idle ? '' : address(path, options.names ?? {}, options.query ?? {})
  return useAsking(key, (signal) => get(path, options.names ?? {}, options.query ?? {}, signal), options)
}

/** One page of an answer that has a listing within it; `at` is the address of a later one, as the page before says it. */
export function usePage<P extends GetPath>(path: P, options: Options<P> & { at?: string | null } = {}): Asked<Page<Answer<P>>> {
  const key = options.idle ? '' : (options.at ?? address(path, options.names ?? {}, options.query ?? {}))
  return useAsking(key, (signal) => getAt<Answer<P>>(key, signal), options)
}

export interface Pages<T> extends Asked<T[]> {
  more: Signal<boolean>
  next: () => void
}

/** A listing read page by page; as many pages as are shown are asked again when something changes. */
export function usePages<P extends GetPath>(path: P, options: Options<P> = {}): Pages<Answer<P> extends (infer T)[] ? T : never> {
  type T = Answer<P> extends (infer T)[] ? T : never
  const key = options.idle ? '' : address(path, options.names ?? {}, options.query ?? {})
  const state = useMemo(() => ({ pages: 1, more: signal(false) }), [key])
  const asked = useAsking<T[]>(
    key,
    async (signal) => {
      const items: T[] = []
      let at: string | null = key
      for (let page = 0; page < state.pages && at; page++) {
        const found: { items: T[]; next: string | null } = await getAt<T[]>(at, signal)
        items.push(...found.items)
        at = found.next
      }
      state.more.value = at !== null
      return items
    },
    options,
  )
  return { ...asked, more: state.more, next: () => { state.pages++; asked.again() } }
}
