/** What an asset owes and is owed: its contracts with what was last decided by them, and all decisions on it. */
import { useGet, usePages } from '../api/query'
import type { components } from '../api/schema'
import { Ago, Empty, Instant, Link, Panel, Shown, Table } from '../parts/basics'
import { part } from '../lib/router'
import { interval } from '../lib/intervals'
import { state } from '../lib/states'
import { assetPath, KINDS, levelOf, LEVELS, MOVES, versionPath } from './asset_words'

type Contract = components['schemas']['ContractLine']
type Decision = components['schemas']['DecisionLine']

const CHANGED = (event: { kind: string }) => event.kind === 'contract' || event.kind === 'dag'

export function Contracts({ asset }: { asset: string }) {
  const found = useGet('/api/v1/contracts', { names: {}, query: { asset }, on: CHANGED })
  if (found.error.value?.status === 404)
    return (
      <Panel title="Contracts">
        <Empty title="No contract names it">Without one nothing is asked of what it is made of: <code>Contract({asset}, upstream, kind="interval_match", require=[SameInterval()])</code>.</Empty>
      </Panel>
    )
  return (
    <Shown of={found}>
      {(all) => <>{[...all].sort((one) => (one.downstream === asset ? -1 : 1)).map((each) => <One key={each.contract} of={each} asset={asset} />)}</>}
    </Shown>
  )
}

function One({ of, asset }: { of: Contract; asset: string }) {
  return (
    <Panel
      title={<>{of.downstream === asset ? 'It' : <Link to={assetPath(of.downstream)}>{of.downstream}</Link>} depends on {of.upstream === asset ? 'it' : <Link to={assetPath(of.upstream)}>{of.upstream}</Link>}</>}
      side={<span class="kind contract" title={KINDS[of.kind]}>{of.kind.replaceAll('_', ' ')}</span>}
    >
      {of.rationale && <p>{of.rationale}</p>}
      <p class="dim breaks">Requires: {of.require.join('; ') || 'nothing'}. Since <Instant at={of.since} />, {of.source || 'a program'}{of.owner && `, owner ${of.owner}`}{of.during !== 'always' && ', only in runs of backfills'}.</p>
      <LastDecision of={of} />
      <Table
        label={`What follows, ${of.downstream} on ${of.upstream}`} rows={of.rules} id={(each) => each.result}
        columns={[
          { name: 'If it is', cell: (each) => each.result },
          { name: 'then', cell: (each) => each.action.replaceAll('_', ' ') },
          { name: 'and', cell: (each) => <Level of={each.level} /> },
          { name: 'Severity', cell: (each) => each.severity, wide: true },
          { name: 'Said by', cell: (each) => each.said ? 'the contract' : <span class="dim">the policy of its kind</span>, wide: true },
          { name: 'Because', cell: (each) => <span class="dim">{each.rationale}</span>, wide: true },
        ]}
      />
    </Panel>
  )
}

function LastDecision({ of }: { of: Contract }) {
  const found = useGet('/api/v1/asset-decisions', { query: { asset: of.downstream, limit: 20 }, on: MOVES })
  const last = found.data.value?.find((each) => each.phase !== 'use')
  if (!last) return <p class="dim">Nothing was decided by it yet.</p>
  const mine = last.issues.filter((each) => each.upstream === of.upstream)
  const level = mine.length ? levelOf(last) : 'none'
  return (
    <div class={`answer ${LEVELS[level]?.[1] ?? 'idle'}`}>
      <strong>Last decision</strong> <Level of={level} /> <span class="dim">{last.phase}, {interval(last.interval)}, <Ago at={last.at} /></span>
      {mine.length === 0 && <p>All that it asks of {of.upstream} was met.</p>}
      {mine.map((each) => <p key={each.requirement}>{each.requirement}: {each.observed} ({each.severity}; {each.action.replaceAll('_', ' ')})</p>)}
    </div>
  )
}

/** How far a decision lets go on: a sign and words. */
export function Level({ of }: { of: string }) {
  const [text, family, sign] = LEVELS[of] ?? [of.replaceAll('_', ' '), 'idle', 'unknown']
  return <span class={`state ${family}`}><svg viewBox="0 0 16 16" aria-hidden="true"><path d={state(sign).sign} /></svg>{text}</span>
}

export function Decisions({ asset }: { asset: string }) {
  const found = usePages('/api/v1/asset-decisions', { query: { asset, limit: 50 }, on: MOVES })
  return (
    <Panel title="Decisions">
      <Shown of={found}>
        {(rows: Decision[]) => (
          <>
            <Table
              label="Decisions" rows={rows} id={(each) => each.id}
              empty={<Empty title="Nothing was decided of it yet">A contract asks before a task begins and before a version is seen; <b>May I use it?</b> asks too.</Empty>}
              columns={[
                { name: 'Decision', cell: (each) => each.id },
                { name: 'When', cell: (each) => <Ago at={each.at} /> },
                { name: 'About', cell: (each) => each.phase === 'use' ? `use${each.consumer && ` for ${each.consumer}`}` : each.phase },
                { name: 'Interval', cell: (each) => <span class="nowrap">{interval(each.interval)}</span> },
                { name: 'Level', cell: (each) => <Level of={levelOf(each)} /> },
                { name: 'Of', cell: (each) => <>{each.version && <Link to={versionPath(asset, each.version)}>version {each.version}</Link>} {each.run_id && <Link to={`/runs/${part(each.run_id)}`}>run {each.run_id}</Link>}</>, wide: true },
                { name: 'Why', cell: (each) => <span class="said dim">{each.reason}{each.by && ` (asked by ${each.by})`}</span>, wide: true },
              ]}
            />
            {found.more.value && <button onClick={found.next}>Older decisions</button>}
          </>
        )}
      </Shown>
    </Panel>
  )
}

/** The questions of an audit, answered from what is declared and recorded. */
export function Checklist({ asset }: { asset: string }) {
  const found = useGet('/api/v1/evidence/checklist/{asset}', { names: { asset }, on: MOVES })
  return (
    <Panel title="Checklist" side={found.data.value && <span class="dim">{found.data.value.answered} of {found.data.value.questions.length} are answered</span>}>
      <Shown of={found}>
        {(list) => (
          <dl class="checklist">
            {list.questions.map((each) => (
              <div key={each.number}>
                <dt class={each.answer === null ? 'open' : undefined}>{each.number}. {each.question}</dt>
                <dd>{each.answer ?? <span class="dim">{each.source}</span>}{each.answer !== null && <span class="dim"> ({each.source})</span>}</dd>
              </div>
            ))}
          </dl>
        )}
      </Shown>
    </Panel>
  )
}
