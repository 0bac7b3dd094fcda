/** The planner of a backfill: a form that stands in the address, a dry run of it, and the start of exactly what that showed. */
import { useState } from 'preact/hooks'
import { Problem, post, type Answer } from '../api/client'
import { useGet } from '../api/query'
import type { components } from '../api/schema'
import { filter, go, part, query } from '../lib/router'
import { command, request, several, type Property, type Request } from '../lib/planning'
import { span } from '../lib/time'
import { Copy, open, type Doing } from './action'
import { Choice, Empty, Fact, Instant, Link, Panel, State, Table, Wrong } from './basics'
import { Heat } from './heat'
import './planner.css'

type Plan = components['schemas']['BackfillPlan']
type Dag = Answer<'/api/v1/dags/{dag}'>

const THERE: [string, string][] = [['skip', 'Keep it'], ['overwrite', 'Run again over it'], ['fail', 'Refuse to start']]
const ROWS = 100

export function Planner() {
  const dag = query.value.get('plan') ?? ''
  const dags = useGet('/api/v1/dags')
  const shown = useGet('/api/v1/dags/{dag}', { names: { dag }, idle: !dag, on: (event) => event.kind === 'dag' && event.dag === dag })
  const properties = (shown.data.value?.params as { properties?: Record<string, Property> } | undefined)?.properties ?? {}
  const wanted = request(query.value, properties)
  const [made, setMade] = useState<{ plan: Plan; of: string } | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)
  const [busy, setBusy] = useState(false)

  async function plan() {
    setBusy(true)
    setProblem(null)
    try {
      const found = await post('/api/v1/backfills/plan', {}, wanted, null)
      setMade({ plan: found as Plan, of: JSON.stringify(wanted) })
    } catch (failure) {
      if (!(failure instanceof Problem)) throw failure
      setMade(null)
      setProblem(failure)
    } finally {
      setBusy(false)
    }
  }

  return (
    <>
      <Panel title="Plan a backfill">
        <form class="planner" aria-label="Plan a backfill" onSubmit={(event) => { event.preventDefault(); void plan() }}>
          <div class="field"><label for="plan-dag">DAG</label>
            <select id="plan-dag" aria-describedby="plan-dag-hint" required value={dag} onChange={(event) => filter({ plan: event.currentTarget.value, tasks: null })}>
              <option value="">Choose one</option>
              {dag && !dags.data.value?.some((each) => each.dag === dag) && <option value={dag}>{dag}</option>}
              {dags.data.value?.map((each) => <option key={each.dag} value={each.dag}>{each.dag}</option>)}
            </select>
            {shown.data.value && <small id="plan-dag-hint">{shown.data.value.schedule}</small>}
          </div>
          <When name="from" label="From" hint={`The first interval begins then or later${shown.data.value ? `, in ${shown.data.value.tz}` : ''}`} />
          <When name="to" label="To" hint="The last one begins before then" />
          <div class="field"><span>What is there already</span>
            <Choice label="What is there already" value={wanted.overwrite} options={THERE} onChange={(chosen) => filter({ overwrite: chosen === 'skip' ? null : chosen })} />
            <small>{wanted.overwrite === 'skip' ? 'Intervals that have succeeded or are running are left alone.' : wanted.overwrite === 'overwrite' ? 'What succeeded is run once more, beside the run there is.' : 'If one interval has a run, nothing starts.'}</small>
          </div>
          <div class="field"><span>Order</span>
            <Choice label="Order" value={wanted.order} options={[['oldest', 'Oldest first'], ['newest', 'Newest first']]} onChange={(chosen) => filter({ order: chosen === 'oldest' ? null : chosen })} />
          </div>
          <Text name="at_once" label="Runs at once" hint="Empty: as many as the DAG may have" kind="number" />
          {dag && shown.data.value && <More dag={shown.data.value} wanted={wanted} properties={properties} />}
          <div class="end">
            <button class="first" type="submit" disabled={busy || !dag}>{busy ? 'Planning' : 'Plan it'}</button>
            <span class="dim">A dry run: nothing is written.</span>
            <div class="command"><code>{command(wanted)}</code><Copy text={command(wanted)} /></div>
          </div>
        </form>
        {problem && <Wrong problem={problem} />}
      </Panel>
      {made && <Planned plan={made.plan} wanted={JSON.parse(made.of) as Request} changed={made.of !== JSON.stringify(wanted)} again={() => void plan()} />}
    </>
  )
}

function When({ name, label, hint }: { name: string; label: string; hint: string }) {
  return (
    <div class="field"><span id={`when-${name}`}>{label}</span>
      <div class="pair">
        <input type="date" aria-labelledby={`when-${name}`} required value={query.value.get(name) ?? ''} onChange={(event) => filter({ [name]: event.currentTarget.value })} />
        <input type="time" aria-label={`${label}, time of day`} value={query.value.get(`${name}_at`) ?? ''} onChange={(event) => filter({ [`${name}_at`]: event.currentTarget.value })} />
      </div>
      <small>{hint}</small>
    </div>
  )
}

