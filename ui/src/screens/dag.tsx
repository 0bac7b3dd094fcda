/** `/dags/:dag`: what a DAG is, how its runs went, when it fires, what it was before. Which of it is shown stands in the address. */
import './dags.css'
import { useEffect } from 'preact/hooks'
import { useGet } from '../api/query'
import type { components } from '../api/schema'
import { Act } from '../parts/action'
import { Ago, Choice, Fact, Head, Link, Shown, State } from '../parts/basics'
import { Said } from '../parts/said'
import { Details } from '../parts/details'
import { askTrigger, pausing } from '../parts/trigger'
import { filter, part, query } from '../lib/router'
import { dagZone } from '../lib/time'
import { DagCalendar } from './dag_calendar'
import { DagCode } from './dag_code'
import { RunGrid } from './dag_grid'
import { DagBackfills, DagDocs, DagGraph, DagTasks } from './dag_tasks'
import { DagVersions } from './dag_versions'

export type Shape = components['schemas']['DagShown']

const VIEWS: [string, string][] = [['', 'Grid'], ['graph', 'Graph'], ['calendar', 'Calendar'], ['tasks', 'Tasks'], ['code', 'Code'], ['versions', 'Versions'], ['docs', 'Docs'], ['backfills', 'Backfills']]

export default function Dag({ dag }: { dag: string }) {
  const shown = useGet('/api/v1/dags/{dag}', { names: { dag }, on: (event) => event.dag === dag && (event.kind === 'run' || event.kind === 'dag') })
  const wanted = query.value.get('view') ?? ''
  const view = VIEWS.some(([key]) => key === wanted) ? wanted : ''
  const tz = shown.data.value?.tz
  useEffect(() => {
    if (tz) dagZone.value = tz
  }, [tz])
  return (
    <Shown of={shown}>
      {(it) => (
        <>
          <Head title={it.dag} trail={[['DAGs', '/dags']]} actions={
            <>
              <button class="first" aria-haspopup="dialog" onClick={() => askTrigger(dag)}>Trigger</button>
              <Act doing={() => pausing(dag, it.paused)}>{it.paused ? 'Unpause' : 'Pause'}</Act>
            </>
          }>
            {it.paused && <State of="paused" />}
            {it.last_state && <Fact name="last run"><State of={it.last_state} /></Fact>}
            <Fact name="schedule">{it.schedule}</Fact>
            {it.next_fires_at && !it.paused && <Fact name="next"><Ago at={it.next_fires_at} /></Fact>}
            {it.promise && <Fact name="promised">{it.promise}</Fact>}
            <Fact name="zone">{it.tz}</Fact>
            {it.owner && <Fact name="owner"><Link to={`/dags?owner=${part(it.owner)}`}>{it.owner}</Link></Fact>}
            {it.tags.map((tag) => <Link key={tag} to={`/dags?tag=${part(tag)}`} class="tag">{tag}</Link>)}
            <Fact name="tasks">{it.tasks.length.toLocaleString()}</Fact>
          </Head>
          {it.doc && <p class="dim">{it.doc.trim().split('\n', 1)[0]}</p>}
          <DagWhy dag={dag} />
          {it.code_error && <div class="wrong" role="alert"><strong>Its code is not loaded</strong><p>{it.code_error}</p></div>}
          <div class="filters"><Choice label="View" value={view} options={VIEWS} onChange={(chosen) => filter({ view: chosen })} /></div>
          {view === '' && <RunGrid dag={dag} />}
          {view === 'graph' && <DagGraph of={it} />}
          {view === 'calendar' && <DagCalendar dag={dag} tz={it.tz} />}
          {view === 'tasks' && <DagTasks of={it} />}
          {view === 'code' && <DagCode dag={dag} />}
          {view === 'versions' && <DagVersions dag={dag} />}
          {view === 'docs' && <DagDocs of={it} />}
          {view === 'backfills' && <DagBackfills dag={dag} />}
        </>
      )}
    </Shown>
  )
}

/** Why it makes no run just now, and what makes the next one. */
function DagWhy({ dag }: { dag: string }) {
  const why = useGet('/api/v1/dags/{dag}/why', { names: { dag }, on: (event) => event.dag === dag && (event.kind === 'run' || event.kind === 'dag'), every: 30_000 })
  const said = why.data.value
  if (!said) return null
  return (
    <details class="dag-why">
      <summary><b>Why no run now</b> {said.state}: <Said text={said.why} />{said.next && <span class="dim">; <Said text={said.next} /></span>}</summary>
      <dl class="run-facts"><Details of={said.details} /></dl>
    </details>
  )
}
