/** `/audit`: every command there was, refused ones too: who, what, from where, and what it moved. */
import { useState } from 'preact/hooks'
import { address, getAt, type Answer, type Query } from '../api/client'
import { useGet, usePages } from '../api/query'
import { say } from '../parts/action'
import { Choice, Empty, Head, Instant, Link, Shown, State } from '../parts/basics'
import { KeptFilters } from '../parts/kept'
import { CSV, csv, save, whereTo } from '../lib/audit'
import { filter, query } from '../lib/router'
import { word } from '../lib/words'
import './audit.css'

type Line = Answer<'/api/v1/audit'>[number]
type Asked = Query<'/api/v1/audit'>

const FILTERS = ['who', 'verb', 'target', 'via', 'outcome', 'since'] as const
const SINCE: [string, string][] = [['', 'Any time'], ['1h', 'Hour'], ['24h', 'Day'], ['7d', 'Week']]
const OUTCOMES: [string, string][] = [['', 'Any outcome'], ['ok', 'Done'], ['refused', 'Refused']]
const DOORS = ['terminal', 'socket', 'http', 'hook', 'python', 'host']
const MOST = 100_000
/** Ms: a refused command moves nothing that an event would tell of. */
const OFTEN = 3_000

export default function Audit() {
  const asked = Object.fromEntries(FILTERS.map((name) => [name, query.value.get(name) ?? '']).filter(([, value]) => value)) as Asked
  const lines = usePages('/api/v1/audit', { query: { ...asked, limit: 100 }, every: OFTEN })
  const command = `bide audit${Object.entries(asked).map(([name, value]) => ` --${name} ${word(String(value))}`).join('')}`
  return (
    <>
      <Head title="Audit" actions={<><Export asked={asked} as="csv" /><Export asked={asked} as="json" /></>}>
        <span class="dim">Every command by any door, those that were refused too. In the terminal: <code>{command}</code></span>
      </Head>
      <div class="filters">
        {(['who', 'verb', 'target'] as const).map((name) => (
          <label key={name}>{{ who: 'Who', verb: 'What', target: 'Of' }[name]}
            <input class="short" type="search" value={query.value.get(name) ?? ''} placeholder={{ who: 'anybody', verb: 'any command', target: 'run 12, dag orders' }[name]} onChange={(event) => filter({ [name]: event.currentTarget.value.trim() })} />
          </label>
        ))}
        <label>From
          <select value={query.value.get('via') ?? ''} onChange={(event) => filter({ via: event.currentTarget.value })}>
            <option value="">anywhere</option>
            {DOORS.map((door) => <option key={door} value={door}>{door}</option>)}
          </select>
        </label>
        <Choice label="Outcome" value={query.value.get('outcome') ?? ''} options={OUTCOMES} onChange={(outcome) => filter({ outcome })} />
        <Choice label="Since" value={query.value.get('since') ?? ''} options={SINCE} onChange={(since) => filter({ since })} />
        {Object.keys(asked).length > 0 && <button class="small" onClick={() => filter(Object.fromEntries(FILTERS.map((name) => [name, null])))}>All of it</button>}
      </div>
      <KeptFilters />
      <Shown of={lines}>
        {(rows) => rows.length === 0 ? <Empty title={Object.keys(asked).length > 0 ? 'No command is of that kind' : 'Nobody has commanded anything'}>Whoever triggers, cancels, approves or marks leaves a line here: <code>bide trigger DAG</code> is one.</Empty> : (
          <>
            <ul class="audit" aria-label="Commands">{rows.map((line) => <One key={line.id} line={line} />)}</ul>
            {lines.more.value && <button onClick={lines.next}>Older ones</button>}
          </>
        )}
      </Shown>
    </>
  )
}

function One({ line }: { line: Line }) {
  const [open, setOpen] = useState(false)
  const at = whereTo(line.target)
  return (
    <li>
      <div class="line">
        <Instant at={line.at} />
        <span><State of={line.outcome === 'ok' ? 'success' : 'failed'} bare /></span>
        <span class="what"><b>{line.verb.replaceAll('_', ' ')}</b> {at ? <Link to={at}>{line.target}</Link> : line.target}</span>
        <span class="who"><button class="plain" onClick={() => filter({ who: line.who })} title="Only what this one asked for">{line.who}</button> <span class="dim">{line.via}{line.address && ` ${line.address}`}</span></span>
        <button class="small" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? 'Less' : 'More'}</button>
      </div>
      {line.message && <p class="message">{line.message}</p>}
      {open && <Details line={line} />}
    </li>
  )
}

/** What was said, and what was and is: the journal's lines of the same commit. */
function Details({ line }: { line: Line }) {
  const shown = useGet('/api/v1/audit/{line}', { names: { line: line.id } })
  const args = Object.entries(line.args)
  return (
    <div class="details">
      <section>
        <h3>Asked with</h3>
        {args.length === 0 ? <p class="dim">Nothing</p> : <dl class="pairs">{args.map(([name, value]) => <div key={name}><dt>{name}</dt><dd><Said name={name} of={value} /></dd></div>)}</dl>}
      </section>
      <section>
        <h3>What moved</h3>
        <Shown of={shown}>
          {(it) => it.moved.length === 0 ? <p class="dim">{line.outcome === 'ok' ? 'The journal has no line of it, or no longer.' : 'Nothing: it was refused.'}</p> : (
            <ul class="moved">
              {it.moved.map((event) => (
                <li key={event.id}>
                  <span>{event.kind} {event.task ? `${event.task}${event.map_index < 0 ? '' : `[${event.map_index}]`} of run ${event.run_id}` : event.kind === 'dag' ? event.dag : event.number}</span>
                  <span class="change">{event.was ? <State of={event.was} /> : <span class="dim">new</span>}<span aria-label="became"> → </span><State of={event.now} /></span>
                  {event.reason && <span class="dim">{event.reason}</span>}
                </li>
              ))}
              {it.more && <li class="dim">and more</li>}
            </ul>
          )}
        </Shown>
      </section>
    </div>
  )
}

/** An instant that a command was given is one of the zone that is chosen; all else is as it was said. */
function Said({ name, of }: { name: string; of: unknown }) {
  if (name.endsWith('_us') && typeof of === 'number') return <Instant at={new Date(of / 1000).toISOString()} />
  return <code>{typeof of === 'string' ? of : JSON.stringify(of)}</code>
}

function Export({ asked, as }: { asked: Asked; as: 'csv' | 'json' }) {
  const [busy, setBusy] = useState(false)
  async function take() {
    setBusy(true)
    try {
      const lines: Line[] = []
      let at: string | null = address('/api/v1/audit', {}, { ...asked, limit: 1_000 })
      while (at && lines.length < MOST) {
        const page: { items: Line[]; next: string | null } = await getAt<Line[]>(at)
        lines.push(...page.items)
        at = page.next
      }
      save(`audit.${as}`, as === 'csv' ? csv(CSV, lines) : `${JSON.stringify(lines, null, 1)}\n`, as === 'csv' ? 'text/csv' : 'application/json')
      say(`${lines.length.toLocaleString()} lines are in audit.${as}.`)
    } catch (error) {
      say((error as Error).message, true)
    } finally {
      setBusy(false)
    }
  }
  return <button onClick={take} disabled={busy}>{busy ? 'Reading' : `Export ${as.toUpperCase()}`}</button>
}
