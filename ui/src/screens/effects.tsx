/** `/effects`: the ledger of what has left the platform, or may be under way: to whom, made of what, let out by whom, with its receipt. */
import { useGet, usePages } from '../api/query'
import type { Answer } from '../api/client'
import { filter, part, query } from '../lib/router'
import { Copy } from '../parts/action'
import { Ago, Choice, Empty, Fact, Head, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import './effects.css'

type Delivery = Answer<'/api/v1/effects'>[number]

const STATES: [string, string][] = [['', 'All'], ['pending', 'Pending'], ['delivered', 'Delivered'], ['failed', 'Failed'], ['superseded', 'Superseded'], ['corrected', 'Corrected']]
/** What it means that a delivery is in its state. */
const MEANS: Record<string, string> = {
  pending: 'It may be under way: nobody knows yet whether the other side has it.',
  delivered: 'The other side has acknowledged it.',
  failed: 'Nobody knows that it was delivered.',
  superseded: 'A later delivery took its place.',
  corrected: 'A later delivery corrects it.',
}
const asset = (name: string) => `/assets/${name.split('/').map(part).join('/')}`
const moved = (event: { kind: string }) => event.kind === 'delivery' || event.kind === 'approval'

export default function Effects() {
  const state = query.value.get('state') ?? ''
  const effect = query.value.get('effect') ?? ''
  const chosen = query.value.get('delivery') ?? ''
  const found = usePages('/api/v1/effects', { query: { ...(state && { state }), ...(effect && { effect }), limit: 100 }, on: moved })
  return (
    <>
      <Head title="Effects ledger">
        <span class="dim">What has left the platform, and cannot be taken back by running anything again.</span>
      </Head>
      <div class="filters">
        <Choice label="State" value={state} options={STATES} onChange={(to) => filter({ state: to })} />
        {effect && <span>Only <b>{effect}</b> <button class="small" onClick={() => filter({ effect: null })}>All effects</button></span>}
      </div>
      {chosen && <One delivery={chosen} />}
      <Shown of={found}>
        {(rows) => (
          <>
            <Table
              label="Deliveries" rows={rows} id={(one) => one.id} chosen={(one) => one.id === chosen}
              empty={<Empty title={state ? `No delivery is ${state}` : 'Nothing has left yet'}>A function under <code>@effect("partner-export", target="partner-a")</code> sends something out. Each time it is written here before it begins, and stays with its receipt.</Empty>}
              columns={[
                { name: 'Delivery', cell: (one) => <button class="small" aria-pressed={one.id === chosen} onClick={() => filter({ delivery: one.id === chosen ? null : one.id })}>{one.id}</button> },
                { name: 'State', cell: (one) => <State of={one.state} /> },
                { name: 'Effect', cell: (one) => <button class="small" onClick={() => filter({ effect: one.effect })}>{one.effect}</button> },
                { name: 'To', cell: (one) => one.target },
                { name: 'Of', cell: (one) => <><Instant at={one.interval.start} seconds={false} />{one.interval.end !== one.interval.start && <> to <Instant at={one.interval.end} seconds={false} /></>}</>, wide: true },
                { name: 'By', cell: (one) => <Made by={one} />, wide: true },
                { name: 'Corrects', cell: (one) => one.corrects ?? <span class="dim">-</span>, wide: true },
                { name: 'Delivered', cell: (one) => <Ago at={one.delivered_at} />, wide: true },
              ]}
            />
            {found.more.value && <button onClick={found.next}>Older deliveries</button>}
          </>
        )}
      </Shown>
    </>
  )
}

function Made({ by }: { by: Delivery }) {
  if (!by.run_id) return <span class="dim">a run that is gone</span>
  return <Link to={`/runs/${part(by.run_id)}${by.task ? `/t/${part(by.task)}` : ''}`}>{by.dag}.{by.task} of run {by.run_id}</Link>
}

/** One delivery: its key, its receipt, what it was made of, and who let it out. */
function One({ delivery }: { delivery: string }) {
  const found = useGet('/api/v1/effects/{delivery}', { names: { delivery }, on: moved })
  return (
    <Panel title={`Delivery ${delivery}`} id="delivery" side={<button class="small" onClick={() => filter({ delivery: null })}>Close</button>}>
      <Shown of={found}>
        {(one) => (
          <div class="effect-shown">
            <div class="facts">
              <State of={one.state} /><Fact name="Effect">{one.effect}</Fact><Fact name="To">{one.target}</Fact><Fact name="Kind">{one.semantics.replaceAll('_', ' ')}</Fact>
              <Fact name="By"><Made by={one} /></Fact><Fact name="Asked"><Ago at={one.asked_at} /></Fact>{one.delivered_at && <Fact name="Delivered"><Instant at={one.delivered_at} /></Fact>}
            </div>
            <p>{MEANS[one.state] ?? one.state}{one.reason && <span class="dim"> {one.reason}</span>}</p>
            {one.corrects && <p>It corrects <Link to={`/effects?delivery=${one.corrects}`}>delivery {one.corrects}</Link>.</p>}
            {one.corrected_by && <p>It is corrected by <Link to={`/effects?delivery=${one.corrected_by}`}>delivery {one.corrected_by}</Link>.</p>}
            <p>Key <span class="key">{one.key}</span> <Copy text={one.key} /></p>
            <h3>Receipt</h3>
            {one.receipt === null || one.receipt === undefined ? <p class="dim">There is none.</p> : <pre tabIndex={0} aria-label="Receipt">{JSON.stringify(one.receipt, null, 2)}</pre>}
            <h3>Made of</h3>
            <Table
              label="Made of" rows={one.inputs} id={(each) => each.version} empty={<p class="dim">No asset version.</p>}
              columns={[
                { name: 'Asset', cell: (each) => <Link to={asset(each.asset)}>{each.asset}</Link> },
                { name: 'Version', cell: (each) => each.version },
                { name: 'Of', cell: (each) => <Instant at={each.interval.start} seconds={false} />, wide: true },
                { name: 'Now', cell: (each) => <State of={each.state} /> },
              ]}
            />
            <h3>Let out by</h3>
            <Table
              label="Let out by" rows={one.approvals} id={(each) => each.id} empty={<p class="dim">Nobody was asked.</p>}
              columns={[
                { name: 'Approval', cell: (each) => each.id },
                { name: 'State', cell: (each) => <State of={each.state} /> },
                { name: 'Answer', cell: (each) => each.by ? <><b>{each.by}: </b>{each.why}</> : <span class="dim">none yet</span> },
                { name: 'When', cell: (each) => <Ago at={each.decided_at} />, wide: true },
              ]}
            />
          </div>
        )}
      </Shown>
    </Panel>
  )
}
