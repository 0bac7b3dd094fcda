/** `/tasks`: task instances of all DAGs by filters that stand in the address, and what can be done to all that match. */
import { useState } from 'preact/hooks'
import { get, post, Problem } from '../api/client'
import type { Event } from '../api/feed'
import { usePages } from '../api/query'
import { open, say, word } from '../parts/action'
import { Ago, Choice, Empty, Head, Instant, Link, Shown, State, Table } from '../parts/basics'
import { KeptFilters } from '../parts/kept'
import { WhyHere } from '../parts/why_here'
import { taskPath } from '../parts/why'
import { filter, part, query } from '../lib/router'
import './tasks.css'

const STATES: [string, string][] = [
  ['', 'Unfinished runs'], ['running', 'Running'], ['ready', 'Ready'], ['deferred', 'Deferred'], ['up_for_retry', 'Up for retry'],
  ['awaiting_approval,blocked', 'Held'], ['lost', 'Lost'], ['failed', 'Failed'], ['upstream_failed', 'Upstream failed'], ['success', 'Success'],
]
const NAMES = ['run', 'dag', 'task', 'state', 'since', 'until'] as const
type Where = Partial<Record<(typeof NAMES)[number], string>>

export default function Tasks() {
  const where: Where = Object.fromEntries(NAMES.flatMap((name) => (query.value.get(name) ? [[name, query.value.get(name)]] : [])))
  const about = (event: Event) => event.kind === 'task' && (!where.run || event.run_id === where.run) && (!where.dag || where.dag.includes('*') || event.dag === where.dag)
  const tasks = usePages('/api/v1/tasks', { query: { ...where, limit: 100 }, on: about })
  return (
    <>
      <Head title="Tasks" actions={<Bulk where={where} />}>
        {where.run && <span>Of <Link to={`/runs/${part(where.run)}`}>run {where.run}</Link> <button class="small" onClick={() => filter({ run: null })}>Of all runs</button></span>}
      </Head>
      <div class="filters">
        <Named label="DAG" name="dag" hint="daily_*" value={where.dag} />
        <Named label="Task" name="task" hint="load*" value={where.task} />
        <Named label="From" name="since" kind="date" value={where.since} />
        <Named label="Before" name="until" kind="date" value={where.until} />
        <Choice label="State" value={where.state ?? ''} options={where.run || where.dag || where.task || where.since || where.until ? [['', 'All'], ...STATES.slice(1)] : STATES} onChange={(state) => filter({ state })} />
      </div>
      <KeptFilters />
      <Shown of={tasks}>
        {(rows) => (
          <>
            <Table
              label="Tasks" rows={rows} id={(task) => task.id}
              empty={<Empty title={Object.keys(where).length ? 'No task matches' : 'Nothing is under way'}>{Object.keys(where).length ? <>Names may have * and ?. <button class="small" onClick={() => filter(Object.fromEntries(NAMES.map((name) => [name, null])))}>Show those of unfinished runs</button></> : <>No run is unfinished. <code>bide trigger DAG</code> starts one.</>}</Empty>}
              columns={[
                { name: 'Task', cell: (task) => { const name = task.map_index < 0 ? task.task : `${task.task}[${task.map_index}]`; return <><Link to={taskPath(task.run_id, name)}>{name}</Link><small class="narrow">{task.dag}, run {task.run_id}</small></> } },
                { name: 'State', cell: (task) => <State of={task.state} /> },
                { name: 'DAG', cell: (task) => <Link to={`/dags/${part(task.dag)}`}>{task.dag}</Link>, wide: true },
                { name: 'Run', cell: (task) => <Link to={`/runs/${part(task.run_id)}`}>{task.run_id}</Link>, right: true, wide: true },
                { name: 'Logical date', cell: (task) => <Instant at={task.logical_date} seconds={false} />, wide: true },
                { name: 'Since', cell: (task) => <Ago at={task.since} />, wide: true },
                { name: 'Starts', cell: (task) => task.attempts, right: true, wide: true },
                { name: 'Why', cell: (task) => <WhyHere run={task.run_id} task={task.map_index < 0 ? task.task : `${task.task}[${task.map_index}]`} state={task.state} reason={task.reason} />, wide: true },
              ]}
            />
            {tasks.more.value && <button onClick={tasks.next}>More of them</button>}
          </>
        )}
      </Shown>
    </>
  )
}

