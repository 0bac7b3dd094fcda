/** What the palette does beside going somewhere: each asks in the same dialog as the button that does it. */
import { get, post, Problem, type Answer } from '../api/client'
import { latest, open, word } from '../parts/action'
import { go } from '../lib/router'

export interface Entry { text: string; kind: string; act: () => void }

type Dag = Answer<'/api/v1/dags'>[number]

/** Waits that are offered: more are found in the waiting room. */
const WAITS = 500

/** Start a run of each, pause it or let it go on. */
export function ofDags(dags: readonly Dag[]): Entry[] {
  return dags.flatMap(({ dag, paused }) => [
    { text: `Trigger ${dag}`, kind: 'action', act: () => void import('../parts/trigger').then((it) => it.askTrigger(dag)) },
    { text: `${paused ? 'Unpause' : 'Pause'} ${dag}`, kind: 'action', act: () => void import('../parts/trigger').then((it) => open(it.pausing(dag, paused))) },
  ])
}

/** Go to a run, cancel it, run again what failed of it. */
export function ofRun(run: string): Entry[] {
  return [
    { text: `Run ${run}`, kind: 'run', act: () => go(`/runs/${run}`) },
    { text: `Rerun run ${run}`, kind: 'action', act: () => open({
      title: `Rerun what failed of run ${run}`, verb: 'Rerun',
      preview: `What has not succeeded of run ${run} runs again, with the same interval; what has succeeded stays.`,
      command: () => `bide rerun ${run}`,
      act: async () => { await post('/api/v1/runs/{run}/rerun', { run }); return `Run ${run} goes on.` },
      undo: async () => void (await post('/api/v1/runs/{run}/cancel', { run })),
    }) },
    { text: `Cancel run ${run}`, kind: 'action', act: () => open({
      title: `Cancel run ${run}`, verb: 'Cancel it', severe: true,
      preview: `What of run ${run} waits and what runs is ended. What is cancelled can be run again.`,
      command: () => `bide cancel ${run}`,
      act: async () => { await post('/api/v1/runs/{run}/cancel', { run }); return `Run ${run} is cancelled.` },
      undo: async () => void (await post('/api/v1/runs/{run}/rerun', { run })),
    }) },
  ]
}

/** Look now at what an open wait waits for. */
export async function ofWaits(): Promise<Entry[]> {
  try {
    const waits = await get('/api/v1/waits', {}, { limit: WAITS })
    return waits.filter((wait) => wait.run_id).map((wait) => ({
      text: `Look now: ${wait.task} of run ${wait.run_id}, ${wait.trigger}`, kind: 'action', act: () => open({
        title: `Look now at what ${wait.task} of run ${wait.run_id} waits for`, verb: 'Look now',
        preview: wait.trigger,
        command: () => `bide waits look ${word(wait.id)}`,
        act: async () => { await post('/api/v1/waits/{wait}/look', { wait: wait.id }); return 'It is looked at now.' },
      }),
    }))
  } catch (error) {
    if (error instanceof Problem) return []
    throw error
  }
}

/** The last thing that can still be taken back. */
export function takenBack(): Entry[] {
  const note = latest()
  return note ? [{ text: `Undo: ${note.text}`, kind: 'action', act: note.back }] : []
}
