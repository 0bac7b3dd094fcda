/** `/dags`: every DAG at a glance; what is not loaded stands first. Filters stand in the address. */
import './dags.css'
import { useGet, usePages } from '../api/query'
import type { components } from '../api/schema'
import { Act } from '../parts/action'
import { Ago, Choice, Empty, Head, Instant, Link, Name, Panel, Shown, State, Table } from '../parts/basics'
import { KeptFilters } from '../parts/kept'
import { askTrigger, pausing } from '../parts/trigger'
import { filter, part, query } from '../lib/router'
import { state } from '../lib/states'
import { instant, lasted, now } from '../lib/time'

type Card = components['schemas']['DagCard']

const KINDS: [string, string][] = [['', 'All'], ['failing', 'Failing'], ['running', 'Running'], ['paused', 'Paused'], ['scheduled', 'Scheduled']]
const IS: Record<string, (dag: Card) => boolean> = {
  failing: (dag) => Boolean(dag.code_error) || (dag.recent[0]?.state === 'failed'),
  running: (dag) => dag.open_runs > 0,
  paused: (dag) => dag.paused,
  scheduled: (dag) => dag.next_fires_at !== null,
}

export default function Dags() {
  const [sought, kind, tag, owner] = ['q', 'is', 'tag', 'owner'].map((name) => query.value.get(name) ?? '') as [string, string, string, string]
  const dags = usePages('/api/v1/overview/dags', { query: { limit: 1000 }, on: (event) => event.kind === 'run' || event.kind === 'dag' })
  const notLoaded = useGet('/api/v1/overview/not-loaded', { on: (event) => event.kind === 'dag', every: 30_000 })
  const text = sought.toLowerCase()
  const fits = (dag: Card) =>
    (!text || `${dag.dag} ${dag.doc} ${dag.owner} ${dag.tags.join(' ')}`.toLowerCase().includes(text)) &&
    (!kind || IS[kind]?.(dag) !== false) && (!tag || dag.tags.includes(tag)) && (!owner || dag.owner === owner)
  return (
    <>
      <Head title="DAGs" />
      {notLoaded.data.value?.length ? (
        <Panel title={`Not loaded: ${notLoaded.data.value.length}`} id="not-loaded">
          {notLoaded.data.value.map((each) => <div key={each.what} class="wrong"><strong class="mono">{each.what}</strong><pre>{each.why}</pre></div>)}
          <p class="dim">What ran of them before goes on as it was. <code>bide check</code> says the same without loading anything.</p>
        </Panel>
      ) : null}
      <div class="filters">
        <input type="search" aria-label="Find a DAG" placeholder="Find: name, text, owner, tag" value={sought} onInput={(event) => filter({ q: event.currentTarget.value })} />
        <Choice label="Which DAGs" value={kind} options={KINDS} onChange={(chosen) => filter({ is: chosen })} />
        {tag && <button class="small" onClick={() => filter({ tag: null })}>Tag: {tag} (take out)</button>}
        {owner && <button class="small" onClick={() => filter({ owner: null })}>Owner: {owner} (take out)</button>}
      </div>
      <KeptFilters />
      <Shown of={dags}>
        {(all) => {
          const found = all.filter(fits)
          return (
            <>
              <Table
                label="DAGs" rows={found} id={(dag) => dag.dag}
                empty={all.length === 0
                  ? <Empty title="No DAG yet">A file with a function marked <code>@dag</code> makes one; <code>bide init</code> writes the first, <code>bide serve FILE</code> loads it.</Empty>
                  : <Empty title="No DAG fits the filters">There {all.length === 1 ? 'is 1' : `are ${all.length}`} without them.</Empty>}
                columns={[
                  { name: 'DAG', cell: (dag) => <><Link to={`/dags/${part(dag.dag)}`} class="dagname"><Name of={dag.dag} /></Link>{dag.paused && <> <State of="paused" /></>}{dag.code_error && <p class="state bad" title={dag.code_error}>code not loaded</p>}{dag.doc && <p class="dim">{dag.doc}</p>}</> },
                  { name: 'Last runs', cell: (dag) => <Recent dag={dag} /> },
                  { name: 'Schedule', cell: (dag) => dag.schedule, wide: true },
                  { name: 'Next', cell: (dag) => dag.paused ? <span class="dim">paused</span> : dag.next_fires_at ? <><Ago at={dag.next_fires_at} /><br /><span class="dim"><Instant at={dag.next_fires_at} seconds={false} /></span></> : <span class="dim">-</span>, wide: true },
                  { name: 'Owner, tags', cell: (dag) => <>{dag.owner && <button class="tag owner" title="Owner" onClick={() => filter({ owner: dag.owner })}>{dag.owner}</button>}{dag.tags.map((each) => <button key={each} class="tag" onClick={() => filter({ tag: each })}>{each}</button>)}</>, wide: true },
                  { name: 'Do', cell: (dag) => <div class="rowacts"><button class="small" aria-haspopup="dialog" aria-label={`Trigger ${dag.dag}`} onClick={() => askTrigger(dag.dag)}>Trigger</button><Act small doing={() => pausing(dag.dag, dag.paused)}>{dag.paused ? 'Unpause' : 'Pause'}<span class="unseen"> {dag.dag}</span></Act></div>, right: true },
                ]}
              />
              {dags.more.value && <button onClick={dags.next}>More DAGs</button>}
            </>
          )
        }}
      </Shown>
    </>
  )
}

/** The last runs, the newest at the right: how long they took as a bar, how they ended as a sign under it. */
function Recent({ dag }: { dag: Card }) {
  if (dag.recent.length === 0) return <span class="dim">no run yet</span>
  const took = (run: Card['recent'][number]) => (run.started_at ? (run.ended_at ? Date.parse(run.ended_at) : now.value) - Date.parse(run.started_at) : 0)
  const longest = Math.max(...dag.recent.map(took), 1)
  return (
    <span class="recent">
      {[...dag.recent].reverse().map((run) => {
        const it = state(run.state)
        const said = `Run ${run.run_id}, ${instant(run.logical_date, false)}: ${it.word}${run.started_at ? `, took ${lasted(run.started_at, run.ended_at)}` : ''}`
        return (
          <Link key={run.run_id} to={`/runs/${part(run.run_id)}`} class={it.family} title={said}>
            <i style={{ height: `${Math.round(2 + (took(run) / longest) * 24)}px` }} />
            <svg viewBox="0 0 16 16" aria-hidden="true"><path d={it.sign} /></svg>
            <span class="unseen">{said}</span>
          </Link>
        )
      })}
    </span>
  )
}
