/** One version: what it is, what its gates found, and what can be asked of it from here. */
import { useGet } from '../api/query'
import type { components } from '../api/schema'
import { Act } from '../parts/action'
import { Fact, Instant, Link, Panel, Shown, State, Table } from '../parts/basics'
import { filter, part as named, path } from '../lib/router'
import { interval } from '../lib/intervals'
import { degrading, publishing } from './asset_acts'
import { MEANS, MOVES } from './asset_words'

type Line = components['schemas']['VersionLine']
type Part = components['schemas']['PartLine']

const HELD = new Set(['staged', 'validated', 'quarantined'])
const SEEN = new Set(['published', 'stale', 'degraded'])

export function Version({ asset, version, part }: { asset: string; version: string; part: Part | undefined }) {
  const shown = useGet('/api/v1/asset-versions/{version}', { names: { version }, on: (event) => MOVES(event) && (event.asset === asset || event.kind === 'invalidation') })
  return (
    <>
      <Panel title={`Version ${version}`} id="version" side={shown.data.value && <Acts asset={asset} of={shown.data.value} />}>
        <Shown of={shown}>{(line) => <Told of={line} part={part} />}</Shown>
      </Panel>
    </>
  )
}

function Acts({ asset, of }: { asset: string; of: Line }) {
  return (
    <>
      {HELD.has(of.state) && !of.shadow && <Act small doing={publishing(asset, of.version)}>Publish</Act>}
      {(HELD.has(of.state) || SEEN.has(of.state)) && !of.shadow && <Act small doing={degrading(asset, of.version)}>Accept with limitations</Act>}
    </>
  )
}

function Told({ of, part }: { of: Line; part: Part | undefined }) {
  return (
    <>
      <div class="facts">
        <Fact name={interval(of.interval)}><State of={of.state} />{of.shadow && <span class="kind">shadow</span>}{of.held && <span class="kind">held back</span>}</Fact>
        <Fact name="made"><Instant at={of.created_at} /></Fact>
        {of.run_id && <Fact name="by"><Link to={`/runs/${named(of.run_id)}${of.task ? `/t/${named(of.task)}` : ''}`}>{of.dag}, run {of.run_id}</Link></Fact>}
        {of.runs.length > 0 && <Fact name="set going">{of.runs.map((run) => <span key={run}><Link to={`/runs/${named(run)}`}>run {run}</Link> </span>)}</Fact>}
        {part && part.newest !== of.version && <Fact name="newest of its interval"><a href="#version" onClick={(event) => { event.preventDefault(); filter({ version: part.newest }) }}>version {part.newest}</a> <State of={part.newest_state} /></Fact>}
      </div>
      <p>{MEANS[of.state]} {!of.limits && <span class="dim said"><Because text={of.reason} /></span>}</p>
      {of.label && <p class="said"><code>{of.label}</code></p>}
      {of.limits && <div class="answer warned"><strong>Known limitations</strong><Limits of={of.limits} /></div>}
      {of.checks.length > 0 && (
        <Table
          label="Gates" rows={of.checks} id={(each) => each.name}
          columns={[
            { name: 'Gate', cell: (each) => each.name },
            { name: 'Found', cell: (each) => <State of={each.passed ? 'success' : 'failed'} /> },
            { name: 'Severity', cell: (each) => each.severity, wide: true },
            { name: 'Observed', cell: (each) => <code>{JSON.stringify(each.observed)}</code> },
            { name: 'Expected', cell: (each) => <code>{JSON.stringify(each.expected)}</code> },
            { name: 'Says', cell: (each) => each.message, wide: true },
          ]}
        />
      )}
    </>
  )
}

/** What is known to be wrong with a version that may be used all the same: why, who accepted that, and until when. */
export function Limits({ of }: { of: components['schemas']['LimitsLine'] }) {
  return (
    <>
      <ul class="limits" aria-label="Known limitations">{of.known_limitations.map((each) => <li key={each}>{each}</li>)}</ul>
      <p class="dim">{of.reason && <>{of.reason}; </>}accepted by {of.approved_by || 'nobody'}, {of.expires_at ? <>until <Instant at={of.expires_at} /></> : 'for good'}</p>
    </>
  )
}

/** Why a version is in its state; the invalidation that says so leads to what it has hit. */
export function Because({ text }: { text: string }) {
  const found = /^(.*?)\b(invalidation (\d+))\b(.*)$/s.exec(text)
  if (!found) return <>{text}</>
  return <>{found[1]}<Link to={`${path.value}?tab=blast&invalidation=${found[3]}`}>{found[2]}</Link>{found[4]}</>
}