/** A filter that is typed: it counts when it is left, or with Enter. */
function Named({ label, name, value = '', hint = '', kind = 'text' }: { label: string; name: string; value?: string | undefined; hint?: string; kind?: 'text' | 'date' }) {
  const heard = (event: { currentTarget: HTMLInputElement }) => filter({ [name]: event.currentTarget.value.trim() })
  return (
    <label>{label}
      {kind === 'date' ? <input key={value} type="date" defaultValue={value} onChange={heard} /> : <input key={value} type="text" placeholder={hint} defaultValue={value} spellcheck={false} onChange={heard} />}
    </label>
  )
}

/** What is done to all that match: counted by the service first, and then only if that count still holds. */
function Bulk({ where }: { where: Where }) {
  const [busy, setBusy] = useState(false)
  const [to, setTo] = useState('success')
  const noMark = !where.dag || !where.task ? 'Say a DAG and a task first: a mark of many is of one task in the runs of one DAG, or of those that a name with * matches.' : where.run ? 'A mark of many is of many runs: of one, mark it on its own page.' : ''
  const noRerun = where.task || where.state || where.run ? 'It is of what failed in whole runs: leave the task, the state and the run out.' : ''

  async function ask(action: 'mark' | 'rerun') {
    setBusy(true)
    const runs = { ...(where.dag && { dag: where.dag }), ...(where.since && { since: where.since }), ...(where.until && { until: where.until }) }
    const asked = action === 'mark' ? { action, ...runs, task: where.task ?? '', to, ...(where.state && { task_state: where.state }) } : { action, ...runs }
    try {
      const found = await post('/api/v1/runs/actions', {}, { ...asked, dry_run: true })
      const many = `${found.count.toLocaleString()} ${found.count === 1 ? 'run' : 'runs'}`
      if (!found.count) return say(action === 'mark' ? `Nothing to mark: no run that matches has a ${where.task} that is not ${to} yet.` : 'Nothing to run again: no run that matches has failed or was cancelled.')
      open({
        title: action === 'mark' ? `Mark ${where.task} ${to} in ${many}` : `Run again what failed in ${many}`,
        severe: action === 'mark' && to === 'failed',
        verb: action === 'mark' ? `Mark in ${many}` : `Run ${many} again`,
        preview: (
          <>
            <p>{action === 'mark' ? <>{where.task} becomes <State of={to} /> in {many}{where.state && <> where it is {where.state.replaceAll('_', ' ').replaceAll(',', ' or ')}</>}; what waits for it goes on by that.</> : <>In {many} that failed or were cancelled, all that did not succeed gets a new attempt, with the same inputs.</>}</p>
            <p class="first-of">{found.first.map((run, at) => <span key={run}>{at > 0 && ', '}<Link to={`/runs/${part(run)}`}>run {run}</Link></span>)}{found.count > found.first.length && <> and {(found.count - found.first.length).toLocaleString()} more</>}</p>
            <p class="dim">If another number matches by the time it is done, nothing is done.</p>
          </>
        ),
        command: () => {
          const pairs = Object.entries({ ...runs, ...(action === 'mark' && where.state && { task_state: where.state }) }).map(([key, value]) => `${key}=${value}`).join(',')
          return `bide ${action === 'mark' ? `mark ${word(where.task ?? '')} ${to}` : 'rerun'} --where ${word(pairs || 'dag=*')} --expect ${found.count}`
        },
        act: async () => {
          const begun = await post('/api/v1/runs/actions', {}, { ...asked, expect: found.count })
          return over(begun.id ?? '')
        },
      })
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      say(error.message, true)
    } finally {
      setBusy(false)
    }
  }

  return (
    <div class="bulk" role="group" aria-label="To all that match">
      <button aria-haspopup="dialog" disabled={busy || Boolean(noRerun)} title={noRerun || undefined} onClick={() => void ask('rerun')}>Run again what failed</button>
      <button aria-haspopup="dialog" disabled={busy || Boolean(noMark)} title={noMark || undefined} onClick={() => void ask('mark')}>Mark all</button>
      <select aria-label="Mark as" value={to} onChange={(event) => setTo(event.currentTarget.value)}>
        {['success', 'failed', 'skipped'].map((each) => <option key={each} value={each}>{each}</option>)}
      </select>
    </div>
  )
}

/** What came of an action on many, when it is over; how far it is after half a minute. */
async function over(id: string): Promise<string> {
  for (let look = 0; ; look++) {
    const at = await get('/api/v1/actions/{action}', { action: id })
    const left = at.refused ? `; ${at.refused.toLocaleString()} refused, the first: ${at.left[0]?.why ?? ''}` : ''
    if (at.state === 'done') return `${at.done.toLocaleString()} of ${at.total.toLocaleString()} runs done${left}.`
    if (look === 100) return `It goes on: ${at.done.toLocaleString()} of ${at.total.toLocaleString()} runs done. bide action ${id} says how far it is.`
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}
