/** What is done to all waits that a filter finds: counted by the service first, and then only if that count still holds. */
import { get, getAt, post, Problem, address } from '../api/client'
import type { components } from '../api/schema'
import { open, say, word, type Doing } from '../parts/action'
import type { Choosing } from '../parts/menu'
import { owner, parsed } from './waits_doing'
import type { Line } from './waits_lines'

type Counted = Pick<components['schemas']['ActionAsked'], 'count' | 'rest' | 'last'>
type Verb = 'look' | 'extend' | 'satisfy' | 'fail'
type Values = Record<string, string>

const VERBS: [Verb, string][] = [['look', 'Look now'], ['extend', 'Extend'], ['satisfy', 'Satisfy'], ['fail', 'Fail']]

/** The actions on all that `of` finds, for a menu; `says`: what they are, in words. */
export const ofAll = (of: object, says: string): Choosing[] =>
  VERBS.map(([verb, text]) => ({ title: verb, verb: text, severe: verb === 'fail', chosen: () => void ask(verb, text, of, says) }))

async function ask(verb: Verb, text: string, of: object, says: string) {
  try {
    const asked = { action: verb, ...of }
    const counting = { ...asked, dry_run: true, ...(verb === 'extend' && { deadline: '+2h' }) }
    const found = await post('/api/v1/waits/actions', {}, counting, null)
    if (!found.count) return say(verb === 'look' ? 'Nothing of that is waited for any more.' : `Nothing to ${verb}: what waits there are schedules, and those can only be looked at.`)
    const first = await getAt<Line[]>(address('/api/v1/waits', {}, { ids: found.first.slice(0, 3).join(','), limit: 3 }))
    open(doing(verb, text, asked, of, found, says, first.items))
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    say(error.message, true)
  }
}

function doing(verb: Verb, text: string, asked: object & { action: string }, of: object, found: Counted, says: string, first: Line[]): Doing {
  const { count: one, rest = 0 } = found
  const count = one + rest
  const goes = Math.ceil(count / one)
  const many = count === 1 ? '1 wait' : `${count.toLocaleString()} waits`
  const where = Object.entries(of).map(([name, value]) => `${name}=${value}`).join(',')
  return {
    title: verb === 'look' ? `Look now at ${many}` : `${text} ${many}`,
    verb: verb === 'look' ? 'Look now' : `${text} ${many}`,
    severe: verb === 'fail',
    preview: (
      <>
        <p>{MEANS[verb]}</p>
        {rest > 0 && <p><b>One action takes {one.toLocaleString()} at most, so this is {goes} of them, one after the other, the oldest waits first.</b> Each is done only if its number is still right.</p>}
        <p class="dim">{says}</p>
        <ul class="first-of">{first.map((line) => <li key={line.id}>{owner(line)} <span class="dim">{line.trigger}</span></li>)}{count > first.length && <li class="dim">and {(count - first.length).toLocaleString()} more</li>}</ul>
        {rest === 0 && <p class="dim">If another number matches by the time it is done, nothing is done.</p>}
      </>
    ),
    fields: FIELDS[verb],
    command: (values) => `bide waits ${verb} --where ${word(where || 'text=')}${said(verb, values)} --expect ${count}`,
    act: async (values) => {
      const ids: string[] = []
      let at: Counted = found
      for (let after = {}; ; ) {
        const begun = await post('/api/v1/waits/actions', {}, { ...asked, ...given(verb, values), ...after, expect: at.count })
        ids.push(begun.id ?? '')
        if (!at.rest || !at.last) return over(ids)
        after = { after: at.last }
        at = await post('/api/v1/waits/actions', {}, { ...asked, ...given(verb, values), ...after, dry_run: true }, null)
        if (!at.count) return over(ids)
      }
    },
  }
}

const MEANS: Record<Verb, string> = {
  look: 'Each is looked at now; those that share a source by one look. What has come goes on.',
  extend: 'Each gives up later.',
  satisfy: 'Each goes on as if what it waits for had come, with the event below. It cannot be taken back.',
  fail: 'Each task fails now, or tries again where it has tries left. It cannot be taken back.',
}

const FIELDS: Record<Verb, NonNullable<Doing['fields']>> = {
  look: [],
  extend: [{ name: 'by', label: 'By how much, or until when', value: '+2h', needed: true, hint: '+2h is that much later than each gives up now; or an instant for all: 2026-06-15T12:00Z' }],
  satisfy: [{ name: 'event', label: 'Event, as JSON', lines: 3, hint: 'Nothing: the tasks get null.' }],
  fail: [{ name: 'reason', label: 'Why', hint: 'Stands in the log, and in why.' }],
}

function given(verb: Verb, { by = '', event = '', reason = '' }: Values): object {
  if (verb === 'extend') return { deadline: by.trim() }
  if (verb === 'satisfy') return { event: parsed(event) }
  return verb === 'fail' && reason.trim() ? { reason: reason.trim() } : {}
}

function said(verb: Verb, { by = '', event = '', reason = '' }: Values): string {
  if (verb === 'extend') return by.startsWith('+') ? ` --by ${word(by.slice(1).trim())}` : ` --until ${word(by.trim())}`
  if (verb === 'satisfy') return event.trim() ? ` --event ${word(event.trim())}` : ''
  return verb === 'fail' && reason.trim() ? ` --reason ${word(reason.trim())}` : ''
}

/** What came of all of them, when they are over; how far they are after half a minute. */
async function over(ids: string[]): Promise<string> {
  for (let look = 0; ; look++) {
    const all = await Promise.all(ids.map((action) => get('/api/v1/actions/{action}', { action })))
    const sum = (of: 'done' | 'total' | 'refused') => all.reduce((found, at) => found + at[of], 0)
    const far = `${sum('done').toLocaleString()} of ${sum('total').toLocaleString()} waits done`
    const why = all.find((at) => at.left.length > 0)?.left[0]?.why ?? ''
    if (all.every((at) => at.state === 'done')) return `${far}${sum('refused') ? `; ${sum('refused').toLocaleString()} refused, the first: ${why}` : ''}.`
    if (look === 100) return `It goes on: ${far}. bide action ${all.find((at) => at.state !== 'done')!.id} says how far it is.`
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}
