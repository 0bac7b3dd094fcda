/** What somebody who is asked can look at before they answer: results, versions, what was decided, the plan or delivery. */
import { useGet } from '../api/query'
import { part } from '../lib/router'
import { Plain } from './said'
import { Fact, Instant, Link, Shown, State, Table } from './basics'

const asset = (name: string) => `/assets/${name.split('/').map(part).join('/')}`

/** `{"rows":3}` on several lines; what is cut off, as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

/** The plan that is asked for: what it would do, and where it is drawn with what was hit. */
function Planned({ plan }: { plan: string }) {
  const found = useGet('/api/v1/plans/{plan}', { names: { plan } })
  return (
    <Shown of={found}>
      {(it) => (
        <>
          <p>{it.invalidation && <><Link to={`${asset(it.plan.cause.asset)}?tab=blast&invalidation=${part(it.invalidation)}`}>Plan {plan}, step by step, and what it mends</Link> </>}<code>bide assets plans {plan}</code></p>
          <ul class="asked-plan">{it.plan.summary.map((line) => <li key={line}><Plain text={line} /></li>)}</ul>
        </>
      )}
    </Shown>
  )
}

export function Evidence({ approval, run }: { approval: string; run: string | null }) {
  const found = useGet('/api/v1/approvals/{approval}/evidence', { names: { approval } })
  return (
    <Shown of={found}>
      {(it) => (
        <div class="asked-evidence">
          <div class="facts">
            {it.interval && <Fact name="Interval"><Instant at={it.interval.start} seconds={false} />{it.interval.end !== it.interval.start && <> to <Instant at={it.interval.end} seconds={false} /></>}</Fact>}
            {it.delivery && <Fact name="Ledger"><Link to={`/effects?delivery=${part(it.delivery)}`}>delivery {it.delivery}</Link></Fact>}
          </div>
          {it.plan && <Planned plan={it.plan} />}
          {it.decided && <p><b>Why a person is asked:</b> {it.decided}</p>}
          {it.issues.length > 0 && (
            <Table
              label={`What approval ${approval} is asked for`} rows={it.issues} id={(each) => each.upstream + each.requirement}
              columns={[
                { name: 'Upstream', cell: (each) => <Link to={asset(each.upstream)}>{each.upstream}</Link> },
                { name: 'Asked', cell: (each) => each.requirement },
                { name: 'Seen', cell: (each) => each.observed },
                { name: 'Severity', cell: (each) => each.severity, wide: true },
              ]}
            />
          )}
          {it.results.map((each) => (
            <div key={each.task}>
              <h3>{run ? <Link to={`/runs/${part(run)}/t/${part(each.task)}`}>{each.task}</Link> : each.task} <State of={each.state} /></h3>
              {each.value === null ? <p class="dim">It has returned nothing.</p> : <pre tabIndex={0} aria-label={`Result of ${each.task}`}>{pretty(each.value)}{!each.whole && ' …'}</pre>}
            </div>
          ))}
          {it.versions.length > 0 && (
            <Table
              label={`Versions of approval ${approval}`} rows={it.versions} id={(each) => each.version}
              columns={[
                { name: 'Asset', cell: (each) => <Link to={asset(each.asset)}>{each.asset}</Link> },
                { name: 'Version', cell: (each) => each.version },
                { name: 'Of', cell: (each) => <Instant at={each.interval.start} seconds={false} />, wide: true },
                { name: 'State', cell: (each) => <State of={each.state} /> },
              ]}
            />
          )}
          {!it.decided && it.results.length === 0 && it.versions.length === 0 && !it.plan && !it.delivery && <p class="dim">Nothing was made before it: there is only the question.</p>}
        </div>
      )}
    </Shown>
  )
}
