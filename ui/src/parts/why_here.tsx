/** Why something is not running, said where it is listed: asked for when somebody wants to know. */
import { useState } from 'preact/hooks'
import { useGet } from '../api/query'
import { Shown } from './basics'
import { Said } from './said'

/** States that need no why: it runs, or is over as it was meant to be. */
const PLAIN = new Set(['running', 'success', 'skipped', 'mapped'])

export function WhyHere({ run, task, state, reason = '' }: { run: string; task?: string; state: string; reason?: string }) {
  const [asked, setAsked] = useState(false)
  if (reason && state !== 'queued') return <span class="dim"><Said text={reason} /></span>
  if (PLAIN.has(state)) return null
  return asked ? <Answer run={run} task={task} /> : <button class="small" aria-label={`Why ${task ?? 'the run'} of run ${run} does not run`} onClick={() => setAsked(true)}>Why</button>
}

function Answer({ run, task }: { run: string; task: string | undefined }) {
  const why = useGet('/api/v1/runs/{run}/why', { names: { run }, query: { ...(task && { task }) }, on: (event) => event.run_id === run && (!task || event.task === task) })
  return <Shown of={why}>{(said) => <span><Said text={said.why} />{said.next && <span class="dim">; <Said text={said.next} /></span>}</span>}</Shown>
}
