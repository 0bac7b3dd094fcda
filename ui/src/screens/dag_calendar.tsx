/** When a DAG fires: month by month what ran, what ran late or was caught up, what was missed and why, and what is to come. */
import './dag_calendar.css'
import { useMemo } from 'preact/hooks'
import { useGet } from '../api/query'
import type { components } from '../api/schema'
import { Empty, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import { filter, part, query } from '../lib/router'
import { STATES, state } from '../lib/states'
import { span } from '../lib/time'
import { months, step, type Month } from '../lib/days'

type Line = components['schemas']['FiringLine']
type Day = components['schemas']['CalendarDay']

/** What becomes of a firing: its word, its colour, and the sign of a state that means much the same. */
const WHAT: Record<string, { word: string; family: string; sign: string; says: string }> = {
  fired: { word: 'fired', family: 'good', sign: state('running').sign, says: 'ran at its time' },
  late: { word: 'late', family: 'warned', sign: state('stale').sign, says: 'a promise of it was not kept' },
  caught_up: { word: 'caught up', family: 'waiting', sign: state('up_for_retry').sign, says: 'missed, and run later' },
  missed: { word: 'missed', family: 'bad', sign: state('skipped').sign, says: 'not run' },
  catching_up: { word: 'to be caught up', family: 'held', sign: state('deferred').sign, says: 'missed, run when there is room' },
  held: { word: 'held', family: 'held', sign: state('paused').sign, says: 'its time has come, nothing is decided' },
  due: { word: 'due', family: 'idle', sign: state('pending').sign, says: 'to come' },
}
const what = (name: string) => WHAT[name] ?? { word: name.replaceAll('_', ' '), family: 'busy', sign: STATES.approved!.sign, says: 'made by no schedule' }
/** What a person wants to hear of first. */
const FIRST = ['missed', 'held', 'catching_up', 'late', 'caught_up', 'fired', 'due']
const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length - 1.5)

function Mark({ of, count }: { of: string; count?: number }) {
  const it = what(of)
  return <span class={`state ${it.family}`} title={it.says}><svg viewBox="0 0 16 16" aria-hidden="true"><path d={it.sign} /></svg>{it.word}{count === undefined ? null : <b>{count.toLocaleString()}</b>}</span>
}

export function DagCalendar({ dag, tz }: { dag: string; tz: string }) {
  const today = useMemo(() => new Intl.DateTimeFormat('en-CA', { timeZone: tz }).format(new Date()), [tz])
  const last = query.value.get('month') ?? today.slice(0, 7)
  const day = query.value.get('day') ?? ''
  const shown = useMemo(() => months(last, 2), [last])
  const since = `${shown[0]!.name}-01`
  const until = `${step(last, 1)}-01`
  const asked = useGet('/api/v1/dags/{dag}/calendar', { names: { dag }, query: { since, until }, on: (event) => event.dag === dag && (event.kind === 'run' || event.kind === 'dag') })
  return (
    <>
      <Panel title="Calendar of firings" side={
        <div class="turn">
          <button class="small" onClick={() => filter({ month: step(last, -1), day: null })}>Earlier</button>
          <button class="small" onClick={() => filter({ month: null, day: null })}>Now</button>
          <button class="small" onClick={() => filter({ month: step(last, 1), day: null })}>Later</button>
        </div>
      }>
        <Shown of={asked}>
          {(found) => {
            const by = new Map(found.days.map((each) => [each.day, each]))
            const sums = total(found.days)
            return (
              <>
                <div class="months">{shown.map((month) => <OneMonth key={month.name} month={month} by={by} today={today} chosen={day} />)}</div>
                <div class="legend" role="group" aria-label="What became of the firings shown">
                  {Object.keys(sums).sort((a, b) => rank(a) - rank(b)).map((name) => <Mark key={name} of={name} count={sums[name]!} />)}
                </div>
                {found.days.length === 0 && <Empty title="No firing in these months">Its schedule has none, and nothing was run for a date of them.</Empty>}
                {found.cut && <p class="dim">There are more firings than are counted here: the newest 5,000 runs, and 1,000 of each other sort.</p>}
                <p class="dim">Days are those of {tz}, the zone of the DAG.</p>
              </>
            )
          }}
        </Shown>
      </Panel>
      {day && <OneDay dag={dag} day={day} />}
    </>
  )
}

