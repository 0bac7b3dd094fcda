/** `/`: what needs a person, most urgent first; then what runs, what comes, and what is in use. */
import { useState } from 'preact/hooks'
import { post, type Answer } from '../api/client'
import { useGet } from '../api/query'
import { Act, word, type Doing } from '../parts/action'
import { Ago, Empty, Fact, Head, Instant, Link, Panel, Shown, State } from '../parts/basics'
import { Day } from '../parts/day'
import { Said } from '../parts/said'
import { part } from '../lib/router'
import { STATES, URGENCY, state } from '../lib/states'
import { bytes } from '../lib/sizes'
import { lasted } from '../lib/time'
import './home.css'

type Home = Answer<'/api/v1/home'>
type Need = Home['needs'][number]
type Run = Home['running'][number]

const CHANGES = new Set(['run', 'dag', 'alert', 'approval', 'version', 'incident', 'invalidation'])
const FIRST = 8

export default function HomeScreen() {
  const home = useGet('/api/v1/home', { on: (event) => CHANGES.has(event.kind), every: 10_000 })
  return (
    <Shown of={home}>
      {(it) => (
        <>
          <Head title={it.needs.length === 0 ? 'Nothing needs a person' : `${it.needs.length.toLocaleString()} ${it.needs.length === 1 ? 'thing needs' : 'things need'} a person`}>
            {['running', 'queued'].map((of) => <Link key={of} to={`/runs?state=${of}`} class="plain"><State of={of} count={it.runs[of] ?? 0} /></Link>)}
            {it.stopping && <Fact name="It is stopping">nothing new starts</Fact>}
          </Head>
          {it.needs.length > 0 && <Needs needs={it.needs} again={home.again} />}
          {it.dags === 0 ? <First /> : <Day hours={it.hours} whole={it.hours_whole} next={it.next} at={it.at} />}
          <div class="columns">
            <Running runs={it.running} all={(it.runs.running ?? 0) + (it.runs.queued ?? 0)} />
            <Next next={it.next} />
          </div>
          <InUse it={it} />
        </>
      )}
    </Shown>
  )
}

function First() {
  return (
    <section class="panel">
      <Empty title="No DAG is loaded yet">
        <code>bide init</code> writes a first one, <code>bide dev dags/</code> loads what is in a folder and reads it again when it changes.
      </Empty>
    </section>
  )
}

/** What each kind is called, and the state whose sign and colour it has. */
const KINDS: Record<string, [text: string, as: string]> = {
  full: ['no room', 'failed'], failure: ['failed', 'failed'], lost: ['lost', 'lost'], approval: ['approval', 'awaiting_approval'], late: ['late', 'stale'],
  incident: ['incident', 'degraded'], invalidation: ['invalidated', 'invalidated'], invalidated: ['invalidated', 'invalidated'], quarantined: ['quarantined', 'quarantined'],
  quality: ['quality', 'degraded'], blocked: ['blocked', 'blocked'], effect: ['effect', 'degraded'], file: ['not loaded', 'failed'], degraded: ['degraded', 'degraded'],
  stale: ['stale', 'stale'], paused: ['paused', 'paused'],
}

function Kind({ of }: { of: string }) {
  const [text, as] = KINDS[of] ?? [of.replaceAll('_', ' '), 'degraded']
  const it = state(as)
  return <span class={`state ${it.family}`}><svg viewBox="0 0 16 16" aria-hidden="true"><path d={it.sign} /></svg>{text}</span>
}