function Text({ name, label, hint, kind = 'text', place }: { name: string; label: string; hint?: string | undefined; kind?: 'text' | 'number'; place?: string | undefined }) {
  return (
    <div class="field"><label for={`plan-${name}`}>{label}</label>
      <input id={`plan-${name}`} aria-describedby={hint && `plan-${name}-hint`} {...(kind === 'number' ? { type: 'number', min: 1 } : { type: 'text' })} value={query.value.get(name) ?? ''} placeholder={place ?? ''} onInput={(event) => filter({ [name]: event.currentTarget.value })} />
      {hint && <small id={`plan-${name}-hint`}>{hint}</small>}
    </div>
  )
}

/** What is seldom said: parameters, a part of the tasks, weight, periods, caps. */
function More({ dag, wanted, properties }: { dag: Dag; wanted: Request; properties: Record<string, Property> }) {
  const said = wanted.tasks.length > 0 || Object.keys(wanted.params).length > 0 || wanted.weight !== 1 || wanted.every !== null || Object.keys(wanted.asset_caps).length > 0
  const flip = (task: string) => {
    const now = new Set(wanted.tasks)
    if (!now.delete(task)) now.add(task)
    filter({ tasks: dag.tasks.map((each) => each.task).filter((each) => now.has(each)).join(',') })
  }
  return (
    <details open={said}>
      <summary>Parameters, tasks and limits</summary>
      <div>
        {Object.entries(properties).map(([name, property]) => (
          <Text key={name} name={`p.${name}`} label={`Parameter ${name}`} hint={property.description} place={property.default === undefined ? undefined : typeof property.default === 'string' ? property.default : JSON.stringify(property.default)} />
        ))}
        <Text name="weight" label="Weight" hint="Its part among the backfills, 1 to 100" kind="number" place="1" />
        <Text name="every" label="Periods" hint="hour, day, week, month or 6h: for a DAG whose schedule has no intervals" />
        <Text name="caps" label="Runs at once by asset" hint="warehouse/orders=2, more after a comma" />
        <fieldset>
          <legend>Only these tasks <span class="dim">(none: all)</span></legend>
          <div class="plan-checks">{dag.tasks.map((each) => <label key={each.task}><input type="checkbox" checked={wanted.tasks.includes(each.task)} onChange={() => flip(each.task)} />{each.task}</label>)}</div>
        </fieldset>
      </div>
    </details>
  )
}

