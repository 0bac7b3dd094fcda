/** The rerun plan that mends an invalidation: drawn up, read, approved, and run exactly as it was read. */
import { post } from '../api/client'
import { useGet } from '../api/query'
import type { components } from '../api/schema'
import type { Doing } from '../parts/action'
import { Act, word } from '../parts/action'
import { Ago, Empty, Fact, Link, Panel, Shown, State } from '../parts/basics'
import { Said } from '../parts/said'
import { part } from '../lib/router'
import { interval } from '../lib/intervals'
import { span } from '../lib/time'

type Plan = components['schemas']['PlanShown']
type Step = components['schemas']['PlanStepLine']

const MOVED = (event: { kind: string }) => event.kind === 'plan' || event.kind === 'run' || event.kind === 'approval' || event.kind === 'invalidation'

export function Plans({ invalidation }: { invalidation: string }) {
  const plans = useGet('/api/v1/plans', { query: { limit: 200 }, on: MOVED })
  const mine = plans.data.value?.filter((each) => each.invalidation === invalidation) ?? []
  const open = mine.find((each) => each.state === 'running') ?? mine[0]
  return (
    <Panel title="Rerun plan" id="plan" side={<Act small doing={making(invalidation)}>{mine.length ? 'Make it anew' : 'Draw up the plan'}</Act>}>
      <Shown of={plans}>
        {() => open ? <One plan={open.plan_id} /> : <Empty title="No plan yet">The least that has to be made anew, in its order, with risk and cost. Drawing it up runs nothing.</Empty>}
      </Shown>
      {mine.length > 1 && <p class="dim">Earlier plans: {mine.filter((each) => each !== open).map((each) => `${each.plan_id} (${each.state})`).join(', ')}</p>}
    </Panel>
  )
}

function One({ plan }: { plan: string }) {
  const shown = useGet('/api/v1/plans/{plan}', { names: { plan }, on: MOVED })
  return <Shown of={shown}>{(one) => <Told of={one} />}</Shown>
}

function Told({ of }: { of: Plan }) {
  const { plan } = of
  const waits = of.requires_approval && of.state === 'proposed'
  const over = of.state === 'published' || of.state === 'cancelled' || of.state === 'failed'
  return (
    <>
      <div class="facts">
        <Fact name={`Plan ${of.plan_id}`}><State of={of.state} /></Fact>
        <Fact name="hash"><code title={of.hash}>{of.hash.slice(0, 12)}</code></Fact>
        <Fact name="risk"><span class={`state ${RISKS[of.risk] ?? 'idle'}`}>&nbsp;{of.risk}</span></Fact>
        <Fact name="made"><Ago at={of.created_at} /></Fact>
        <Fact name="cost">{plan.cost.runs} runs, {plan.cost.tasks} tasks{plan.cost.seconds !== null && <>, about {span(plan.cost.seconds * 1000)}</>}</Fact>
      </div>
      <p><Said text={of.why} /></p>
      {plan.because.length > 0 && <p class="dim">Risk: {plan.because.join('; ')}.</p>}
      {plan.approvals.map((each) => <p key={each.what}><span class="kind">to be approved</span> {each.what}: {each.why}</p>)}
      <ol class="steps" aria-label="Steps">
        {of.lines.map((line) => <StepLine key={line.step} of={line} why={plan.steps.find((each) => each.name === line.step)?.why ?? ''} />)}
      </ol>
      {plan.left.length > 0 && <>
        <h3>Left as it is</h3>
        {plan.left.map((each) => <p key={`${each.asset} ${each.version}`}>{each.missing && <span class="state bad">&nbsp;missing</span>} {each.asset} version {each.version}, {interval(each.interval)}: <span class="dim">{each.why}</span></p>)}
      </>}
      {!over && (
        <div class="actions">
          {waits && <Act doing={approving(of)}>Approve</Act>}
          {of.state !== 'running' && <Act doing={running(of)} disabled={waits ? 'It is to be approved first' : undefined}>Run exactly this</Act>}
          <Act doing={cancelling(of)}>Cancel</Act>
        </div>
      )}
    </>
  )
}

const RISKS: Record<string, string> = { low: 'good', medium: 'held', high: 'warned', critical: 'bad' }

function StepLine({ of, why }: { of: Step; why: string }) {
  return (
    <li>
      <div>
        <div class="row">
          <State of={of.state} /> <strong>{of.pipeline}</strong> <span>{of.tasks.join(', ')}</span> <span class="nowrap">{interval(of.interval)}</span>
          <span class="kind">{of.mode.replaceAll('_', ' ')}</span>{of.publication_mode !== 'staged' && <span class="kind">after the others are seen</span>}
          {of.run_id && <Link to={`/runs/${part(of.run_id)}`}>run {of.run_id}{of.run_state && `, ${of.run_state}`}</Link>}
        </div>
        <div class="dim said">{of.depends_on_steps.length > 0 && <>after {of.depends_on_steps.join(', ')}. </>}{of.reason || why}</div>
      </div>
    </li>
  )
}

function making(invalidation: string): Doing {
  return {
    title: `Draw up the plan of invalidation ${invalidation}`,
    verb: 'Draw it up',
    preview: 'What has to be made anew as things are now is worked out and kept as a proposal. Nothing runs.',
    command: () => `bide assets plan ${invalidation}`,
    act: async () => `Plan ${(await post('/api/v1/plans', {}, { invalidation })).id} is drawn up.`,
  }
}

const Summary = ({ of }: { of: Plan }) => <ul>{of.plan.summary.map((line) => <li key={line}>{line}</li>)}</ul>

function approving(of: Plan): Doing {
  return {
    title: `Approve plan ${of.plan_id}`,
    verb: 'Approve',
    preview: <Summary of={of} />,
    fields: [{ name: 'by', label: 'Who', needed: true }, { name: 'why', label: 'Why', needed: true, lines: 2 }],
    command: (values) => of.approval ? `bide approvals approve ${of.approval} --by ${word(values.by || 'NAME')} --why ${word(values.why || 'TEXT')}` : `bide assets run-plan ${of.plan_id} ${of.hash.slice(0, 12)} --approve --by ${word(values.by || 'NAME')} --why ${word(values.why || 'TEXT')}`,
    act: async ({ by = '', why = '' }) => (await post('/api/v1/plans/{plan}/approve', { plan: of.plan_id }, { hash: of.hash, by, why })).done,
  }
}

function running(of: Plan): Doing {
  return {
    title: `Run plan ${of.plan_id}`,
    verb: 'Run exactly this',
    preview: <><Summary of={of} /><p>It is run as it was read, hash <code>{of.hash.slice(0, 12)}</code>; should something else be to be done by now, it is refused. What it makes is staged first and seen together.</p></>,
    command: () => `bide assets run-plan ${of.plan_id} ${of.hash.slice(0, 12)}`,
    act: async () => (await post('/api/v1/plans/{plan}/run', { plan: of.plan_id }, { hash: of.hash })).done,
  }
}

function cancelling(of: Plan): Doing {
  return {
    title: `Cancel plan ${of.plan_id}`,
    severe: true,
    preview: 'Its runs are cancelled with it. What is staged is seen by nobody.',
    fields: [{ name: 'reason', label: 'Why' }],
    command: (values) => `bide assets cancel-plan ${of.plan_id}${values.reason ? ` --reason ${word(values.reason)}` : ''}`,
    act: async ({ reason = '' }) => (await post('/api/v1/plans/{plan}/cancel', { plan: of.plan_id }, { reason })).done,
  }
}
