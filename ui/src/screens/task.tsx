/** `/runs/:run/t/:task`: one task of a run, with `?map=3` one of its instances: why, its attempts and their logs, what it was given and gave. */
import type { ComponentChildren } from 'preact'
import type { Answer } from '../api/client'
import type { Event } from '../api/feed'
import { useGet } from '../api/query'
import { Copy } from '../parts/action'
import { Ago, Empty, Fact, Head, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import { Log } from '../parts/log'
import { taskPath, Why } from '../parts/why'
import { TaskActions } from '../parts/task-actions'
import { filter, part, query } from '../lib/router'
import { URGENCY } from '../lib/states'
import { instant, lasted, now, span } from '../lib/time'
import './task.css'

type Task = Answer<'/api/v1/runs/{run}/tasks/{task}'>
type Attempt = Task['attempts'][number]
type Wait = Task['waits'][number]

export default function TaskScreen({ run, task }: { run: string; task: string }) {
  const map = /^\d{1,9}$/.exec(query.value.get('map') ?? '')?.[0]
  const name = map === undefined ? task : `${task}[${map}]`
  const mine = (event: Event) => event.run_id === run
  const shown = useGet('/api/v1/runs/{run}/tasks/{task}', { names: { run, task: name }, on: mine })
  const why = useGet('/api/v1/runs/{run}/why', { names: { run }, query: { task: name }, on: mine, every: 10_000 })
  const at = shown.data.value
  return (
    <>
      <Head
        title={name}
        trail={[['Runs', '/runs'], [at ? `${at.dag} run ${run}` : `Run ${run}`, `/runs/${part(run)}`], ...(map === undefined ? [] : [[task, `/runs/${part(run)}/t/${part(task)}`] as [string, string]])]}
        actions={at && <TaskActions tasks={{ run, task, name, state: at.state, downstream: at.downstream.length > 0 }} again={shown.again} />}
      >
        {at && (
          <>
            <Fact name="DAG"><Link to={`/dags/${part(at.dag)}`}>{at.dag}</Link></Fact>
            <Fact name="Logical date"><Instant at={at.logical_date} /></Fact>
            {at.interval.start !== at.interval.end && <Fact name="Interval"><Instant at={at.interval.start} seconds={false} /> to <Instant at={at.interval.end} seconds={false} /></Fact>}
            {at.owner && <Fact name="Owner">{at.owner}</Fact>}
            <Fact name={at.does}>{at.lane}</Fact>
          </>
        )}
      </Head>
      <Shown of={why}>{(found) => <Why why={found} />}</Shown>
      <Shown of={shown}>{(one) => <Around one={one} run={run} task={task} name={name} />}</Shown>
    </>
  )
}

function Around({ one, run, task, name }: { one: Task; run: string; task: string; name: string }) {
  const stands = Object.keys(one.instances).length > 0
  return (
    <>
      {stands && <Instances one={one} run={run} task={task} />}
      {(!stands || one.attempts.length > 0) && <Attempts one={one} run={run} name={name} />}
      {one.waits.length > 0 && <Waits waits={one.waits} />}
      <div class="columns">
        <Panel title="What it was given"><Inputs one={one} run={run} /></Panel>
        <Panel title="What it gave" side={one.result_bytes !== null && <span class="dim">{bytes(one.result_bytes)}</span>}><Result one={one} /></Panel>
        <Panel title="Beside it"><Neighbours one={one} run={run} /></Panel>
        <Panel title="How it is declared"><Declared one={one} /></Panel>
      </div>
      <Journal run={run} task={task} map={one.map_index} />
    </>
  )
}

function Attempts({ one, run, name }: { one: Task; run: string; name: string }) {
  const asked = Number(query.value.get('attempt'))
  const last = one.attempts.at(-1)
  const chosen = one.attempts.find((each) => each.attempt === asked) ?? last
  if (!chosen)
    return (
      <Panel title="Attempts">
        <Empty title="It has not been started">Each start is an attempt with a log of its own; in the terminal <code>bide logs {run}/{name} -f</code> follows it.</Empty>
      </Panel>
    )
  return (
    <Panel title={one.attempts.length > 1 ? `${one.attempts.length} attempts` : 'Attempt'} side={<><code>bide logs {run}/{name} --attempt {chosen.attempt}</code><Copy text={`bide logs ${run}/${name} --attempt ${chosen.attempt}`} /></>}>
      {one.attempts.length > 1 && (
        <div class="attempts" role="group" aria-label="Attempts">
          {one.attempts.map((each) => (
            <button key={each.attempt} aria-pressed={each === chosen} onClick={() => filter({ attempt: each === last ? null : String(each.attempt) })}>
              {each.attempt} <State of={each.state} />
            </button>
          ))}
        </div>
      )}
      <Spent one={chosen} task={one} />
      {chosen.error && <div class="wrong"><strong>{chosen.state === 'lost' ? 'Lost' : 'What it said'}</strong><p>{chosen.error}</p></div>}
      <Log key={chosen.attempt} run={run} task={name} attempt={chosen.attempt} bytes={chosen.log_bytes} />
    </Panel>
  )
}

/** Where the time of an attempt went: a bar, and the same in words. */
function Spent({ one, task }: { one: Attempt; task: Task }) {
  const open = one.ended_at === null
  const all = Math.max(0, ((open ? now.value : new Date(one.ended_at!).getTime()) - new Date(one.started_at).getTime()) / 1000)
  // an open attempt holds one now, since the task runs, unless it waits
  const slot = open && task.state === 'running' ? Math.min(all, one.slot_s + Math.max(0, (now.value - new Date(task.since).getTime()) / 1000)) : one.slot_s
  const total = one.queued_s + all || 1
  const waited = all - slot < 0.001 ? 0 : all - slot
  return (
    <>
      <div class="spent" aria-hidden="true">
        <Share kind="queued" of={one.queued_s / total} /><Share kind="held-slot" of={slot / total} /><Share kind="waited" of={waited / total} />
      </div>
      <div class="numbers key">
        <Fact name="Started"><Instant at={one.started_at} /></Fact>
        <Fact name={open ? 'Runs for' : 'Took'}><b>{lasted(one.started_at, one.ended_at)}</b></Fact>
        <span><i class="box queued" aria-hidden="true" />Wanted a slot <b>{span(one.queued_s * 1000)}</b></span>
        <span><i class="box held-slot" aria-hidden="true" />Held one <b>{span(slot * 1000)}</b></span>
        {waited > 0 && <span><i class="box waited" aria-hidden="true" />Waited without one <b>{span(waited * 1000)}</b></span>}
        {Object.entries(one.metrics).map(([key, value]) => <Fact key={key} name={key}><b>{Number(value).toLocaleString()}</b></Fact>)}
        <Fact name="Log">{bytes(one.log_bytes)}</Fact>
        {one.code && <Began code={one.code} dag={task.dag} />}
      </div>
    </>
  )
}

/** The code that an attempt was begun with; that it is not what would run now is said. */
function Began({ code, dag }: { code: NonNullable<Attempt['code']>; dag: string }) {
  const at = `/dags/${part(dag)}?view=code&code=${code.code}`
  return (
    <Fact name="Code">
      <Link to={at} title={`${code.file || 'no file'}, loaded ${instant(code.loaded_at)}`}>{code.source ? code.source.slice(0, 8) : `code ${code.code}`}</Link> <span class="dim">version {code.version}</span>
      {!code.current && <>, <Link to={`/dags/${part(dag)}?view=code&from=${code.code}`}>what runs now is other code</Link></>}
    </Fact>
  )
}

function Share({ kind, of }: { kind: string; of: number }) {
  return of > 0.0005 ? <i class={kind} style={{ flex: `${of} 1 0` }} /> : null
}

function Waits({ waits }: { waits: readonly Wait[] }) {
  return (
    <Panel title="Waits" side={<Link to="/waits">The waiting room</Link>}>
      <Table
        label="Waits of the task" rows={[...waits].reverse()} id={(wait) => wait.id}
        columns={[
          { name: 'For', cell: (wait) => <>{wait.name && <b>{wait.name} </b>}{wait.trigger}</> },
          { name: 'State', cell: (wait) => <State of={wait.state} /> },
          { name: 'Since', cell: (wait) => <Ago at={wait.since} /> },
          { name: 'Last look', cell: (wait) => (wait.last_look ? <><Ago at={wait.last_look} /> <span class="dim">{wait.answer}</span></> : <span class="dim">-</span>), wide: true },
          { name: 'Next look', cell: (wait) => <Ago at={wait.next_look} />, wide: true },
          { name: 'Deadline', cell: (wait) => <Instant at={wait.deadline} />, wide: true },
          { name: 'Ended', cell: (wait) => (wait.ended_at ? <><Ago at={wait.ended_at} /> <span class="dim">{wait.reason}</span></> : <span class="dim">-</span>) },
          { name: 'What came', cell: (wait) => (wait.event === null ? <span class="dim">-</span> : <Value of={wait.event} />), wide: true },
        ]}
      />
    </Panel>
  )
}

function Inputs({ one, run }: { one: Task; run: string }) {
  if (one.inputs.length === 0) return <p class="dim">Nothing but its run: the interval, and what stands in its context.</p>
  return (
    <dl class="pairs">
      {one.inputs.map((each) => (
        <Pair key={each.name} name={each.name.startsWith('#') ? `argument ${each.name.slice(1)}` : each.name}>
          {each.secret ? <>the secret <code>{String(each.value)}</code>, <span class="dim">whose value is not stored</span></>
            : each.code ? <span class="dim">made by the code of the DAG file</span>
              : each.upstream && each.value === null ? <>the result of <Link to={taskPath(run, each.upstream)}>{each.upstream}</Link><span class="dim">, which is not there</span></>
                : <><Value of={each.value} />{each.upstream && <> <span class="dim">from</span> <Link to={taskPath(run, each.upstream)}>{each.upstream}</Link></>}</>}
        </Pair>
      ))}
    </dl>
  )
}

function Result({ one }: { one: Task }) {
  if (one.result_bytes === null) return <p class="dim">{Object.keys(one.instances).length ? 'Each of its instances gives its own.' : one.state === 'success' ? 'It returned nothing.' : 'Nothing yet: what a task returns is here when it has succeeded.'}</p>
  if (one.result === null && one.result_bytes > 4) return <p class="dim">It has more than 64 KiB: read it in Python with <code>await rt.output(...)</code>, or from the database.</p>
  return <Value of={one.result} />
}

/** A JSON value as it reads best: one line where it is short. */
export function Value({ of }: { of: unknown }) {
  const short = JSON.stringify(of)
  if (typeof of === 'string' && of.length < 200 && !of.includes('\n')) return <code class="json short">{of || '""'}</code>
  if (short.length < 60) return <code class="json short">{short}</code>
  return <pre class="json" tabIndex={0}>{typeof of === 'string' ? of : JSON.stringify(of, null, 2)}</pre>
}

function Neighbours({ one, run }: { one: Task; run: string }) {
  const listed = (tasks: Task['upstream']) => (
    <ul class="beside">
      {tasks.slice(0, 50).map((each) => (
        <li key={each.task}><Link to={taskPath(run, each.task)}>{each.task}</Link>{each.state && <State of={each.state} />}{each.since && <span class="dim"><Ago at={each.since} /></span>}</li>
      ))}
      {tasks.length > 50 && <li class="dim">and {(tasks.length - 50).toLocaleString()} more</li>}
    </ul>
  )
  return (
    <>
      <h3>Upstream, by the rule {one.rule}</h3>
      {one.upstream.length ? listed(one.upstream) : <p class="dim">None: it starts with its run.</p>}
      <h3>Downstream</h3>
      {one.downstream.length ? listed(one.downstream) : <p class="dim">None: nothing waits for it.</p>}
    </>
  )
}

function Declared({ one }: { one: Task }) {
  return (
    <>
      {one.doc && <p>{one.doc}</p>}
      <dl class="pairs">
        <Pair name="Idempotency key"><code>{one.idempotency_key}</code> <Copy text={one.idempotency_key} /></Pair>
        <Pair name="Run again after a crash">{one.idempotent ? 'yes: it is idempotent' : 'no: a person decides, it is not idempotent'}</Pair>
        <Pair name="Retries">{one.failures} of {one.retries + 1} failures spent{one.due && <>, next try <Ago at={one.due} /></>}</Pair>
        <Pair name="Slots">{one.slots}{one.pool ? <> of the pool <Link to={`/pools?pool=${part(one.pool)}`}>{one.pool}</Link></> : ''}{one.priority !== 0 && <>, priority {one.priority}</>}</Pair>
        {one.timeout_s !== null && <Pair name="Time-out">{span(one.timeout_s * 1000)} of active time</Pair>}
        {one.deadline && <Pair name="Deadline"><Instant at={one.deadline} /></Pair>}
        {one.group && <Pair name="Group">{one.group}</Pair>}
        {one.inlets.length > 0 && <Pair name="Reads">{assets(one.inlets)}</Pair>}
        {one.outlets.length > 0 && <Pair name="Makes">{assets(one.outlets)}</Pair>}
      </dl>
    </>
  )
}

const assets = (names: readonly string[]) => names.map((name, at) => <span key={name}>{at > 0 && ', '}<Link to={`/assets/${name.split('/').map(part).join('/')}`}>{name}</Link></span>)

function Pair({ name, children }: { name: string; children: ComponentChildren }) {
  return <><dt>{name}</dt><dd>{children}</dd></>
}

/** The instances of a mapped task: how many in which state, and those that matter first. */
function Instances({ one, run, task }: { one: Task; run: string; task: string }) {
  const listed = useGet('/api/v1/tasks', { query: { run, task, limit: MOST + 1 }, on: (event) => event.run_id === run && event.task === task })
  const states = Object.entries(one.instances).sort(([a], [b]) => URGENCY.indexOf(a) - URGENCY.indexOf(b))
  const total = states.reduce((sum, [, count]) => sum + count, 0)
  const all = `/tasks?run=${part(run)}&task=${part(task)}`
  return (
    <Panel title={`${total.toLocaleString()} instances`} side={<Link to={all}>All of them</Link>}>
      <div class="counts">{states.map(([name, count]) => <Link key={name} to={`${all}&state=${name}`} class="bare"><State of={name} count={count} /></Link>)}</div>
      <Shown of={listed}>
        {(rows) => (
          <nav class="cells" aria-label="Instances">
            {rows.filter((each) => each.map_index >= 0)
              .sort((a, b) => URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state) || a.map_index - b.map_index)
              .map((each) => <Link key={each.id} class="cell" to={taskPath(run, `${task}[${each.map_index}]`)} title={`${task}[${each.map_index}]`}><State of={each.state} bare /> {task}[{each.map_index}]</Link>)}
            {total > MOST && <span class="dim">and {(total - MOST).toLocaleString()} more</span>}
          </nav>
        )}
      </Shown>
    </Panel>
  )
}