function Needs({ needs, again }: { needs: readonly Need[]; again: () => void }) {
  const [all, setAll] = useState(false)
  const shown = all ? needs : needs.slice(0, FIRST)
  return (
    <section class="panel needs" aria-label="Needs a person">
      <ul>
        {shown.map((need) => (
          <li key={`${need.kind} ${need.subject} ${need.run_id ?? need.approval ?? ''}`}>
            <Kind of={need.kind} />
            <div class="what">
              <Link to={to(need)}>{need.subject}{need.run_id && !need.approval && <> run {need.run_id}</>}</Link>
              {need.count > 1 && <b class="count" title={`${need.count} alike; this is the newest`}> × {need.count.toLocaleString()}</b>}
              <p title={need.text}><Said text={need.text} /></p>
            </div>
            <div class="since">
              {need.since && <Ago at={need.since} />}
              {need.by && <span class="dim">by {need.by}</span>}
              {need.expires_at && <span class="dim">denied <Ago at={need.expires_at} /></span>}
            </div>
            <div class="actions">{actions(need, again)}</div>
          </li>
        ))}
      </ul>
      {needs.length > shown.length && <button onClick={() => setAll(true)}>All {needs.length.toLocaleString()}</button>}
    </section>
  )
}

/** Where it is seen what it is about. */
export function to(need: Pick<Need, 'kind' | 'dag' | 'run_id' | 'task' | 'asset' | 'approval'>): string {
  if (need.approval) return `/approvals?approval=${part(need.approval)}`
  if (need.run_id) return need.task ? `/runs/${part(need.run_id)}/t/${part(need.task)}` : `/runs/${part(need.run_id)}`
  if (need.asset) return `/assets/${need.asset.split('/').map(part).join('/')}`
  if (need.dag) return `/dags/${part(need.dag)}`
  return '/system'
}

function actions(need: Need, again: () => void) {
  const found: Doing[] = []
  if (need.kind === 'failure' && need.run_id) found.push(rerun(need))
  if (need.kind === 'paused' && need.dag) found.push(goOn(need.dag))
  if (need.alerts.length > 0) found.push(acknowledge(need, again))
  return (
    <>
      {need.approval && <Link to={to(need)} class="button">Decide</Link>}
      {found.map((doing) => <Act key={doing.title} doing={doing} small>{doing.verb}</Act>)}
    </>
  )
}

function rerun(need: Need): Doing {
  const run = need.run_id ?? ''
  return {
    title: `Rerun what failed of run ${run}`,
    verb: 'Rerun',
    preview: <p>What has not succeeded of run {run} of {need.subject} runs again, with the same interval; what has succeeded stays.{need.count > 1 && ` The other ${need.count - 1} of this DAG stay as they are: all at once is done in the list of runs.`}</p>,
    command: () => `bide rerun ${word(run)}`,
    act: async () => {
      await post('/api/v1/runs/{run}/rerun', { run })
      return `Run ${run} goes on.`
    },
    undo: async () => { await post('/api/v1/runs/{run}/cancel', { run }) },
  }
}

function goOn(dag: string): Doing {
  return {
    title: `Let ${dag} go on`,
    verb: 'Unpause',
    preview: <p>{dag} starts runs and tasks again; its waits and deadlines go on where they stood.</p>,
    command: () => `bide unpause ${word(dag)}`,
    act: async () => {
      await post('/api/v1/dags/{dag}/unpause', { dag })
      return `${dag} goes on.`
    },
    undo: async () => { await post('/api/v1/dags/{dag}/pause', { dag }) },
  }
}

function acknowledge(need: Need, again: () => void): Doing {
  return {
    title: need.count > 1 ? `Acknowledge ${need.alerts.length} alerts of ${need.subject}` : `Acknowledge the alert of ${need.subject}`,
    verb: 'Acknowledge',
    preview: <p>It leaves this page, and nobody is told of it any more. Nothing else changes; it cannot be taken back.</p>,
    command: () => need.alerts.map((alert) => `bide alerts ack ${alert}`).join('\n'),
    act: async () => {
      for (const alert of need.alerts) await post('/api/v1/alerts/{alert}/ack', { alert })
      again()
      return need.count > 1 ? `${need.alerts.length} alerts are acknowledged.` : 'The alert is acknowledged.'
    },
  }
}

