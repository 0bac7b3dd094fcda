/** `/approvals`: what people are asked, what it is about, and their answers. What is asked comes and goes by itself. */
import { useState } from 'preact/hooks'
import { post, type Answer } from '../api/client'
import { usePages } from '../api/query'
import { iAm, me } from '../lib/me'
import { filter, part, query } from '../lib/router'
import { ago, now } from '../lib/time'
import { Act, word, type Doing } from '../parts/action'
import { Ago, Choice, Empty, Fact, Head, Instant, Link, Shown, State, Table } from '../parts/basics'
import { Evidence } from '../parts/evidence'
import { Said } from '../parts/said'
import { asking } from '../lib/asking'
import './approvals.css'

type Approval = Answer<'/api/v1/approvals'>[number]

const STATES: [string, string][] = [['', 'Open'], ['approved', 'Approved'], ['rejected', 'Rejected'], ['expired', 'Expired'], ['withdrawn', 'Withdrawn'], ['all', 'All']]
/** What is asked for, by the kind of the approval. */
const KINDS: Record<string, string> = {
  task: 'a task',
  contract: 'a contract',
  effect: 'an external effect',
  publication: 'a publication',
  degraded: 'a degraded version',
  plan: 'a rerun plan',
}

export default function Approvals() {
  const state = query.value.get('state') ?? ''
  const run = query.value.get('run') ?? ''
  const found = usePages('/api/v1/approvals', { query: { ...(state && { state }), ...(run && { run }), limit: 100 }, on: (event) => event.kind === 'approval' })
  return (
    <>
      <Head title="Approvals">{run && <Fact name="Only of run"><Link to={`/runs/${part(run)}`}>{run}</Link> (<Link to="/approvals">all</Link>)</Fact>}</Head>
      <div class="filters"><Choice label="State" value={state} options={STATES} onChange={(chosen) => filter({ state: chosen })} /></div>
      <Shown of={found}>
        {(all) => (
          <>
            {state === ''
              ? all.length === 0 ? <Nobody /> : <ul class="asked-list" aria-label="Open approvals">{all.map((one) => <Asked key={one.id} one={one} />)}</ul>
              : <Decided all={all} state={state} />}
            {found.more.value && <button onClick={found.next}>Older approvals</button>}
          </>
        )}
      </Shown>
    </>
  )
}

function Nobody() {
  return (
    <Empty title="Nobody is asked for anything">
      What waits for a person stands here as soon as it is asked. In a DAG, <code>approval("release", prompt="Publish the figures?")</code> asks; contracts, external effects and rerun plans can ask too.
    </Empty>
  )
}

function Asked({ one }: { one: Approval }) {
  const [seen, setSeen] = useState(false)
  const [question, rest] = asking(one.prompt || `May ${one.subject} go on?`)
  return (
    <li class="panel asked" aria-label={`Approval ${one.id}`}>
      <p class="question">{question}</p>
      {rest && <p class="rest"><Said text={rest} /></p>}
      <div class="facts">
        <span class="asked-kind">{KINDS[one.kind] ?? one.kind}</span>
        <Fact name="For"><Subject one={one} /></Fact>
        <Fact name="May decide">{one.who.join(', ') || 'anybody'}</Fact>
        <Fact name="Asked"><Ago at={one.asked_at} /></Fact>
      </div>
      <details>
        <summary onClick={() => setSeen(true)}>What is known</summary>
        {seen && <Evidence approval={one.id} run={one.run_id} />}
      </details>
      <div class="foot">
        <Until one={one} />
        <div class="actions">
          <Act doing={() => decide(one, false)}>Reject</Act>
          <Act doing={() => decide(one, true)}>Approve</Act>
        </div>
      </div>
    </li>
  )
}

/** What it is about, and where that is to be seen. */
function Subject({ one }: { one: Approval }) {
  if (one.run_id && one.task) return <Link to={`/runs/${part(one.run_id)}/t/${part(one.task)}`}>{one.subject}</Link>
  if (one.run_id) return <Link to={`/runs/${part(one.run_id)}`}>{one.subject}</Link>
  return <>{one.subject}</>
}

/** How long there is to decide: a bar that shrinks. */
function Until({ one }: { one: Approval }) {
  if (!one.expires_at) return <span class="dim">Waits as long as it takes</span>
  const ends = Date.parse(one.expires_at)
  const left = Math.max(0, (ends - now.value) / (ends - Date.parse(one.asked_at)))
  return (
    <span class="asked-until">
      <span>Denied {ago(one.expires_at)} <span class="dim">(<Instant at={one.expires_at} seconds={false} />)</span></span>
      <span class={left === 0 ? 'bar over' : left < 0.2 ? 'bar soon' : 'bar'} aria-hidden="true"><i style={{ width: `${100 * left}%` }} /></span>
    </span>
  )
}

function Decided({ all, state }: { all: Approval[]; state: string }) {
  return (
    <Table
      label="Approvals" rows={all} id={(one) => one.id}
      empty={<Empty title={state === 'all' ? 'Nobody was ever asked' : `None is ${state}`}>Every decision is kept, with who made it and why.</Empty>}
      columns={[
        { name: 'Approval', cell: (one) => one.id },
        { name: 'State', cell: (one) => <State of={one.state} /> },
        { name: 'Question', cell: (one) => one.prompt || <span class="dim">-</span> },
        { name: 'For', cell: (one) => <Subject one={one} /> },
        { name: 'Of', cell: (one) => KINDS[one.kind] ?? one.kind, wide: true },
        { name: 'Answer', cell: (one) => one.state === 'open' ? <span class="dim">none yet</span> : <>{one.by && <b>{one.by}: </b>}{one.why}</> },
        { name: 'Decided', cell: (one) => <Ago at={one.decided_at} />, wide: true },
      ]}
    />
  )
}

function decide(one: Approval, yes: boolean): Doing {
  const verb = yes ? 'approve' : 'reject'
  const mine = me()
  return {
    title: `${yes ? 'Approve' : 'Reject'} approval ${one.id}`,
    verb: yes ? 'Approve' : 'Reject',
    severe: !yes,
    preview: (
      <>
        <p><b>{one.prompt}</b></p>
        <p>{yes ? `${one.subject} goes on.` : `${one.subject} is denied: what waits for it ends as refused.`} Who decides and why are kept; it cannot be taken back.</p>
      </>
    ),
    fields: [
      {
        name: 'by', label: 'Who decides', needed: true, value: one.who.length && !one.who.includes(mine) ? one.who[0]! : mine,
        ...(one.who.length && { options: one.who.map((name): [string, string] => [name, name]) }),
      },
      { name: 'why', label: 'Why', needed: true, lines: 2 },
    ],
    command: ({ by, why }) => `bide approvals ${verb} ${one.id} --by ${word(by || 'NAME')} --why ${word(why || 'REASON')}`,
    act: async ({ by = '', why = '' }) => {
      iAm(by)
      return (await post(`/api/v1/approvals/{approval}/${verb}`, { approval: one.id }, { by, why })).done
    },
  }
}
