/** What can be done to a task of a run: run it again, mark it, let it not run. */
import { post } from '../api/client'
import { Act, open, word, type Doing } from './action'
import { State } from './basics'

export interface Meant {
  run: string
  /** Without its index. */
  task: string
  /** With it: `load[3]`. */
  name: string
  state: string
  downstream: boolean
}

const OVER = ['success', 'failed', 'skipped', 'upstream_failed', 'cancelled', 'lost']

export function TaskActions({ tasks: of, again }: { tasks: Meant; again: () => void }) {
  const over = OVER.includes(of.state)
  return (
    <>
      <Act doing={rerun(of, again)} disabled={over ? undefined : 'It is not over: cancel its run, or wait for its end.'}>Run again</Act>
      <button aria-haspopup="dialog" onClick={() => open(mark(of, again))}>Mark</button>
      {!over && <button aria-haspopup="dialog" onClick={() => open(skip(of, again))}>Skip</button>}
    </>
  )
}

const at = (of: Meant) => `${of.run} ${word(of.name)}`

function rerun(of: Meant, again: () => void): Doing {
  return {
    title: 'Run again',
    preview: <p>{of.name} of run {of.run} is <State of={of.state} />. It gets a new attempt with the same interval and the same inputs.</p>,
    fields: of.downstream ? [{ name: 'downstream', label: 'And all that comes after it', kind: 'checkbox', value: 'true' }] : [],
    command: (values) => `bide rerun ${at(of)}${values['downstream'] === 'true' ? ' --downstream' : ''}`,
    act: async (values) => {
      const done = await post('/api/v1/runs/{run}/rerun', { run: of.run }, { task: of.name, downstream: values['downstream'] === 'true' })
      again()
      return done.done
    },
  }
}

function mark(of: Meant, again: () => void): Doing {
  const doing: Doing = {
    title: 'Mark',
    preview: <p>{of.name} of run {of.run} is <State of={of.state} />. It becomes what you say, and what waits for it goes on by that.</p>,
    fields: [
      { name: 'state', label: 'It becomes', value: of.state === 'success' ? 'failed' : 'success', options: [['success', 'success'], ['failed', 'failed'], ['skipped', 'skipped']] },
      ...(of.downstream ? [{ name: 'downstream', label: 'And all that comes after it', kind: 'checkbox' as const }] : []),
    ],
    command: (values) => `bide mark ${at(of)} ${values['state']}${values['downstream'] === 'true' ? ' --downstream' : ''}`,
    act: async (values) => {
      const become = async (state: string, downstream: boolean) => {
        const done = await post('/api/v1/runs/{run}/tasks/{task}/mark', { run: of.run, task: of.name }, { state, downstream })
        again()
        return done.done
      }
      const alone = values['downstream'] !== 'true'
      const done = await become(values['state'] ?? '', !alone)
      // what comes after it cannot be put back as it was; one task can
      if (alone && ['success', 'failed', 'skipped'].includes(of.state)) doing.undo = async () => void (await become(of.state, false))
      return done
    },
  }
  return doing
}

function skip(of: Meant, again: () => void): Doing {
  return {
    title: 'Skip',
    preview: <p>{of.name} of run {of.run} does not run, and that is well: what follows goes on as if it were skipped. It can be run again, and what went on by then is not taken back.</p>,
    fields: of.downstream ? [{ name: 'downstream', label: 'And all that comes after it', kind: 'checkbox' }] : [],
    command: (values) => `bide skip ${at(of)}${values['downstream'] === 'true' ? ' --downstream' : ''}`,
    act: async (values) => {
      const done = await post('/api/v1/runs/{run}/tasks/{task}/skip', { run: of.run, task: of.name }, { downstream: values['downstream'] === 'true' })
      again()
      return done.done
    },
  }
}
