/** States as people see them: a word, a sign and a colour of its own, so that no colour is needed to tell them apart. */

/** The family gives colour and is what a glance tells; the sign and the word tell the rest. */
export type Family = 'good' | 'bad' | 'busy' | 'waiting' | 'idle' | 'held' | 'warned'

export interface State {
  word: string
  family: Family
  /** The path of a sign on a 16 x 16 square, stroked. */
  sign: string
}

const SIGN = {
  tick: 'M3.5 8.5l3 3 6-7',
  cross: 'M4 4l8 8M12 4l-8 8',
  play: 'M5.5 3.5l7 4.5-7 4.5z',
  clock: 'M8 3a5 5 0 1 0 .01 0M8 5.2V8l2 1.4',
  hourglass: 'M4.5 2.5h7M4.5 13.5h7M5 2.5c0 3.5 6 4.5 6 11M11 2.5c0 3.5-6 4.5-6 11',
  dots: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  ring: 'M8 3.5a4.5 4.5 0 1 0 .01 0',
  skip: 'M3.5 4l4 4-4 4M8.5 4l4 4-4 4',
  stop: 'M4.5 4.5h7v7h-7z',
  again: 'M12.5 8a4.5 4.5 0 1 1-1.6-3.4M12.5 2.5v2.8h-2.8',
  up: 'M8 12.5v-9M4.5 7L8 3.5 11.5 7M4 4l8 8',
  person: 'M8 3a2.2 2.2 0 1 0 .01 0M3.5 13.5c.5-3.5 8.5-3.5 9 0',
  bar: 'M8 3.2a4.8 4.8 0 1 0 .01 0M4.7 11.3l6.6-6.6',
  question: 'M5.5 6a2.5 2.5 0 1 1 3.4 2.3c-.7.3-.9.7-.9 1.4M8 12.3h.01',
  pause: 'M5.5 4v8M10.5 4v8',
  warn: 'M8 2.7l5.7 10.3H2.3zM8 6.5v3M8 11.3h.01',
  layers: 'M8 2.8l5.5 2.8L8 8.4 2.5 5.6zM2.5 8.5L8 11.3l5.5-2.8',
  eye: 'M2 8c3-4.5 9-4.5 12 0-3 4.5-9 4.5-12 0M8 6.5a1.5 1.5 0 1 0 .01 0',
  box: 'M3 5l5-2.5L13 5v6l-5 2.5L3 11zM3 5l5 2.5L13 5M8 7.5v6',
}

const of = (word: string, family: Family, sign: keyof typeof SIGN): State => ({ word, family, sign: SIGN[sign] })

/** Of runs, task instances, attempts, waits, backfills, plans and asset versions: one word means one thing. */
export const STATES: Record<string, State> = {
  success: of('success', 'good', 'tick'),
  failed: of('failed', 'bad', 'cross'),
  running: of('running', 'busy', 'play'),
  deferred: of('deferred', 'waiting', 'hourglass'),
  queued: of('queued', 'idle', 'dots'),
  pending: of('pending', 'idle', 'ring'),
  ready: of('ready', 'idle', 'dots'),
  expanding: of('expanding', 'busy', 'layers'),
  mapped: of('mapped', 'busy', 'layers'),
  up_for_retry: of('up for retry', 'waiting', 'again'),
  awaiting_approval: of('awaiting approval', 'held', 'person'),
  blocked: of('blocked', 'held', 'bar'),
  lost: of('lost', 'bad', 'question'),
  skipped: of('skipped', 'idle', 'skip'),
  upstream_failed: of('upstream failed', 'warned', 'up'),
  cancelled: of('cancelled', 'idle', 'stop'),
  timed_out: of('timed out', 'bad', 'clock'),
  open: of('open', 'waiting', 'hourglass'),
  fired: of('fired', 'good', 'tick'),
  paused: of('paused', 'held', 'pause'),
  proposed: of('proposed', 'held', 'person'),
  approved: of('approved', 'good', 'person'),
  rejected: of('rejected', 'bad', 'person'),
  unknown: of('unknown', 'idle', 'question'),
  building: of('building', 'busy', 'play'),
  staged: of('staged', 'waiting', 'box'),
  validated: of('validated', 'busy', 'tick'),
  published: of('published', 'good', 'eye'),
  stale: of('stale', 'warned', 'clock'),
  degraded: of('degraded', 'warned', 'warn'),
  invalidated: of('invalidated', 'bad', 'bar'),
  superseded: of('superseded', 'idle', 'layers'),
  quarantined: of('quarantined', 'held', 'stop'),
  new: of('new', 'warned', 'warn'),
  taken: of('taken', 'waiting', 'person'),
  acked: of('acknowledged', 'idle', 'tick'),
  closed: of('closed', 'good', 'tick'),
  run: of('will run', 'busy', 'play'),
  overwrite: of('written over', 'warned', 'again'),
  skip: of('kept as it is', 'idle', 'skip'),
  refuse: of('refused', 'bad', 'bar'),
  withdrawn: of('withdrawn', 'idle', 'stop'),
  expired: of('expired', 'bad', 'clock'),
  delivered: of('delivered', 'good', 'box'),
  corrected: of('corrected', 'idle', 'again'),
}

export const state = (name: string): State => STATES[name] ?? { word: name.replaceAll('_', ' '), family: 'idle', sign: SIGN.question }

/** States of a task instance in the order in which a person wants to hear of them. */
export const URGENCY = ['failed', 'lost', 'timed_out', 'upstream_failed', 'blocked', 'awaiting_approval', 'up_for_retry', 'running', 'mapped', 'deferred', 'ready', 'queued', 'pending', 'cancelled', 'skipped', 'success']
