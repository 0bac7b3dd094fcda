/** What a task did with its time: spans of one kind each, made of its moves between states. */

export type Phase = 'blocked' | 'queued' | 'deferred' | 'running' | 'backoff' | 'approval' | 'lost'

/** In the order in which a task goes through them; words as `bide stats` has them. */
export const PHASES: Record<Phase, string> = {
  blocked: 'blocked', queued: 'queued', deferred: 'deferred', running: 'running', backoff: 'back-off', approval: 'approval', lost: 'lost',
}

const OF: Record<string, Phase> = {
  pending: 'blocked', blocked: 'blocked', mapped: 'blocked', ready: 'queued', deferred: 'deferred', running: 'running',
  up_for_retry: 'backoff', awaiting_approval: 'approval', lost: 'lost',
}

export interface Bar { phase: Phase; from: number; until: number }

/** From `opened` on; what goes on lasts until `now`. States that are over are no bar. */
export function bars(first: string, moves: readonly { at: number; now: string }[], opened: number, now: number): Bar[] {
  const found: Bar[] = []
  let state = first
  let at = opened
  const add = (until: number) => {
    const phase = OF[state]
    if (!phase || until <= at) return
    const last = found.at(-1)
    if (last?.phase === phase && last.until === at) last.until = until
    else found.push({ phase, from: at, until })
  }
  for (const move of moves) {
    const edge = Math.max(at, Math.min(move.at, now))
    add(edge)
    at = edge
    state = move.now
  }
  add(now)
  return found
}

/** When it first left `pending`, and when it was over; null while it is not. */
export function ends(moves: readonly { at: number; now: string }[]): { from: number | null; until: number | null } {
  const from = moves.find((move) => move.now !== 'pending')?.at ?? null
  const last = moves.at(-1)
  return { from, until: last && !(last.now in OF) ? last.at : null }
}

/** Where lines of the critical path stand: from the row of one link to that of the next, at when the next was let go. */
export function path(rows: readonly { id: string }[], critical: ReadonlyMap<string, number>): { from: number; to: number; at: number }[] {
  const place = new Map(rows.map((row, at) => [row.id, at]))
  const links = [...critical].flatMap(([id, at]) => (place.has(id) ? [{ row: place.get(id)!, at }] : []))
  return links.slice(1).map((link, i) => ({ from: links[i]!.row, to: link.row, at: link.at }))
}

/** Round instants of an axis, about `wanted` of them: milliseconds from its start. */
export function ticks(length: number, wanted: number): number[] {
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 216e5, 432e5, 864e5, 1728e5, 6048e5]
  const step = steps.find((each) => length / each <= wanted) ?? steps.at(-1)!
  const found: number[] = []
  for (let at = 0; at <= length && found.length < 100; at += step) found.push(at)
  return found
}

/** `task`, or `task[3]` of a mapped one. */
export const place = (task: string, index: number) => (index < 0 ? task : `${task}[${index}]`)