function Running({ runs, all }: { runs: readonly Run[]; all: number }) {
  return (
    <Panel title="Running now" side={all > runs.length && <Link to="/runs?state=running">All {all.toLocaleString()}</Link>}>
      {runs.length === 0 ? <Empty title="Nothing runs">What is due next stands beside; <code>bide trigger DAG</code> starts a run now.</Empty> : (
        <ul class="running">
          {runs.map((run) => (
            <li key={run.run_id}>
              <div><State of={run.state} bare /> <Link to={`/runs/${part(run.run_id)}`}>{run.dag} {run.run_id}</Link></div>
              <Tasks of={run.tasks} />
              <span class="dim nowrap">{lasted(run.since, null)}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

/** The tasks of a run by state: a bar for the eye, the figures in words. */
function Tasks({ of }: { of: Record<string, number> }) {
  const all = Object.values(of).reduce((sum, count) => sum + count, 0)
  const order = [...URGENCY].reverse().filter((name) => of[name])
  const said = order.map((name) => `${of[name]} ${state(name).word}`).join(', ')
  return (
    <div class="tasks" title={said}>
      <div class="stack" aria-hidden="true">{order.map((name) => <i key={name} class={`of-${STATES[name]?.family ?? 'idle'}`} style={{ flexGrow: of[name] }} />)}</div>
      <span class="dim">{of.success ?? 0} of {all} <span class="unseen">tasks are done: {said}</span></span>
    </div>
  )
}

function Next({ next }: { next: Home['next'] }) {
  const rows = next.slice(0, 12)
  return (
    <Panel title="Next 24 hours" side={next.length > rows.length && <Link to="/dags">{next.length} DAGs</Link>}>
      {rows.length === 0 ? <Empty title="Nothing is due">No DAG has a schedule that fires within a day: <code>schedule=Cron("0 4 * * *")</code> gives it one.</Empty> : (
        <ul class="soon">
          {rows.map((each) => (
            <li key={each.dag}>
              <Link to={`/dags/${part(each.dag)}`}>{each.dag}</Link>
              <span class="dim words">{each.schedule}</span>
              <span class="nowrap"><Instant at={each.firings[0]} seconds={false} /></span>
              <span class="dim nowrap"><Ago at={each.firings[0]} />{each.firings.length > 1 && `, ${each.firings.length}${each.more ? '+' : ''} times`}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

function InUse({ it }: { it: Home }) {
  const waits = Object.values(it.waits).reduce((sum, count) => sum + count, 0)
  return (
    <section aria-label="In use" class="tiles">
      {it.slots !== null && <Tile to="/pools?pool=slots" name="Slots in use" of={it.slots_in_use ?? 0} all={it.slots} />}
      {it.pools.map((pool) => <Tile key={pool.pool} to={`/pools?pool=${part(pool.pool)}`} name={`Pool ${pool.pool}`} of={pool.in_use} all={pool.slots} />)}
      <Link to="/waits" class="tile"><span class="dim">Waits</span><b>{waits.toLocaleString()}</b><small class="dim">{Object.entries(it.waits).slice(0, 3).map(([kind, count]) => `${count} ${kind}`).join(', ') || 'none is open'}</small></Link>
      <Link to="/dags" class="tile"><span class="dim">DAGs</span><b>{it.dags.toLocaleString()}</b><small class="dim">{it.paused ? `${it.paused} paused` : 'none paused'}</small></Link>
      {it.loop_lag_ms !== null && <Link to="/system" class="tile"><span class="dim">Loop lag</span><b>{it.loop_lag_ms} ms</b><small class="dim">{it.loop_lag_ms < 50 ? 'well' : 'something holds the loop'}</small></Link>}
      <Link to="/system" class="tile"><span class="dim">Database</span><b>{bytes(it.database_bytes)}</b><small class="dim">and {bytes(it.log_bytes)} of log</small></Link>
    </section>
  )
}

function Tile({ name, of, all, to: at }: { name: string; of: number; all: number | null; to: string }) {
  return (
    <Link to={at} class="tile">
      <span class="dim">{name}</span>
      <b>{of.toLocaleString()}{all !== null && <small class="dim"> of {all.toLocaleString()}</small>}</b>
      {all !== null && <div class={`bar ${of >= all ? 'soon' : ''}`} aria-hidden="true"><i style={{ width: `${Math.min(100, (100 * of) / Math.max(1, all))}%` }} /></div>}
    </Link>
  )
}
