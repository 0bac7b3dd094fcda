/** Which code a run ran with, in the facts of its page: it leads to the text. */
import { useGet } from '../api/query'
import { part } from '../lib/router'
import { instant } from '../lib/time'
import { Fact, Link } from '../parts/basics'

export function RunCode({ run, dag }: { run: string; dag: string }) {
  const asked = useGet('/api/v1/runs/{run}/code', { names: { run }, on: (event) => (event.run_id === run && event.kind === 'run') || (event.dag === dag && event.kind === 'dag') })
  const found = asked.data.value
  if (!found?.length) return null
  return (
    <Fact name="Code">
      {found.map((each, n) => <span key={each.code}>{n > 0 && ', then '}<Link to={`/dags/${part(dag)}?view=code&code=${each.code}`} title={`${each.file}, loaded ${instant(each.loaded_at)}`}>{each.source ? each.source.slice(0, 8) : `code ${each.code}`}</Link></span>)}
    </Fact>
  )
}
