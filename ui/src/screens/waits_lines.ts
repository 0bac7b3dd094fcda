/** The waits of one group: read page by page, kept up to date by events, and their looks by asking for those that are seen. */
import { signal } from '@preact/signals'
import { address, getAt, Problem, type Answer } from '../api/client'
import type { Event } from '../api/feed'

export type Line = Answer<'/api/v1/waits'>[number]
export type Order = 'deadline' | 'since' | 'next' | 'trouble'

const PAGE = 1000

const far = '9999'
const by: Record<Order, (line: Line) => string> = {
  deadline: (line) => line.deadline ?? far,
  since: (line) => line.since,
  next: (line) => line.next_look ?? far,
  trouble: (line) => String(1e6 - (line.failures ?? 0)).padStart(8, '0') + (line.deadline ?? far),
}

export function sorted(lines: Iterable<Line>, order: Order): Line[] {
  const key = by[order]
  return [...lines].map((line) => [key(line), line] as const).sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : +a[1].id - +b[1].id)).map(([, line]) => line)
}

export class Lines {
  /** Anew after every change. */
  readonly rows = signal<Line[]>([])
  readonly loading = signal(true)
  readonly error = signal<Problem | null>(null)
  private readonly known = new Map<string, Line>()
  private readonly stop = new AbortController()
  private timer: ReturnType<typeof setTimeout> | undefined
  private publishing = 0
  /** Whether the order of what is shown may be another by now. */
  private moved = false

  constructor(private readonly query: object, private order: Order) {
    void this.load(true)
  }

  end() {
    this.stop.abort()
    clearTimeout(this.timer)
    cancelAnimationFrame(this.publishing)
  }

  sort(order: Order) {
    this.order = order
    this.rows.value = sorted(this.known.values(), order)
  }

  /** All of them, or those that are newer than what is known. */
  async load(all: boolean): Promise<void> {
    const gone = new Set(all ? this.known.keys() : [])
    let at: string | null = address('/api/v1/waits', {}, { ...this.query, limit: PAGE })
    try {
      while (at) {
        const page: { items: Line[]; next: string | null } = await getAt<Line[]>(at, this.stop.signal)
        if (this.stop.signal.aborted) return
        const news = page.items.some((line) => !this.known.has(line.id))
        for (const line of page.items) {
          this.take(line)
          gone.delete(line.id)
        }
        this.publish()
        at = all || news ? page.next : null
      }
      for (const id of gone) this.known.delete(id)
      this.error.value = null
    } catch (error) {
      if (this.stop.signal.aborted) return
      if (!(error instanceof Problem)) throw error
      this.error.value = error
    }
    this.loading.value = false
    this.publish()
  }

  has(id: string): boolean {
    return this.known.has(id)
  }

  /** What is known now of some of them: what is as it was stays the same object. */
  merge(lines: Line[]) {
    const news = lines.filter((line) => {
      const was = this.known.get(line.id)
      return was !== undefined && JSON.stringify(was) !== JSON.stringify(line)
    })
    news.forEach((line) => this.take(line))
    if (news.length) this.publish()
  }

  drop(ids: Iterable<string>) {
    for (const id of ids) this.known.delete(id)
    this.publish()
  }

  heard(events: Event[]) {
    let changed = false
    for (const event of events) {
      if (event.kind !== 'wait') continue
      if (event.now !== 'open') changed = this.known.delete(event.number) || changed
      else this.timer ??= setTimeout(() => {
        this.timer = undefined
        void this.load(false)
      }, 400)
    }
    if (changed) this.publish()
  }

  private take(line: Line) {
    const was = this.known.get(line.id)
    this.moved ||= !was || by[this.order](was) !== by[this.order](line)
    this.known.set(line.id, line)
  }

  /** Once a frame at most: a page of events is one change. Ten thousand are put in order only where one has another place now. */
  private publish() {
    this.publishing ||= requestAnimationFrame(() => {
      this.publishing = 0
      if (this.moved) this.rows.value = sorted(this.known.values(), this.order)
      else {
        const rows: Line[] = []
        for (const { id } of this.rows.peek()) {
          const line = this.known.get(id)
          if (line) rows.push(line)
        }
        this.rows.value = rows
      }
      this.moved = false
    })
  }
}