function Planned({ plan, wanted, changed, again }: { plan: Plan; wanted: Request; changed: boolean; again: () => void }) {
  const [chosen, setChosen] = useState(-1)
  const [refused, setRefused] = useState('')
  const [starts] = useState(() => ({ of: plan, at: plan.intervals.map((each) => Date.parse(each.start)) }))
  if (starts.of !== plan) Object.assign(starts, { of: plan, at: plan.intervals.map((each) => Date.parse(each.start)) })
  const cell = plan.intervals[chosen]
  const refuse = plan.counts.refuse ?? 0
  const over = plan.counts.overwrite ?? 0

  function start() {
    const doing: Doing = {
      title: `Start this backfill of ${wanted.dag}`,
      verb: 'Start exactly this',
      severe: plan.overwrites.length > 0 || over > 0,
      preview: (
        <>
          <p>{several(plan.runs, 'run')} of {several(plan.tasks.length, 'task')} are made, {plan.max_active} at once, {wanted.order} first.</p>
          {over > 0 && <p><b>{several(over, 'interval')} that succeeded {over === 1 ? 'is' : 'are'} run once more.</b></p>}
          {plan.overwrites.length > 0 && <p><b>{several(plan.overwrites.length, 'path')} {plan.overwrites.length === 1 ? 'is' : 'are'} written.</b></p>}
          <p>Plan <span class="plan-hash">{plan.hash.slice(0, 12)}</span>: if anything of it has changed meanwhile, nothing starts.</p>
        </>
      ),
      command: () => command(wanted, plan.hash.slice(0, 12)),
      act: async () => {
        try {
          const begun = await post('/api/v1/backfills', {}, { ...wanted, hash: plan.hash })
          go(`/backfills/${part(begun.backfill_id)}`)
          doing.undo = async () => void (await post('/api/v1/backfills/{backfill}/cancel', { backfill: begun.backfill_id }, { reason: 'taken back' }))
          return `Backfill ${begun.backfill_id} of ${several(begun.intervals, 'interval')} has started. Undo cancels it.`
        } catch (failure) {
          if (failure instanceof Problem && failure.status === 409) setRefused(plan.hash)
          throw failure
        }
      },
    }
    open(doing)
  }

  return (
    <Panel title={<>Plan <span class="plan-hash">{plan.hash.slice(0, 12)}</span> of {wanted.dag}</>} id="planned" side={
      <button class="first" aria-haspopup="dialog" disabled={changed || refuse > 0 || plan.runs === 0 || refused === plan.hash} onClick={start}>Start exactly this</button>
    }>
      {(changed || refused === plan.hash) && (
        <div class="plan-stale" role="status">
          <span>{changed ? 'The form has changed since: this is not its plan any more.' : 'What is there has changed since: nothing was started.'}</span>
          <button onClick={again}>Plan it again</button>
        </div>
      )}
      {refuse > 0 && (
        <div class="wrong" role="alert"><strong>Nothing can start</strong>
          <p>{several(refuse, 'interval')} {refuse === 1 ? 'has' : 'have'} a run, and the plan is to refuse then. Keep what is there, or run again over it.</p>
        </div>
      )}
      {plan.runs === 0 && refuse === 0 && <div class="plan-stale" role="status">There is nothing to do: every interval has its run.</div>}
      <div class="facts">
        <Fact name="Runs">{plan.runs.toLocaleString('en')}</Fact>
        <Fact name="Task instances">{plan.task_instances.toLocaleString('en')}</Fact>
        <Fact name="At once">{plan.max_active}</Fact>
        <Fact name="Takes">{plan.seconds === null ? 'not known' : `about ${span(plan.seconds * 1000)}`}</Fact>
        {Object.entries(plan.cost).map(([name, units]) => <Fact key={name} name={`Costs of ${name}`}>{units.toLocaleString('en')}</Fact>)}
        {plan.assets.length > 0 && <Fact name="Writes">{plan.assets.join(', ')}</Fact>}
        <Fact name="Hash"><Copy text={plan.hash} /></Fact>
      </div>
      {plan.notes.map((each) => <p key={each}>Note: {each}.</p>)}
      {plan.overwrites.length > 0 && (
        <div class="plan-written">
          <h3>Written, and over what</h3>
          <Table
            label="Paths that are written" rows={plan.overwrites.slice(0, ROWS)} id={(each) => each.interval + each.task + each.path}
            columns={[
              { name: 'Path', cell: (each) => <code>{each.path}</code> },
              { name: 'Task', cell: (each) => each.task },
              { name: 'Interval', cell: (each) => <Instant at={each.interval} seconds={false} />, wide: true },
              { name: 'Written before by', cell: (each) => each.run_id ? <Link to={`/runs/${part(each.run_id)}`}>run {each.run_id}</Link> : <span class="dim">none recorded</span> },
            ]}
          />
          {plan.overwrites.length > ROWS && <p class="dim">And {several(plan.overwrites.length - ROWS, 'path')} more.</p>}
        </div>
      )}
      <h3>{several(plan.intervals.length, 'interval')}</h3>
      <div class="heat-legend">{Object.entries(plan.counts).map(([what, count]) => count > 0 && <State key={what} of={what} count={count} />)}</div>
      <Heat label="What becomes of each interval" starts={starts.at} states={plan.intervals.map((each) => each.what)} chosen={chosen} onChoose={setChosen}>
        {cell ? <Interval of={cell} /> : <span class="dim">Choose an interval for what becomes of it.</span>}
      </Heat>
      <details>
        <summary>The intervals as a table</summary>
        <Table
          label="Intervals of the plan" rows={plan.intervals.slice(0, ROWS)} id={(each) => each.start} empty={<Empty title="No interval" />}
          columns={[
            { name: 'From', cell: (each) => <Instant at={each.start} seconds={false} /> },
            { name: 'To', cell: (each) => <Instant at={each.end} seconds={false} />, wide: true },
            { name: 'What', cell: (each) => <State of={each.what} /> },
            { name: 'Run there', cell: (each) => each.run_id ? <Link to={`/runs/${part(each.run_id)}`}>{each.run_id}</Link> : <span class="dim">none</span> },
            { name: 'Its state', cell: (each) => each.state && <State of={each.state} />, wide: true },
          ]}
        />
        {plan.intervals.length > ROWS && <p class="dim">And {several(plan.intervals.length - ROWS, 'interval')} more, in the map above.</p>}
      </details>
      <h3>Tasks of each run</h3>
      <Table
        label="Tasks of each run" rows={plan.tasks} id={(each) => each.task}
        columns={[
          { name: 'Task', cell: (each) => each.task },
          { name: 'Does, in the first interval', cell: (each) => each.command ? <code>{each.command}</code> : each.waits_for ? Object.entries(each.waits_for).map(([key, value]) => <div key={key}>waits for {key} <code>{value}</code></div>) : <span class="dim">{each.lane}</span> },
          { name: 'Writes', cell: (each) => each.outlets.join(', '), wide: true },
          { name: 'Costs', cell: (each) => Object.entries(each.cost).map(([name, units]) => `${units} of ${name}`).join(', '), wide: true },
        ]}
      />
    </Panel>
  )
}

function Interval({ of }: { of: Plan['intervals'][number] }) {
  return (
    <>
      <b><Instant at={of.start} seconds={false} /></b><State of={of.what} />
      {of.run_id && <span>run <Link to={`/runs/${part(of.run_id)}`}>{of.run_id}</Link> is there{of.state && <>: <State of={of.state} /></>}</span>}
    </>
  )
}
