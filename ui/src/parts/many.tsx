/** One thing done to all runs that a filter finds: counted by a dry run, refused when another number matches by then, and its progress shown. */
import { get, post, Problem, type Answer } from '../api/client'
import { flags, matching, type Where } from '../lib/many'
import { Link } from './basics'
import { open, say, word, type Doing } from './action'

type Verb = 'cancel' | 'rerun' | 'mark'
type Shown = Answer<'/api/v1/actions/{action}'>

/** What a service carries out in slices is asked for so often, ms, and for so long. */
const APART = 300
const LOOKS = 400

export function Many({ where }: { where: Where }) {
  return (
    <>
      <button aria-haspopup="dialog" onClick={() => ask('cancel', where)}>Cancel all</button>
      <button aria-haspopup="dialog" onClick={() => ask('rerun', where)}>Rerun all</button>
      <button aria-haspopup="dialog" onClick={() => open(marking(where))}>Mark in all</button>
    </>
  )
}

async function ask(verb: 'cancel' | 'rerun', where: Where) {
  try {
    const counted = await post('/api/v1/runs/actions', {}, { action: verb, ...where, dry_run: true })
    if (counted.count === 0) say(`Nothing to ${verb}: no run that ${verb === 'cancel' ? 'is not over' : 'has failed or was cancelled'} matches ${matching(where)}.`)
    else open(doing(verb, where, counted.count, counted.first))
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    say(error.detail, true)
  }
}

const runs = (count: number) => `${count.toLocaleString()} ${count === 1 ? 'run' : 'runs'}`

function doing(verb: 'cancel' | 'rerun', where: Where, count: number, first: readonly string[]): Doing {
  const what = verb === 'cancel' ? 'What of them waits and what runs is ended; the newest first.' : 'What did not succeed of them runs again, with the same intervals; the oldest first.'
  return {
    title: `${verb === 'cancel' ? 'Cancel' : 'Rerun'} ${runs(count)}`,
    severe: verb === 'cancel',
    preview: (
      <>
        <p>{matching(where)}: {runs(count)} that {verb === 'cancel' ? (count === 1 ? 'is not over' : 'are not over') : 'failed or were cancelled'}. {what}</p>
        <p>The first: {first.map((run, i) => <span key={run}>{i > 0 && ', '}<Link to={`/runs/${run}`}>{run}</Link></span>)}{count > first.length && ', ...'}</p>
        <p class="dim">When another number matches by then, nothing is done, and it says so.</p>
      </>
    ),
    fields: [{ name: 'reason', label: 'Why', hint: 'For the journal and the audit log.' }],
    command: (values) => `bide ${verb}${flags(where)} --expect ${count}${values.reason ? ` --reason ${word(values.reason)}` : ''}`,
    act: async (values) => {
      const begun = await post('/api/v1/runs/actions', {}, { action: verb, ...where, expect: count, reason: values.reason ?? '' })
      void follow(begun.id, verb, where)
      return `${runs(count)}: it goes on.`
    },
  }
}

/** Say what came of it when it is over; what was cancelled can be taken up again. */
async function follow(id: string | null, verb: Verb, where: Where) {
  if (id === null) return
  for (let look = 0; look < LOOKS; look++) {
    await new Promise((done) => setTimeout(done, APART))
    let shown: Shown
    try {
      shown = await get('/api/v1/actions/{action}', { action: id })
    } catch (error) {
      if (error instanceof Problem) continue
      throw error
    }
    if (shown.state !== 'done') continue
    const left = shown.refused > 0 ? ` ${runs(shown.refused)} refused: ${shown.left.slice(0, 3).map((each) => `${each.id} (${each.why})`).join(', ')}.` : ''
    say(`${{ cancel: 'Cancelled', rerun: 'Taken up again', mark: 'Marked' }[verb]}: ${runs(shown.done - shown.refused)}.${left}`, shown.refused > 0, verb === 'cancel' ? () => back(where, shown) : undefined)
    return
  }
}

/** Those that were cancelled are taken up again: whatever was cancelled by the same filter, and of these no more than there were. */
async function back(where: Where, shown: Shown) {
  const again = { action: 'rerun', ...where, state: 'cancelled' }
  const counted = await post('/api/v1/runs/actions', {}, { ...again, dry_run: true })
  if (counted.count !== shown.done - shown.refused) throw new Problem(409, 'Not taken back', `${runs(counted.count)} that the filter finds are cancelled, not only the ${shown.done - shown.refused} of just now: rerun them one by one, or with a narrower filter`, 'RefusedError')
  await post('/api/v1/runs/actions', {}, { ...again, expect: counted.count, reason: 'a cancel is taken back' })
}

function marking(where: Where): Doing {
  let counted: { key: string; count: number } | null = null
  const body = (values: Record<string, string>) => ({ action: 'mark', ...where, task: values.task ?? '', to: values.to ?? 'success', downstream: values.downstream === 'true' })
  return {
    title: 'Mark a task in all runs that match',
    verb: 'Count, then mark',
    preview: <p>{matching(where)}. The first time it is only counted, and nothing is done; a mark is of the runs of one DAG, or of those that its name with * matches.</p>,
    fields: [
      { name: 'task', label: 'Task', needed: true },
      { name: 'to', label: 'It becomes', value: 'success', options: [['success', 'success'], ['failed', 'failed'], ['skipped', 'skipped']] },
      { name: 'downstream', label: 'And every task below', kind: 'checkbox' },
    ],
    command: (values) => `bide mark ${word(values.task || 'TASK')} ${values.to ?? 'success'}${flags(where)}${values.downstream === 'true' ? ' --downstream' : ''}`,
    act: async (values) => {
      const key = JSON.stringify(values)
      if (counted?.key !== key) {
        const found = await post('/api/v1/runs/actions', {}, { ...body(values), dry_run: true })
        counted = { key, count: found.count }
        if (found.count === 0) throw new Problem(0, 'Nothing to mark', `in no run that matches is ${values.task} in another state`, 'NotFoundError')
        throw new Problem(0, `${runs(found.count)}`, `The first: ${found.first.join(', ')}. Press once more to mark ${values.task} ${values.to} in ${found.count === 1 ? 'it' : 'all of them'}.`, 'Counted')
      }
      const begun = await post('/api/v1/runs/actions', {}, { ...body(values), expect: counted.count })
      void follow(begun.id, 'mark', where)
      return `${runs(counted.count)}: it goes on.`
    },
  }
}