const MOST = 200

/** What has happened to it, the newest first. */
function Journal({ run, task, map }: { run: string; task: string; map: number }) {
  const events = useGet('/api/v1/journal', { query: { run, kind: 'task,attempt,wait', limit: 500 }, on: (event) => event.run_id === run && event.task === task })
  return (
    <Panel title="What has happened" side={<><code>bide events --run {run}</code><Copy text={`bide events --run ${run}`} /></>}>
      <Shown of={events}>
        {(lines) => (
          <Table
            label="Events of the task" id={(event) => event.id}
            rows={lines.filter((event) => event.task === task && event.map_index === map).reverse()}
            empty={<Empty title="Nothing yet">Each change of its state is one line here.</Empty>}
            columns={[
              { name: 'When', cell: (event) => <Instant at={event.at} seconds="ms" /> },
              { name: 'What', cell: (event) => <span class="nowrap">{event.kind}{event.kind === 'attempt' && event.attempt ? ` ${event.attempt}` : ''}</span>, wide: true },
              { name: 'Now', cell: (event) => <><State of={event.now} />{event.reason && <small class="narrow">{event.reason}</small>}</> },
              { name: 'Was', cell: (event) => <span class="dim">{event.was.replaceAll('_', ' ')}</span>, wide: true },
              { name: 'Why', cell: (event) => event.reason, wide: true },
            ]}
          />
        )}
      </Shown>
    </Panel>
  )
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`
  if (count < 1024 * 1024) return `${(count / 1024).toFixed(1)} KiB`
  return `${(count / 1024 / 1024).toFixed(1)} MiB`
}
