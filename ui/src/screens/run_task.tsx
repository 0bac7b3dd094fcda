/** The task that is chosen in the graph or the timeline: why it is as it is, and what can be done about it. */
import { post } from '../api/client'
import { useGet } from '../api/query'
import { Act, word } from '../parts/action'
import { Ago, Fact, Link, Panel, Shown, State } from '../parts/basics'
import { Said } from '../parts/said'
import { filter, part, query } from '../lib/router'
import { URGENCY } from '../lib/states'
import { below } from './run_below'
import { Details } from '../parts/details'
import type { Live, Task } from './run_live'
import type { RunGraph } from './run'

export function Chosen({ run, live, graph }: { run: string; live: Live; graph: RunGraph }) {
  const place = query.value.get('task')
  const task = place ? live.tasks.value.find((each) => each.place === place) : undefined
  return task ? <One key={task.place} {...{ run, task, live, graph }} /> : null
}

function One({ run, task, live, graph }: { run: string; task: Task; live: Live; graph: RunGraph }) {
  const place = task.place
  const why = useGet('/api/v1/runs/{run}/why', { names: { run }, query: { task: place }, on: (event) => event.run_id === run && event.task === task.task })
  const spec = graph.tasks.find((each) => each.task === task.task)
  const to = `/runs/${part(run)}/t/${part(place)}`
  return (
    <Panel title={place} side={<><Link to={to}>Attempts, logs and result</Link> <button class="small" onClick={() => filter({ task: null })}>Close</button></>}>
      <div class="facts">
        <State of={task.state.value} />
        {why.data.value?.since && <Fact name="Since"><Ago at={why.data.value.since} /></Fact>}
        {!task.moves.value.some((move) => move.now === 'mapped') && <Fact name="Attempts">{task.attempts.value}</Fact>}
        {spec && spec.upstream.length > 0 && <Fact name="After">{spec.upstream.slice(0, 4).map((up) => <button key={up} class="plain" onClick={() => filter({ task: up })}>{up}</button>)}{spec.upstream.length > 4 && ` and ${spec.upstream.length - 4} others`}</Fact>}
      </div>
      <Shown of={why}>
        {(said) => (
          <>
            <p class="run-why"><Said text={said.why} /></p>
            {said.details.length > 0 && <dl class="run-facts"><Details of={said.details} /></dl>}
            {said.next && <p class="dim"><Said text={said.next} /></p>}
          </>
        )}
      </Shown>
      {task.index < 0 && <Instances run={run} task={task} live={live} />}
      <div class="actions">
        <Act small doing={() => rerun(run, task, graph, live)}>Rerun this task</Act>
        <Act small doing={() => mark(run, task)}>Mark</Act>
      </div>
    </Panel>
  )
}

/** The instances of a mapped task, those first that need somebody. */
function Instances({ run, task, live }: { run: string; task: Task; live: Live }) {
  const found = live.tasks.value.filter((each) => each.task === task.task && each.index >= 0)
  if (found.length === 0) return null
  const sorted = [...found].sort((a, b) => URGENCY.indexOf(a.state.value) - URGENCY.indexOf(b.state.value))
  return (
    <ul class="run-instances" aria-label={`Instances of ${task.task}`}>
      {sorted.slice(0, 60).map((each) => <li key={each.id}><Link to={`/runs/${part(run)}/t/${part(each.place)}`}><State of={each.state.value} bare />{each.index}</Link></li>)}
      {sorted.length > 60 && <li><button class="small" onClick={() => filter({ q: `${task.task}[` })}>{sorted.length - 60} others</button></li>}
    </ul>
  )
}

function rerun(run: string, task: Task, graph: RunGraph, live: Live) {
  const under = [...below(graph.tasks)(task.task)].filter((name) => live.whole.peek().has(name))
  return {
    title: `Run ${task.place} again`,
    preview: <p>The task starts anew in run {run}. {under.length > 0 ? <>{under.length.toLocaleString()} tasks stand below it: {under.slice(0, 5).join(', ')}{under.length > 5 && ' and others'}.</> : 'Nothing stands below it.'}</p>,
    fields: under.length > 0 ? [{ name: 'downstream', label: 'Run what stands below it again as well', kind: 'checkbox' as const, value: 'true' }] : [],
    command: (values: Record<string, string>) => `bide rerun ${run} ${word(task.place)}${values.downstream === 'true' ? ' --downstream' : ''}`,
    act: async (values: Record<string, string>) => (await post('/api/v1/runs/{run}/rerun', { run }, { task: task.place, downstream: values.downstream === 'true' })).done,
    verb: 'Run again',
  }
}

function mark(run: string, task: Task) {
  return {
    title: `Mark ${task.place} by hand`,
    preview: <p>It counts as this from now on, whatever it did: what stands below decides by it. Now it is <State of={task.state.peek()} />.</p>,
    fields: [{ name: 'state', label: 'It becomes', value: 'success', options: [['success', 'success'], ['failed', 'failed'], ['skipped', 'skipped']] as [string, string][] }],
    command: (values: Record<string, string>) => `bide mark ${run} ${word(task.place)} ${values.state}`,
    act: async (values: Record<string, string>) => (await post('/api/v1/runs/{run}/tasks/{task}/mark', { run, task: task.place }, { state: values.state ?? 'success' })).done,
    severe: true,
    verb: 'Mark it',
  }
}
