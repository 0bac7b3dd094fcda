/** `/system`: whether the service is well, what it is made of, and what it has been told. */
import { useGet } from '../api/query'
import { connection } from '../api/feed'
import type { Answer } from '../api/client'
import { Empty, Fact, Head, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import { Pulse } from '../parts/pulse'
import { Plain, Said } from '../parts/said'
import { filter, part, query } from '../lib/router'
import './system.css'

type System = Answer<'/api/v1/system'>
type Health = Answer<'/api/v1/doctor'>

export default function SystemScreen() {
  const system = useGet('/api/v1/system', { every: 15_000 })
  const doctor = useGet('/api/v1/doctor')
  return (
    <>
      <Head title="System" actions={<button onClick={doctor.again}>Look again</button>}>
        {doctor.data.value && <Verdict of={doctor.data.value} />}
        <Fact name="Event stream">{connection.value === 'live' ? 'live' : 'not connected'}</Fact>
        {system.data.value?.held_by != null && <Fact name="Process">{system.data.value.held_by}</Fact>}
        {system.data.value?.epoch != null && <Fact name="Start">number {system.data.value.epoch}</Fact>}
      </Head>
      <Pulse />
      <Panel title="Doctor" id="doctor">
        <Shown of={doctor}>{(health) => <Checks of={health} />}</Shown>
      </Panel>
      <Shown of={system}>
        {(it) => (
          <>
            <div class="columns">
              <Waits it={it} />
              <Loop it={it} />
            </div>
            <Left it={it} />
            <div class="columns">
              <Panel title="Versions"><Pairs of={it.versions} label="Versions" /></Panel>
              <Panel title="Database"><Pairs label="Database" of={{ file: it.database, ...(it.held_by !== null && { 'held by process': String(it.held_by) }), ...(it.epoch !== null && { 'runtimes started on it': String(it.epoch) }) }} /></Panel>
            </div>
            <Settings of={it.settings} />
          </>
        )}
      </Shown>
    </>
  )
}

function Verdict({ of }: { of: Health }) {
  const wrong = of.checks.filter((check) => !check.ok).length
  const advised = of.checks.filter((check) => check.ok && check.advice).length
  return <Fact name="Health"><State of={wrong ? 'failed' : advised ? 'degraded' : 'success'} bare /> {wrong === 0 ? `${of.checks.length - advised} checks are well${advised ? `, ${advised} with advice` : ''}` : `${wrong} of ${of.checks.length} checks are not well`}</Fact>
}

/** So many of one name are shown. */
const ALIKE = 5

function Checks({ of }: { of: Health }) {
  const notes = of.checks.filter((check) => !check.ok || check.advice)
  const well = of.checks.filter((check) => check.ok && !check.advice)
  const sorted = [...notes].sort((a, b) => Number(a.ok) - Number(b.ok))
  const before = new Map<string, number>()
  const shown = sorted.filter((check) => {
    const count = (before.get(check.name) ?? 0) + 1
    before.set(check.name, count)
    return count <= ALIKE
  })
  const more = [...before].filter(([, count]) => count > ALIKE)
  return (
    <>
      <ul class="checks" aria-label="What the doctor says">
        {shown.map((check) => (
          <li key={check.name + check.found}>
            <State of={check.ok ? 'degraded' : 'failed'} bare /> <b>{check.name}</b>
            <p><Plain text={check.found} /></p>
            {check.advice && <p class="advice"><Said text={check.advice} /></p>}
          </li>
        ))}
        {more.map(([name, count]) => <li key={`more ${name}`} class="dim">{(count - ALIKE).toLocaleString()} more of {name}: <code>bide doctor</code> lists all</li>)}
      </ul>
      <details open={sorted.length === 0}>
        <summary>{well.length} {well.length === 1 ? 'check is' : 'checks are'} well</summary>
        <ul class="checks well">{well.map((check) => <li key={check.name}><State of="success" bare /> <b>{check.name}</b><p class="dim">{check.found}</p></li>)}</ul>
      </details>
    </>
  )
}

function Waits({ it }: { it: System }) {
  const kinds = Object.entries(it.waits).sort((a, b) => b[1] - a[1])
  const most = Math.max(1, ...kinds.map(([, count]) => count))
  return (
    <Panel title="Waits by kind" side={it.armed !== null && <span class="dim">{it.armed.toLocaleString()} watched</span>}>
      {kinds.length === 0 ? <Empty title="Nothing is waited for" /> : (
        <ul class="amounts">
          {kinds.map(([kind, count]) => (
            <li key={kind}><Link to={`/waits?kind=${part(kind)}`}>{kind}</Link><div class="bar" aria-hidden="true"><i style={{ width: `${(100 * count) / most}%` }} /></div><b>{count.toLocaleString()}</b></li>
          ))}
        </ul>
      )}
      {it.sources.length > 0 && (
        <details>
          <summary>{it.sources.length} {it.sources.length === 1 ? 'source watches' : 'sources watch'} them</summary>
          <Pairs label="Sources" of={Object.fromEntries(it.sources.map((each) => [each.source, each.waits.toLocaleString()]))} />
        </details>
      )}
    </Panel>
  )
}

function Loop({ it }: { it: System }) {
  return (
    <Panel title="What held the loop" side={it.blocked !== null && <span class="dim">{it.blocked === 1 ? 'once' : `${it.blocked.toLocaleString()} times`} since it was opened</span>}>
      {it.held.length === 0 ? <Empty title="Nothing has held it">A callback that blocks for 0.1 s and more is named here, with the line where it stood.</Empty> : (
        <ul class="checks">
          {it.held.slice(0, 8).map((each) => <li key={`${each.at} ${each.name}`}><b>{each.name}</b> <span class="dim">for {each.seconds.toFixed(2)} s and more, <Instant at={each.at} /></span><p class="mono">{each.where}</p></li>)}
        </ul>
      )}
    </Panel>
  )
}

function Left({ it }: { it: System }) {
  const left = Object.entries(it.left_out)
  if (left.length === 0 && it.notes.length === 0) return null
  return (
    <Panel title="What went wrong beside">
      <ul class="checks">
        {left.map(([what, why]) => <li key={what}><State of="failed" bare /> <b>{what}</b><p>{why}</p></li>)}
        {it.notes.map((note) => <li key={note}><State of="degraded" bare /> <p>{note}</p></li>)}
      </ul>
    </Panel>
  )
}

const shown = (value: unknown): string => (value === null || value === undefined ? '-' : typeof value === 'string' ? value : JSON.stringify(value))

function Settings({ of }: { of: System['settings'] }) {
  const typed = query.value.get('setting') ?? ''
  const said = query.value.get('said') === 'yes'
  const rows = of.filter((each) => each.key.includes(typed) && (!said || each.origin !== 'default'))
  return (
    <Panel title="Settings" id="settings" side={
      <div class="filters">
        <label><span class="unseen">Find a setting</span><input type="search" placeholder="Find a setting" value={typed} onInput={(event) => filter({ setting: event.currentTarget.value })} /></label>
        <label><input type="checkbox" checked={said} onChange={(event) => filter({ said: event.currentTarget.checked ? 'yes' : null })} />Only what was set</label>
      </div>
    }>
      <Table
        label="Settings" rows={rows} id={(each) => each.key}
        empty={<Empty title={of.length === 0 ? 'It was opened by a program' : 'No setting matches'}>{of.length === 0 ? 'A program has given it what it has; there is no file.' : <>Settings stand in <code>bide.toml</code>, in <code>[tool.bide]</code> of pyproject.toml, in variables BIDE_*, or are flags.</>}</Empty>}
        columns={[
          { name: 'Setting', cell: (each) => <code>{each.key}</code> },
          { name: 'Value', cell: (each) => <code class="value">{shown(each.value)}</code> },
          { name: 'From', cell: (each) => <span class={each.origin === 'default' ? 'dim' : 'origin'} title={each.origin}>{each.origin.startsWith('/') ? each.origin.slice(each.origin.lastIndexOf('/') + 1) : each.origin}</span> },
        ]}
      />
    </Panel>
  )
}

function Pairs({ of, label }: { of: Record<string, string>; label: string }) {
  return <dl class="pairs" aria-label={label}>{Object.entries(of).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
}
