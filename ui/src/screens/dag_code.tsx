/** The text that a DAG was loaded with: the newest or an older one, and what has changed from one to another. */
import { useGet, usePages } from '../api/query'
import type { components } from '../api/schema'
import { filter, part, query } from '../lib/router'
import { instant } from '../lib/time'
import { Copy } from '../parts/action'
import { Ago, Choice, Empty, Fact, Link, Panel, Shown } from '../parts/basics'
import { Code, CodeDiff } from '../parts/code'
import { GraphDiff } from './dag_versions'

type Line = components['schemas']['CodeLine']

const WAYS: [string, string][] = [['', 'Unified'], ['side', 'Side by side']]

export function DagCode({ dag }: { dag: string }) {
  const loads = usePages('/api/v1/dags/{dag}/code', { names: { dag }, query: { limit: 100 }, on: (event) => event.dag === dag && event.kind === 'dag' })
  return (
    <Shown of={loads}>
      {(all) => {
        if (all.length === 0) return <Panel title="Code"><Empty title="No text of it is kept">The text of a DAG is that of the file that bide read it from. What a program gave to its runtime has none, nor has what was loaded last by a bide that kept none: <code>bide serve FILE</code> keeps it from its next load on.</Empty></Panel>
        const wanted = query.value.get('code')
        const now = all.find((each) => each.code === wanted)
        const shown = now?.code ?? wanted ?? all[0]!.code
        const was = all.find((each) => each.code === query.value.get('from')) ?? all.find((each) => Number(each.code) < Number(shown))
        return (
          <>
            <Text dag={dag} code={shown} all={all} more={loads.more.value ? loads.next : null} />
            <Panel title="What has changed" side={all.length > 1 && (
              <div class="chosen-code">
                {was && <Pick label="Since" all={all.filter((each) => each.code !== shown)} value={was.code} onChange={(from) => filter({ from })} />}
                <Ways />
              </div>
            )}>
              {was ? <Changes dag={dag} was={was.code} now={shown} /> : <Empty title="It was never otherwise">No other text or graph was loaded before this one. Each load that brings another is kept, as long as a run of its time is.</Empty>}
            </Panel>
          </>
        )
      }}
    </Shown>
  )
}

function Pick({ label, all, value, onChange }: { label: string; all: readonly Line[]; value: string; onChange: (code: string) => void }) {
  return (
    <label>{label} <select aria-label={`${label} code`} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {!all.some((each) => each.code === value) && <option value={value}>{value}</option>}
      {all.map((each) => <option key={each.code} value={each.code}>{`${each.code} · ${instant(each.loaded_at, false)} · version ${each.version}${each.current ? ' (current)' : ''}`}</option>)}
    </select></label>
  )
}

export function Ways() {
  return <Choice label="Shown as" value={query.value.get('as') ?? ''} options={WAYS} onChange={(as) => filter({ as })} />
}

function Text({ dag, code, all, more }: { dag: string; code: string; all: readonly Line[]; more: (() => void) | null }) {
  const asked = useGet('/api/v1/dags/{dag}/code/{code}', { names: { dag, code }, on: (event) => event.dag === dag && event.kind === 'dag' })
  const text = asked.data.value?.text
  return (
    <Panel title="Code" side={
      <div class="chosen-code">
        <Pick label="Loaded" all={all} value={code} onChange={(chosen) => filter({ code: chosen, from: null })} />
        {more && <button class="small" onClick={more}>Older</button>}
        {text && <Copy text={text} />}
      </div>
    }>
      <Shown of={asked}>
        {(it) => (
          <>
            <div class="facts of-code">
              <Fact name="loaded"><Ago at={it.loaded_at} /></Fact>
              <Fact name="version"><Link to={`/dags/${part(dag)}?view=versions&now=${it.version}`}>{it.version}</Link></Fact>
              {it.file && <Fact name="file"><span class="mono path">{it.file}</span></Fact>}
              {it.source && <Fact name="SHA-256"><span class="mono" title={it.source}>{it.source.slice(0, 12)}</span></Fact>}
              <span class="dim">{it.current ? 'What begins now runs with it.' : 'It was loaded then; what begins now runs with a newer one.'}</span>
            </div>
            {it.text === null ? <Empty title="Its text is not kept">{it.missing}</Empty> : <Code text={it.text} label={`Code ${code} of ${dag}`} />}
          </>
        )}
      </Shown>
    </Panel>
  )
}

function Changes({ dag, was, now }: { dag: string; was: string; now: string }) {
  const before = useGet('/api/v1/dags/{dag}/code/{code}', { names: { dag, code: was } })
  const after = useGet('/api/v1/dags/{dag}/code/{code}', { names: { dag, code: now } })
  const [a, b] = [before.data.value, after.data.value]
  if (!a || !b) return <Shown of={before}>{() => <Shown of={after}>{() => null}</Shown>}</Shown>
  const missing = [a, b].find((each) => each.text === null)
  return (
    <>
      {missing ? <Empty title={`The text of code ${missing.code} is not kept`}>{missing.missing}</Empty>
        : <CodeDiff was={a.text!} now={b.text!} label={`From code ${was} to ${now} of ${dag}`} beside={query.value.get('as') === 'side'} />}
      {a.hash === b.hash
        ? <p class="dim">The graph is the same in both: version {a.version}.</p>
        : <><h3>The graph: version {a.version} to {b.version}</h3><GraphDiff dag={dag} was={a.version} now={b.version} /></>}
    </>
  )
}

/** The newest texts of two versions of the graph, and what differs between them. */
export function VersionsCode({ dag, was, now }: { dag: string; was: string; now: string }) {
  const before = useGet('/api/v1/dags/{dag}/code', { names: { dag }, query: { version: was, limit: 1 } })
  const after = useGet('/api/v1/dags/{dag}/code', { names: { dag }, query: { version: now, limit: 1 } })
  const [a, b] = [before.data.value?.[0], after.data.value?.[0]]
  return (
    <Panel title="The code of the two" side={a && b && <div class="chosen-code"><Ways /><Link to={`/dags/${part(dag)}?view=code&code=${b.code}&from=${a.code}`}>All of it</Link></div>}>
      <Shown of={before}>
        {() => (
          <Shown of={after}>
            {() => a && b ? <Both dag={dag} was={a.code} now={b.code} /> : <Empty title="Their texts are not kept">The text of {a ? `version ${now}` : `version ${was}`} is not kept: it was loaded before bide kept texts, a program gave it, or it was made for a backfill.</Empty>}
          </Shown>
        )}
      </Shown>
    </Panel>
  )
}

function Both({ dag, was, now }: { dag: string; was: string; now: string }) {
  const before = useGet('/api/v1/dags/{dag}/code/{code}', { names: { dag, code: was } })
  const after = useGet('/api/v1/dags/{dag}/code/{code}', { names: { dag, code: now } })
  return (
    <Shown of={before}>
      {(a) => (
        <Shown of={after}>
          {(b) => a.text === null || b.text === null
            ? <Empty title="Their texts are not kept">{a.missing || b.missing}</Empty>
            : <CodeDiff was={a.text} now={b.text} label={`From code ${was} to ${now} of ${dag}`} beside={query.value.get('as') === 'side'} />}
        </Shown>
      )}
    </Shown>
  )
}