function total(days: readonly Day[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const each of days) for (const [name, count] of Object.entries(each.counts)) sums[name] = (sums[name] ?? 0) + count
  return sums
}

function OneMonth({ month, by, today, chosen }: { month: Month; by: Map<string, Day>; today: string; chosen: string }) {
  return (
    <div class="month">
      <table aria-label={month.title}>
        <caption>{month.title}</caption>
        <thead><tr>{['Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa', 'Su'].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
        <tbody>{month.weeks.map((week, n) => <tr key={n}>{week.map((day, at) => <td key={at}>{day && <DayCell day={day} of={by.get(day)} today={day === today} chosen={day === chosen} />}</td>)}</tr>)}</tbody>
      </table>
    </div>
  )
}

function DayCell({ day, of, today, chosen }: { day: string; of: Day | undefined; today: boolean; chosen: boolean }) {
  const names = Object.keys(of?.counts ?? {}).sort((a, b) => rank(a) - rank(b))
  const count = names.reduce((sum, name) => sum + of!.counts[name]!, 0)
  const bad = (of?.states.failed ?? 0) > 0
  const said = names.map((name) => `${of!.counts[name]!} ${what(name).word}`).join(', ')
  const ran = Object.entries(of?.states ?? {}).map(([name, n]) => `${n} ${state(name).word}`).join(', ')
  return (
    <button class={`oneday ${names[0] ? what(names[0]).family : ''} ${today ? 'today' : ''}`} disabled={!of} aria-pressed={chosen} title={said || undefined}
      aria-label={`${day}${today ? ', today' : ''}: ${said || 'nothing'}${ran ? `; runs: ${ran}` : ''}`} onClick={() => filter({ day: chosen ? null : day })}>
      <span>{Number(day.slice(8))}</span>
      <span class="marks">{names.slice(0, 2).map((name) => <svg key={name} viewBox="0 0 16 16" aria-hidden="true"><path d={what(name).sign} /></svg>)}{bad && <svg viewBox="0 0 16 16" aria-hidden="true"><path d={state('failed').sign} /></svg>}</span>
      {count > 1 && <span>{count.toLocaleString()}</span>}
    </button>
  )
}

function OneDay({ dag, day }: { dag: string; day: string }) {
  const next = new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10)
  const asked = useGet('/api/v1/dags/{dag}/firings', { names: { dag }, query: { since: day, until: next }, on: (event) => event.dag === dag && event.kind === 'run' })
  return (
    <Panel title={day} id="day">
      <Shown of={asked}>
        {(found) => (
          <Table<Line> label={`Firings of ${day}`} rows={found} id={(line) => `${line.fires_at}${line.what}${line.run_id ?? ''}`}
            empty={<Empty title="Nothing on this day" />}
            columns={[
              { name: 'Time', cell: (line) => <Instant at={line.fires_at} /> },
              { name: 'What', cell: (line) => <Mark of={line.what} /> },
              { name: 'Run', cell: (line) => line.run_id ? <><Link to={`/runs/${part(line.run_id)}`}>{line.run_id}</Link> {line.state && <State of={line.state} />}</> : <span class="dim">-</span> },
              { name: 'Interval', cell: (line) => <span class="nowrap"><Instant at={line.interval.start} seconds={false} /> to <Instant at={line.interval.end} seconds={false} /></span>, wide: true },
              { name: 'Began after', cell: (line) => line.delay_s === null ? <span class="dim">-</span> : span(line.delay_s * 1000), right: true, wide: true },
              { name: 'Why', cell: (line) => line.reason || <span class="dim">{what(line.what).says}</span> },
            ]} />
        )}
      </Shown>
    </Panel>
  )
}
