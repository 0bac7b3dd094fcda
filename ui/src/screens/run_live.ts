/** A run as it goes: its tasks, asked once, and then moved by the events of the feed, each task alone. */
import { useEffect, useMemo } from 'preact/hooks'
import { batch, signal, useComputed, type ReadonlySignal, type Signal } from '@preact/signals'
import { address, getAt, Problem, type Answer } from '../api/client'
import { connection, subscribe, type Event } from '../api/feed'
import { place } from '../parts/gantt_bars'

export type Times = Answer<'/api/v1/runs/{run}/times'>[number]
export interface Move { at: number; now: string }

export interface Task {
  id: string
  /** Its name; of one of a mapped task's with its number. */
  place: string
  task: string
  index: number
  state: Signal<string>
  attempts: Signal<number>
  reason: Signal<string>
  first: string
  moves: Signal<Move[]>
}

export interface Live {
  tasks: Signal<Task[]>
  /** The summary of each task, by its name: what the graph shows. */
  whole: Signal<Map<string, Task>>
  error: Signal<Problem | undefined>
  ready: Signal<boolean>
  /** There are more tasks than are drawn. */
  more: Signal<boolean>
  /** The run's own state, once an event has told it. */
  run: Signal<string>
  /** Another number after each change of what any of them is in: who counts them all reads this, and not a thousand signals. */
  turn: Signal<number>
}

/** So long, ms, events of a page in the background are gathered. */
const UNSEEN = 100

/** Instances that are drawn; of a run with more the first. */
export const MOST = 5000

/** Of all tasks as they are now, made anew after each change of any. */
export function useAll<T>(live: Live, made: (tasks: readonly Task[]) => T): ReadonlySignal<T> {
  return useComputed(() => {
    void live.turn.value
    return made(live.tasks.peek())
  })
}

export function useLive(run: string): Live {
  const live = useMemo(() => ({ tasks: signal<Task[]>([]), whole: signal(new Map<string, Task>()), error: signal<Problem | undefined>(undefined), ready: signal(false), more: signal(false), run: signal(''), turn: signal(0) }), [run])
  useEffect(() => {
    const stop = new AbortController()
    const known = new Map<string, Task>()
    let missed: Event[] | null = []
    let timer: ReturnType<typeof setTimeout> | undefined

    async function ask() {
      missed ??= []
      try {
        const found: Times[] = []
        let at: string | null = address('/api/v1/runs/{run}/times', { run }, { limit: 2000 })
        while (at && found.length < MOST) {
          const page: { items: Times[]; next: string | null } = await getAt<Times[]>(at, stop.signal)
          found.push(...page.items)
          at = page.next
        }
        batch(() => {
          for (const each of found) {
            const there = known.get(place(each.task, each.map_index))
            if (there) set(there, each)
            else known.set(place(each.task, each.map_index), made(each))
          }
          const events = missed ?? []
          missed = null
          live.tasks.value = [...known.values()]
          live.whole.value = new Map([...known.values()].filter((task) => task.index < 0).map((task) => [task.task, task]))
          live.more.value = at !== null
          live.error.value = undefined
          live.ready.value = true
          live.turn.value++
          heard(events)
        })
      } catch (error) {
        if (stop.signal.aborted) return
        if (!(error instanceof Problem)) throw error
        live.error.value = error
      }
    }

    function heard(events: Event[]) {
      if (missed) {
        missed.push(...events)
        return
      }
      let strange = false
      let moved = false
      batch(() => {
        for (const event of events) {
          if (event.run_id !== run) continue
          if (event.kind === 'run') live.run.value = event.now
          if (event.kind !== 'task' || event.task === null) continue
          const task = known.get(place(event.task, event.map_index))
          if (!task) strange = true
          else if (apply(task, event)) moved = true
        }
        if (moved) live.turn.value++
      })
      // tasks that were not there before: a list has become instances
      if (strange && timer === undefined && known.size < MOST)
        timer = setTimeout(() => {
          timer = undefined
          void ask()
        }, 250)
    }

    // pieces of the stream that come within one frame are one change of the page
    const late = frames(heard)
    const ends = [subscribe(late.add), late.end]
    let was = connection.peek()
    ends.push(connection.subscribe((now) => {
      if (now === 'live' && was !== 'live') void ask()
      was = now
    }))
    void ask()
    return () => {
      stop.abort()
      clearTimeout(timer)
      ends.forEach((end) => end())
    }
  }, [live])
  return live
}

/** Gathers events until the next frame; of a page that nobody looks at, which has no frames, for a moment. */
export function frames(heard: (events: Event[]) => void): { add: (events: Event[]) => void; end: () => void } {
  let kept: Event[] = []
  let frame = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const end = () => {
    cancelAnimationFrame(frame)
    clearTimeout(timer)
    timer = undefined
  }
  const go = () => {
    end()
    const events = kept
    kept = []
    heard(events)
  }
  return {
    add: (events) => {
      kept.push(...events)
      if (timer !== undefined) return
      timer = setTimeout(go, UNSEEN)
      frame = requestAnimationFrame(go)
    },
    end,
  }
}

const moved = (each: Times): Move[] => each.moves.map((move) => ({ at: Date.parse(move.at), now: move.now }))

function made(each: Times): Task {
  return {
    id: each.id, place: place(each.task, each.map_index), task: each.task, index: each.map_index, first: each.first,
    state: signal(each.state), attempts: signal(each.attempts), reason: signal(each.reason), moves: signal(moved(each)),
  }
}

function set(task: Task, each: Times) {
  task.state.value = each.state
  task.attempts.value = each.attempts
  task.reason.value = each.reason
  task.moves.value = moved(each)
}

/** One move, and whether it was one: of what was in the answer already nothing. */
export function apply(task: Task, event: Pick<Event, 'at' | 'was' | 'now' | 'reason'>): boolean {
  const at = Date.parse(event.at)
  const last = task.moves.peek().at(-1)
  if (event.was === event.now || event.was !== task.state.peek() || (last && last.at > at)) return false
  if (event.now === 'running' && event.was === 'ready') task.attempts.value++
  task.state.value = event.now
  task.reason.value = event.reason
  task.moves.value = [...task.moves.peek(), { at, now: event.now }]
  return true
}
