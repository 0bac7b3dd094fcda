/** What a DAG was and is: its versions, what differs between two of them, and one of them as it is written down. */
import './dag_versions.css'
import { useMemo } from 'preact/hooks'
import { useGet, usePages } from '../api/query'
import type { components } from '../api/schema'
import { compare, written } from '../lib/compare'
import { filter, part, query } from '../lib/router'
import { instant } from '../lib/time'
import { Copy } from '../parts/action'
import { Ago, Empty, Link, Panel, Shown } from '../parts/basics'
import { VersionsCode } from './dag_code'

type Line = components['schemas']['GraphVersionLine']

export function DagVersions({ dag }: { dag: string }) {
  const versions = usePages('/api/v1/dags/{dag}/versions', { names: { dag }, query: { limit: 100 }, on: (event) => event.dag === dag && event.kind === 'dag' })
  return (
    <Shown of={versions}>
      {(all) => {
        if (all.length === 0) return <Empty title="No version yet">A DAG has its first version once its file is loaded.</Empty>
        const current = all.find((each) => each.current) ?? all[0]!
        const now = all.find((each) => each.version === query.value.get('now')) ?? current
        const place = all.indexOf(now)
        const was = all.find((each) => each.version === query.value.get('was')) ?? all[place + 1]
        return (
          <>
            <Panel title="What has changed" side={all.length > 1 && (
              <div class="chosen-code">
                <Pick label="From" all={all} value={was?.version ?? ''} onChange={(was) => filter({ was })} />
                <Pick label="To" all={all} value={now.version} onChange={(now) => filter({ now })} />
                {versions.more.value && <button class="small" onClick={versions.next}>Older</button>}
              </div>
            )}>
              {was ? <GraphDiff dag={dag} was={was.version} now={now.version} /> : <Empty title="It was never otherwise">The graph has one version, <Ago at={now.created_at} />. Each change of a task, a parameter or an option makes another.</Empty>}
            </Panel>
            {was && <VersionsCode dag={dag} was={was.version} now={now.version} />}
            <Written dag={dag} line={now} />
          </>
        )
      }}
    </Shown>
  )
}

function Pick({ label, all, value, onChange }: { label: string; all: readonly Line[]; value: string; onChange: (version: string) => void }) {
  return (
    <label>{label} <select aria-label={`${label} version`} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {all.map((each) => <option key={each.version} value={each.version}>{`${each.version} · ${instant(each.created_at, false)} · ${each.hash.slice(0, 8)}${each.current ? ' (current)' : ''}`}</option>)}
    </select></label>
  )
}

const SIGNS = { added: ['good', 'added'], removed: ['bad', 'removed'], changed: ['busy', 'changed'] } as const

export function GraphDiff({ dag, was, now }: { dag: string; was: string; now: string }) {
  const before = useGet('/api/v1/dags/{dag}/versions/{version}', { names: { dag, version: was } })
  const after = useGet('/api/v1/dags/{dag}/versions/{version}', { names: { dag, version: now } })
  const found = useMemo(() => (before.data.value && after.data.value ? compare(before.data.value.graph, after.data.value.graph) : null), [before.data.value, after.data.value])
  if (!found) return <Shown of={before}>{() => <Shown of={after}>{() => null}</Shown>}</Shown>
  if (found.length === 0) return <Empty title="The two are the same" />
  return (
    <div class="diff">
      {found.map((each) => (
        <section key={each.name}>
          <h3><span class={`state ${SIGNS[each.kind][0]}`}>{SIGNS[each.kind][1]}</span>{each.name ? `task ${each.name}` : 'the DAG itself'}</h3>
          {each.fields.map((field) => (
            <div key={field.path}>
              {field.was !== null && <pre class="was">- {field.path}: {field.was}</pre>}
              {field.now !== null && <pre class="now">+ {field.path}: {field.now}</pre>}
            </div>
          ))}
        </section>
      ))}
    </div>
  )
}

function Written({ dag, line }: { dag: string; line: Line }) {
  const shown = useGet('/api/v1/dags/{dag}/versions/{version}', { names: { dag, version: line.version } })
  return (
    <Shown of={shown}>
      {(found) => {
        const text = written(found.graph)
        return (
          <Panel title={`Version ${line.version}${line.current ? ', the current one' : ''}`} side={<Copy text={text} />}>
            <p class="dim">The graph as bide keeps it, <span class="mono path">{line.hash}</span>: what is not as its default. A version holds what was declared; the bodies of tasks stand under <Link to={`/dags/${part(dag)}?view=code`}>Code</Link>.</p>
            <pre class="written" tabIndex={0} aria-label="The graph of this version">{text}</pre>
          </Panel>
        )
      }}
    </Shown>
  )
}
