/** `/backfills/:backfill`: how far every interval is, why it stands where it does, and what can be done about it. */
import { useMemo, useRef, useState } from 'preact/hooks'
import { get, post, type Answer } from '../api/client'
import { useGet, usePages } from '../api/query'
import { several } from '../lib/planning'
import { filter, go, part, query } from '../lib/router'
import { state as looks } from '../lib/states'
import { ago, lasted } from '../lib/time'
import { Act, word, type Doing } from '../parts/action'
import { Ago, Empty, Fact, Head, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import { Heat } from '../parts/heat'
import { Said } from '../parts/said'
import './backfill.css'

type Backfill = Answer<'/api/v1/backfills/{backfill}'>
type Interval = Answer<'/api/v1/backfills/{backfill}/intervals'>[number]
type Moved = (event: { kind: string; number: string; dag: string | null }) => boolean

/** The states of an interval, those first that a person looks for. */
const STATES = ['failed', 'cancelled', 'running', 'success', 'skipped', 'pending']

export default function OneBackfill({ backfill }: { backfill: string }) {
  const dag = useRef('')
  const on: Moved = (event) => (event.kind === 'backfill' ? event.number === backfill : event.kind === 'run' && event.dag === dag.current)
  const shown = useGet('/api/v1/backfills/{backfill}', { names: { backfill }, query: { limit: 1 }, on })
  dag.current = shown.data.value?.dag ?? ''
  return <Shown of={shown}>{(one) => <Whole one={one} on={on} />}</Shown>
}

function Whole({ one, on }: { one: Backfill; on: Moved }) {
  const dag = one.dag
  const left = (one.counts.failed ?? 0) + (one.counts.cancelled ?? 0)
  const over = one.ended_at !== null
  return (
    <>
      <Head title={`Backfill ${one.backfill_id}`} trail={[['Backfills', '/backfills']]} actions={
        <>
          {one.state === 'running' && <Act doing={pause(one)}>Pause</Act>}
          {one.state === 'paused' && <Act doing={resume(one)}>Resume</Act>}
          {left > 0 && one.state !== 'cancelled' && <Act doing={again(one, left)}>Rerun failed</Act>}
          {!over && <Act doing={cancel(one)}>Cancel</Act>}
        </>
      }>
        <State of={one.state} />
        <Fact name="DAG"><Link to={`/dags/${part(dag)}`}>{dag}</Link></Fact>
        <Fact name="Started"><Ago at={one.created_at} /></Fact>
        {over ? <Fact name="Took">{lasted(one.created_at, one.ended_at)}</Fact> : one.ends_at && <Fact name="Ends about">{ago(one.ends_at)} <span class="dim">(<Instant at={one.ends_at} seconds={false} />)</span></Fact>}
        <Fact name="Order">{one.order} first</Fact>
        <Fact name="At once">{one.max_active}</Fact>
        <Fact name="What is there">{{ skip: 'is kept', overwrite: 'is run again over', fail: 'was a reason not to start' }[one.overwrite] ?? one.overwrite}</Fact>
        <Fact name="Plan"><code title={one.plan_hash}>{one.plan_hash.slice(0, 12)}</code></Fact>
      </Head>
      {one.state === 'paused' && <div class="backfill-paused" role="status"><span><Said text={one.why} /></span><Act doing={resume(one)}>Let it go on</Act></div>}
      <Panel title={`${one.done.toLocaleString('en')} of ${several(one.total, 'interval')}`} side={<b>{one.percent} %</b>}>
        <Far one={one} />
        <Cells one={one} on={on} />
      </Panel>
      <div class="columns">
        <Panel title="Why">
          <p><Said text={one.why} /></p>
          {one.next && <p class="dim"><Said text={one.next} /></p>}
          {one.details.length > 0 && <Table label="Why" rows={one.details} id={(each) => each.what} columns={[{ name: 'What', cell: (each) => each.what }, { name: 'Is', cell: (each) => <Said text={each.value} /> }]} />}
        </Panel>
        <Panel title="What was asked for">
          <div class="facts">
            <Fact name="Tasks">{one.tasks.join(', ') || 'all'}</Fact>
            <Fact name="Weight">{one.weight}</Fact>
            {Object.entries(one.params as Record<string, unknown>).map(([name, value]) => <Fact key={name} name={name}><code>{JSON.stringify(value)}</code></Fact>)}
          </div>
        </Panel>
      </div>
      <Intervals one={one} on={on} />
    </>
  )
}

/** How much of it is in which state: one bar, its parts in the order of the legend. */
function Far({ one }: { one: Backfill }) {
  const share = (name: string) => `${one.total ? (100 * (one.counts[name] ?? 0)) / one.total : 0}%`
  return (
    <div class="backfill-far">
      <span class="bar" role="progressbar" aria-label="Intervals that have ended" aria-valuenow={one.percent} aria-valuemin={0} aria-valuemax={100}>
        {['success', 'skipped', 'failed', 'cancelled', 'running'].map((name) => <i key={name} class={looks(name).family} style={{ width: share(name) }} />)}
      </span>
    </div>
  )
}

/** Every interval as a cell. When they begin is asked once, how far they are whenever something moves. */
function Cells({ one, on }: { one: Backfill; on: Moved }) {
  const names = { backfill: one.backfill_id }
  const begin = useGet('/api/v1/backfills/{backfill}/progress', { names, query: { starts: true } })
  const far = useGet('/api/v1/backfills/{backfill}/progress', { names, on })
  const [chosen, setChosen] = useState(-1)
  const state = query.value.get('state') ?? ''
  const given = begin.data.value
  const now = far.data.value ?? given
  const starts = useMemo(() => (given?.starts ?? []).map((each) => Date.parse(each)), [given])
  const states = useMemo(() => (now ? [...now.intervals].map((letter) => now.letters[letter] ?? letter) : []), [now])
  return (
    <>
      <div class="heat-legend" role="group" aria-label="Intervals by state">
        {STATES.filter((name) => one.counts[name]).map((name) => (
          <button key={name} class="heat-pick" aria-pressed={state === name} onClick={() => filter({ state: state === name ? null : name })}><State of={name} count={one.counts[name]!} /></button>
        ))}
      </div>
      <Shown of={begin}>
        {() => (
          <Heat label="Intervals of the backfill" starts={starts} states={states} chosen={chosen} onChoose={setChosen}
            onOpen={(place) => void get('/api/v1/backfills/{backfill}/intervals', names, { place }).then(([it]) => { if (it?.run_id) go(`/runs/${part(it.run_id)}`) })}>
            {chosen >= 0 ? <Chosen backfill={one.backfill_id} place={chosen} on={on} /> : <span class="dim">Choose an interval, by pointer or arrow keys; Enter opens its run.</span>}
          </Heat>
        )}
      </Shown>
    </>
  )
}

function Chosen({ backfill, place, on }: { backfill: string; place: number; on: Moved }) {
  const found = useGet('/api/v1/backfills/{backfill}/intervals', { names: { backfill }, query: { place }, on })
  const it = found.data.value?.[0]
  if (!it) return <span class="dim">Loading</span>
  return (
    <>
      <b><Instant at={it.interval.start} seconds={false} /></b><State of={it.state} />
      {it.run_id ? <Link to={`/runs/${part(it.run_id)}`}>run {it.run_id}</Link> : <span class="dim">no run yet</span>}
      {it.started_at && <span>took {lasted(it.started_at, it.ended_at)}</span>}
      {it.reason && <span class="dim">{it.reason}</span>}
    </>
  )
}

function Intervals({ one, on }: { one: Backfill; on: Moved }) {
  const state = query.value.get('state') ?? ''
  const found = usePages('/api/v1/backfills/{backfill}/intervals', { names: { backfill: one.backfill_id }, query: { ...(state && { state }), limit: 50 }, on })
  return (
    <Panel title={state ? <>Intervals that are <State of={state} /></> : 'Intervals'} side={state && <button class="small" onClick={() => filter({ state: null })}>All of them</button>}>
      <Shown of={found}>
        {(rows: Interval[]) => (
          <>
            <Table
              label="Intervals" rows={rows} id={(each) => each.place} empty={<Empty title="None of this state" />}
              columns={[
                { name: 'From', cell: (each) => <Instant at={each.interval.start} seconds={false} /> },
                { name: 'To', cell: (each) => <Instant at={each.interval.end} seconds={false} />, wide: true },
                { name: 'State', cell: (each) => <State of={each.state} /> },
                { name: 'Run', cell: (each) => each.run_id ? <Link to={`/runs/${part(each.run_id)}`}>{each.run_id}</Link> : <span class="dim">none yet</span> },
                { name: 'Took', cell: (each) => lasted(each.started_at, each.ended_at), right: true },
                { name: 'Why', cell: (each) => <span class="dim">{each.reason}</span>, wide: true },
              ]}
            />
            {found.more.value && <button onClick={found.next}>More intervals</button>}
          </>
        )}
      </Shown>
    </Panel>
  )
}

const pause = (one: Backfill): Doing => ({
  title: `Pause backfill ${one.backfill_id}`,
  verb: 'Pause',
  preview: <p>It starts nothing more, {several(one.counts.pending ?? 0, 'interval')} wait; {several(one.counts.running ?? 0, 'run')} that go on end as they would.</p>,
  command: () => `bide backfill pause ${one.backfill_id}`,
  act: async () => (await post('/api/v1/backfills/{backfill}/pause', { backfill: one.backfill_id })).done,
  undo: async () => void (await post('/api/v1/backfills/{backfill}/resume', { backfill: one.backfill_id })),
})

const resume = (one: Backfill): Doing => ({
  title: `Resume backfill ${one.backfill_id}`,
  verb: 'Resume',
  preview: <p>{several(one.counts.pending ?? 0, 'interval')} are taken up, {one.max_active} at once.</p>,
  command: () => `bide backfill resume ${one.backfill_id}`,
  act: async () => (await post('/api/v1/backfills/{backfill}/resume', { backfill: one.backfill_id })).done,
  undo: async () => void (await post('/api/v1/backfills/{backfill}/pause', { backfill: one.backfill_id })),
})

const again = (one: Backfill, left: number): Doing => ({
  title: `Rerun what failed of backfill ${one.backfill_id}`,
  verb: 'Rerun failed',
  preview: <p>{several(left, 'interval')} that failed or were cancelled are taken up again. Their runs keep what has succeeded.</p>,
  command: () => `bide backfill resume ${one.backfill_id} --failed`,
  act: async () => (await post('/api/v1/backfills/{backfill}/resume', { backfill: one.backfill_id }, { failed: true })).done,
})

const cancel = (one: Backfill): Doing => ({
  title: `Cancel backfill ${one.backfill_id}`,
  verb: 'Cancel the backfill',
  severe: true,
  preview: <p>{several(one.counts.running ?? 0, 'run')} are cancelled, {several(one.counts.pending ?? 0, 'interval')} never start. What has ended stays as it is. A cancelled backfill does not go on: its intervals are free for another one.</p>,
  fields: [{ name: 'reason', label: 'Why', hint: 'It stands in why the backfill ended.' }],
  command: ({ reason }) => `bide backfill cancel ${one.backfill_id}${reason ? ` --reason ${word(reason)}` : ''}`,
  act: async ({ reason = '' }) => (await post('/api/v1/backfills/{backfill}/cancel', { backfill: one.backfill_id }, { reason })).done,
})
