/** Where a run comes from and where it leads: what made it and what made that, what it read and made, and its journal. */
import { useState } from 'preact/hooks'
import type { Answer } from '../api/client'
import { useGet, usePages } from '../api/query'
import { Copy } from '../parts/action'
import { Empty, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import { interval } from '../lib/intervals'
import { part } from '../lib/router'
import { taskPath } from '../parts/why'
import './run_chain.css'

type Chain = Answer<'/api/v1/runs/{run}/chain'>
type One = Chain['causes'][number]
type Version = One['versions'][number]

/** Versions that are shown of each list before the others are asked for. */
const FEW = 8

export function CauseChain({ run }: { run: string }) {
  const chain = useGet('/api/v1/runs/{run}/chain', { names: { run }, on: (event) => event.run_id === run && (event.kind === 'version' || event.kind === 'run') })
  return (
    <div class="columns">
      <Panel title="Cause chain" side={<><code>bide show {run} --chain</code><Copy text={`bide show ${run} --chain`} /></>}>
        <Shown of={chain}>{(it) => <ol class="chain" aria-label="What made it">{it.causes.map((one) => <Cause key={one.run_id} of={one} first={one.run_id === run} />)}</ol>}</Shown>
      </Panel>
      <Panel title="Lineage"><Shown of={chain}>{(it) => <Lineage of={it} />}</Shown></Panel>
    </div>
  )
}

function Cause({ of, first }: { of: One; first: boolean }) {
  return (
    <li style={{ marginLeft: `${of.depth * 1.1}rem` }}>
      <div class="chain-run">{first ? <b>This run</b> : <Link to={`/runs/${part(of.run_id)}`}>{of.dag} run {of.run_id}</Link>} {!first && <State of={of.state} />} <span>was made by <Maker of={of} /></span> <span class="dim"><Instant at={of.created_at} /></span></div>
      {of.versions.length > 0 && <Versions of={of.versions} label={`What run ${of.run_id} was made for`} />}
    </li>
  )
}

function Maker({ of }: { of: One }) {
  if (of.backfill_id) return <Link to={`/backfills/${part(of.backfill_id)}`}>backfill {of.backfill_id}</Link>
  if (of.plan_id) return <>rerun plan {of.plan_id}</>
  if (of.versions.length > 0) return <>new data</>
  if (of.who) return <b>{of.who}</b>
  return <>{KINDS[of.kind] ?? of.kind}</>
}

const KINDS: Record<string, string> = { scheduled: 'its schedule', manual: 'hand', backfill: 'a backfill', asset: 'new data of assets', plan: 'a plan that mends data', replan: 'a plan that mends data', shadow: 'a shadow of it' }

function Versions({ of, label }: { of: readonly Version[]; label: string }) {
  const [all, setAll] = useState(false)
  return (
    <ul class="chain-versions" aria-label={label}>
      {of.slice(0, all ? of.length : FEW).map((each) => (
        <li key={each.version}>
          <Link to={`/assets/${each.asset.split('/').map(part).join('/')}?version=${part(each.version)}`}>{each.asset} {each.version}</Link> <State of={each.state} /> <span class="dim nowrap">{interval(each.interval)}</span>
        </li>
      ))}
      {!all && of.length > FEW && <li><button class="small" onClick={() => setAll(true)}>{of.length - FEW} more</button></li>}
    </ul>
  )
}

function Lineage({ of }: { of: Chain }) {
  if (of.read.length + of.made.length === 0) return <Empty title="No version of an asset">A task with <code>inlets</code> reads assets, one with <code>outlets</code> makes a version by each success.</Empty>
  return (
    <dl class="run-facts">
      {of.read.length > 0 && <><dt>Read</dt><dd><Versions of={of.read} label="What it read" /></dd></>}
      {of.made.length > 0 && <><dt>Made</dt><dd><Versions of={of.made} label="What it made" /></dd></>}
      {of.sets_going.length > 0 && <><dt>Set going</dt><dd><ul class="chain-versions" aria-label="What it set going">{of.sets_going.map((one) => <li key={one.run_id}><Link to={`/runs/${part(one.run_id)}`}>{one.dag} run {one.run_id}</Link> <State of={one.state} /></li>)}</ul></dd></>}
      {of.more && <><dt /><dd class="dim">There is more than is listed here: the pages of the assets have all.</dd></>}
    </dl>
  )
}

/** All that has moved in it, the newest first; read when somebody opens it. */
export function Events({ run }: { run: string }) {
  const [open, setOpen] = useState(false)
  return (
    <section class="panel">
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary><h2>What has happened</h2> <span class="dim"><code>bide events --run {run}</code></span></summary>
        {open && <Journal run={run} />}
      </details>
    </section>
  )
}

function Journal({ run }: { run: string }) {
  const lines = usePages('/api/v1/journal', { query: { run, limit: 100 }, on: (event) => event.run_id === run })
  return (
    <Shown of={lines}>
      {(rows) => (
        <>
          <Table
            label="Events of the run" id={(event) => event.id} rows={[...rows].sort((a, b) => Number(b.id) - Number(a.id))}
            columns={[
              { name: 'When', cell: (event) => <Instant at={event.at} seconds="ms" /> },
              { name: 'What', cell: (event) => <><span class="nowrap">{event.kind}{event.kind === 'attempt' && event.attempt ? ` ${event.attempt}` : ''}</span>{event.task && <> <Link to={taskPath(run, event.map_index < 0 ? event.task : `${event.task}[${event.map_index}]`)}>{event.task}{event.map_index < 0 ? '' : `[${event.map_index}]`}</Link></>}</> },
              { name: 'Now', cell: (event) => <State of={event.now} /> },
              { name: 'Was', cell: (event) => <span class="dim">{event.was.replaceAll('_', ' ')}</span>, wide: true },
              { name: 'Why', cell: (event) => event.reason, wide: true },
            ]}
          />
          {lines.more.value && <button class="small" onClick={lines.next}>Older ones</button>}
        </>
      )}
    </Shown>
  )
}
