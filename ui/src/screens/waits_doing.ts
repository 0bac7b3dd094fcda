/** What can be done about a wait: look, extend, satisfy, fail. */
import { post, Problem } from '../api/client'
import { word, type Doing } from '../parts/action'
import { instant, zoneName } from '../lib/time'
import type { Line } from './waits_lines'

/** Whose wait it is, in words. */
export const owner = (line: Line) => (line.run_id ? `${line.dag}.${line.task} of run ${line.run_id}` : `the schedule of ${line.dag}`)

export const look = (line: Line): Doing => ({
  title: `Look now at wait ${line.id}`,
  verb: 'Look now',
  preview: `${owner(line)} waits for ${line.trigger}. It is looked at now; if it is true, the task goes on.`,
  command: () => `bide waits look ${line.id}`,
  act: async () => (await post('/api/v1/waits/{wait}/look', { wait: line.id })).done,
})

export const extend = (line: Line): Doing => {
  const doing: Doing = {
    title: `Extend wait ${line.id}`,
    verb: 'Extend',
    preview: `${owner(line)} waits for ${line.trigger}, and gives up at ${instant(line.deadline)} (${zoneName.value}).`,
    fields: [{ name: 'by', label: 'By how much, or until when', value: '+2h', needed: true, hint: '+2h is that much later than now planned; or an instant: 2026-06-15T12:00Z' }],
    command: ({ by = '' }) => `bide waits extend ${line.id} ${by.startsWith('+') ? word(by) : `--until ${word(by)}`}`,
    act: async ({ by = '' }) => {
      const until = async (deadline: string) => (await post('/api/v1/waits/{wait}/extend', { wait: line.id }, { deadline })).done
      const done = await until(by.trim())
      const was = line.deadline
      if (was) doing.undo = async () => void (await until(was))
      return done
    },
  }
  return doing
}

export const satisfy = (line: Line): Doing => ({
  title: `Satisfy wait ${line.id}`,
  verb: 'Satisfy',
  preview: `${owner(line)} goes on as if ${line.trigger} had come. What it gets is the event below. It cannot be taken back.`,
  fields: [{ name: 'event', label: 'Event, as JSON', lines: 4, hint: 'Nothing: the task gets null.' }],
  command: ({ event = '' }) => `bide waits satisfy ${line.id}${event.trim() ? ` --event ${word(event.trim())}` : ''}`,
  act: async ({ event = '' }) => (await post('/api/v1/waits/{wait}/satisfy', { wait: line.id }, { event: parsed(event) })).done,
})

export const fail = (line: Line): Doing => ({
  title: `Fail wait ${line.id}`,
  verb: 'Fail',
  preview: `${owner(line)} fails now, or tries again where it has tries left. It cannot be taken back.`,
  fields: [{ name: 'reason', label: 'Why', hint: 'Stands in the log, and in why.' }],
  command: ({ reason = '' }) => `bide waits fail ${line.id}${reason.trim() ? ` --reason ${word(reason.trim())}` : ''}`,
  act: async ({ reason = '' }) => (await post('/api/v1/waits/{wait}/fail', { wait: line.id }, { reason: reason.trim() })).done,
  severe: true,
})

/** JSON that somebody typed; nothing is null. */
export function parsed(text: string): unknown {
  if (!text.trim()) return null
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Problem(422, 'This is no JSON', `${(error as Error).message}. Write text in quotes, or nothing at all.`, 'UsageError')
  }
}
