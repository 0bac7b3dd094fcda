/** `/waits`, the waiting room: all that is waited for, in groups, with what is known of the looks at it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { signal } from '@preact/signals'
import { getAt, Problem, address } from '../api/client'
import { connection, subscribe } from '../api/feed'
import { useGet, usePages } from '../api/query'
import { filter, query } from '../lib/router'
import { Choice, Empty, Fact, Head, Shown } from '../parts/basics'
import { KeptFilters } from '../parts/kept'
import { Menu } from '../parts/menu'
import { Remaining } from '../parts/remaining'
import { Virtual } from '../parts/virtual'
import '../parts/virtual.css'
import './waits.css'
import { ofAll } from './waits_all'
import { GroupHead, type Group } from './waits_group'
import { Lines, type Line, type Order } from './waits_lines'
import { Row } from './waits_row'

type By = 'source' | 'what' | 'dag' | 'task'
const BY: [By, string][] = [['source', 'Source'], ['what', 'What'], ['dag', 'DAG'], ['task', 'Task']]
const ORDERS: [Order, string][] = [['deadline', 'Nearest deadline'], ['since', 'Waiting longest'], ['next', 'Next look'], ['trouble', 'Trouble first']]
/** With no more waits than this, all groups are open at first. */
const FEW = 40
const REFRESHED_MS = 2000

interface Head { id: string; group: Group; opened: boolean }
interface Note { id: string; text: string }
/** A wait stands for itself: as long as nothing else is known of it, it is the same row. */
type Item = Line | Head | Note

const narrow = signal(matchMedia('(max-width: 760px)').matches)
matchMedia('(max-width: 760px)').addEventListener('change', (change) => (narrow.value = change.matches))

export default function Waits() {
  const asked = query.value
  const by = (asked.get('by') as By | null) ?? 'source'
  const order = (asked.get('order') as Order | null) ?? 'deadline'
  const wanted = { dag: asked.get('dag') ?? '', kind: asked.get('kind') ?? '', text: asked.get('text') ?? '', troubled: asked.has('troubled') }
  const narrowed = Boolean(wanted.dag || wanted.kind || wanted.text || wanted.troubled)
  const of = { ...(wanted.dag && { dag: wanted.dag }), ...(wanted.kind && { kind: wanted.kind }), ...(wanted.text && { text: wanted.text }), ...(wanted.troubled && { troubled: true }) }
  const groups = usePages('/api/v1/wait-groups', { query: { by, ...of, limit: 500 }, on: (event) => event.kind === 'wait', every: REFRESHED_MS })
  return (
    <>
      <Shown of={groups}>
        {(found) => (
          <>
            <Sum groups={found} more={groups.more.value} of={of} />
            {(found.length > 0 || narrowed) && <Filters by={by} order={order} wanted={wanted} />}
            {(found.length > 0 || narrowed) && <KeptFilters />}
            {found.length === 0 ? <Nothing narrowed={narrowed} /> : <Room key={JSON.stringify([by, of])} groups={found} by={by} order={order} of={of} />}
            {groups.more.value && <button onClick={groups.next}>More groups</button>}
          </>
        )}
      </Shown>
    </>
  )
}

function Sum({ groups, more, of }: { groups: Group[]; more: boolean; of: object }) {
  const waits = groups.reduce((sum, group) => sum + group.waits, 0)
  const failing = groups.reduce((sum, group) => sum + group.failing, 0)
  const looks = groups.reduce((sum, group) => sum + (group.looks ?? 0), 0)
  const nearest = groups.reduce<Group | null>((found, group) => (group.deadline && (!found?.deadline || group.deadline < found.deadline) ? group : found), null)
  const many = `${waits.toLocaleString()}${more ? '+' : ''} ${waits === 1 ? 'wait' : 'waits'}`
  return (
    <Head title="Waiting room" actions={Object.keys(of).length > 0 && waits > 0 && <Menu label={`All that match: ${many}`} text={`All ${waits === 1 ? '1' : many.split(' ')[0]} that match`} of={ofAll(of, `${many} that the filters find`)} />}>
      {waits > 0 && <span class="sum"><b>{many.split(' ')[0]}</b> {waits === 1 ? 'waits' : 'wait'}, holding no slot</span>}
      {looks > 0 && <span class="sum"><b>{looks.toLocaleString()}</b> {looks === 1 ? 'look serves' : 'looks serve'} them</span>}
      {failing > 0 && <span class="state warned"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 2L14.5 13.5h-13zM8 6.5v3M8 11.6v.2" /></svg>{failing.toLocaleString()} {failing === 1 ? 'sees' : 'see'} nothing now</span>}
      {nearest?.deadline && nearest.deadline_since && <Fact name="Nearest deadline"><Remaining since={nearest.deadline_since} until={nearest.deadline} /></Fact>}
    </Head>
  )
}

function Filters({ by, order, wanted }: { by: By; order: Order; wanted: { dag: string; kind: string; text: string; troubled: boolean } }) {
  const dags = useGet('/api/v1/dags')
  const top = useGet('/api/v1/top')
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const kinds = Object.keys(top.data.value?.waits ?? {})
  return (
    <div class="filters waits-filters">
      <Choice label="Group by" value={by} options={BY} onChange={(chosen) => filter({ by: chosen === 'source' ? null : chosen, open: null })} />
      <select aria-label="Order" value={order} onChange={(event) => filter({ order: event.currentTarget.value === 'deadline' ? null : event.currentTarget.value })}>
        {ORDERS.map(([key, text]) => <option key={key} value={key}>{text}</option>)}
      </select>
      <select aria-label="DAG" value={wanted.dag} onChange={(event) => filter({ dag: event.currentTarget.value })}>
        <option value="">All DAGs</option>
        {dags.data.value?.map((each) => <option key={each.dag} value={each.dag}>{each.dag}</option>)}
      </select>
      <select aria-label="Kind" value={wanted.kind} onChange={(event) => filter({ kind: event.currentTarget.value })}>
        <option value="">All kinds</option>
        {[...new Set([...kinds, ...(wanted.kind ? [wanted.kind] : [])])].map((kind) => <option key={kind} value={kind}>{kind.replaceAll('_', ' ')}</option>)}
      </select>
      <label><input type="checkbox" checked={wanted.troubled} onChange={(event) => filter({ troubled: event.currentTarget.checked ? '1' : null })} /> In trouble</label>
      <input
        type="search" aria-label="Search in waits" placeholder="Search: path, URL, answer, run" value={wanted.text}
        onInput={(event) => {
          const text = event.currentTarget.value
          clearTimeout(timer.current)
          timer.current = setTimeout(() => filter({ text }), 250)
        }}
      />
    </div>
  )
}

function Nothing({ narrowed }: { narrowed: boolean }) {
  if (narrowed) return <Empty title="Nothing of that is waited for">Take a filter away to see more. <button onClick={() => filter({ dag: null, kind: null, text: null, troubled: null })}>Show all</button></Empty>
  return (
    <Empty title="Nobody waits">
      Sensors and <code>await ctx.wait(...)</code> wait here, without a slot, until what they wait for has come. A first one: <code>FileSensor("drop", path="/in/today.csv")</code> in a DAG, then <code>bide trigger DAG</code>.
    </Empty>
  )
}

/** Which groups are open stands in the address; as long as nothing is said, all are where there are few waits. */
function useOpened(groups: Group[]): [(key: string) => boolean, (key: string) => void] {
  const said = query.value.get('open')
  const opened = useMemo(() => (said === null ? null : new Set(said.split(',').filter(Boolean).map(decodeURIComponent))), [said])
  const few = groups.length === 1 || groups.reduce((sum, group) => sum + group.waits, 0) <= FEW
  const first = useRef(few)
  const is = (key: string) => (opened ? opened.has(key) : first.current)
  const toggle = (key: string) => {
    const next = new Set(groups.filter((group) => is(group.key)).map((group) => group.key))
    if (!next.delete(key)) next.add(key)
    filter({ open: [...next].map(encodeURIComponent).join(',') || ',' })
  }
  return [is, toggle]
}

function Room({ groups, by, order, of }: { groups: Group[]; by: By; order: Order; of: object }) {
  const [isOpen, toggle] = useOpened(groups)
  const known = useRef(new Map<string, Lines>())
  const [, again] = useState(0)
  const shown = useRef<readonly Item[]>([])
  const open = groups.filter((group) => isOpen(group.key)).map((group) => group.key)

  for (const key of open) if (!known.current.has(key)) known.current.set(key, new Lines({ ...of, ...common(by, key) }, order))
  for (const [key, lines] of known.current) {
    if (!open.includes(key)) {
      lines.end()
      known.current.delete(key)
    }
  }
  useEffect(() => known.current.forEach((lines) => lines.sort(order)), [order])
  useEffect(() => {
    const all = known.current
    const ends = [
      subscribe((events) => all.forEach((lines) => lines.heard(events))),
      connection.subscribe((now) => now === 'live' && all.forEach((lines) => void lines.load(true))),
      ...[setInterval(() => void refresh(shown.current, all), REFRESHED_MS)].map((timer) => () => clearInterval(timer)),
    ]
    again(1)
    return () => {
      ends.forEach((end) => end())
      all.forEach((lines) => lines.end())
      all.clear()
    }
  }, [])

  const items: Item[] = []
  const under: Under[] = []
  for (const group of groups) {
    const lines = known.current.get(group.key)
    items.push({ id: `g:${group.key}`, group, opened: lines !== undefined })
    if (!lines) continue
    under.push({ from: items.length, what: by !== 'what' && group.things > 1, trouble: group.trouble })
    for (const line of lines.rows.value) items.push(line)
    if (lines.error.value) items.push({ id: `e:${group.key}`, text: lines.error.value.detail })
    else if (lines.loading.value) items.push({ id: `l:${group.key}`, text: `Reading ${group.waits.toLocaleString()} waits` })
  }
  const toggles = useRef(toggle)
  toggles.current = toggle
  // the same for as long as groups are the same: then a row that is the same is not drawn anew
  const { draw, height } = useMemo(() => {
    const above = (at: number) => under.findLast((each) => each.from <= at)!
    return {
      draw: (item: Item, at: number) => {
        if ('group' in item) return <GroupHead group={item.group} of={{ ...of, ...common(by, item.group.key) }} opened={item.opened} onToggle={() => toggles.current(item.group.key)} />
        if ('text' in item) return <div class="note-line" role="cell">{item.text}</div>
        return <Row line={item} what={above(at).what} trouble={above(at).trouble} />
      },
      height: (item: Item, at: number) => {
        if ('text' in item) return 40
        if ('group' in item) return (narrow.value ? 146 : 66) + (item.group.failing ? (narrow.value ? 40 : 24) : 0)
        return narrow.value ? (above(at).what ? 132 : 112) : 48
      },
    }
  }, [JSON.stringify([by, of, under]), narrow.value])
  return (
    <>
    <div class="waits-heads dim" aria-hidden="true"><span>Who waits for what</span><span>What the last look saw</span><span>Next</span><span>Time left</span></div>
    <Virtual label="Waits" rows={items} id={name} height={height} onShown={(rows) => (shown.current = rows)}>{draw}</Virtual>
    </>
  )
}

/** From where on rows are waits of one group, and what its head says of all of them. */
interface Under { from: number; what: boolean; trouble: string }

const name = (item: Item) => item.id

/** What the waits of a group have in common, as a filter. */
function common(by: By, key: string): object {
  if (by === 'source') return { source: key }
  if (by === 'what') return { what: key }
  if (by === 'dag') return { dag: key }
  return { task: key }
}

/** What is known now of the looks at what is on the screen: no event tells it. */
async function refresh(shown: readonly Item[], all: Map<string, Lines>) {
  const ids = shown.flatMap((item) => ('group' in item || 'text' in item ? [] : [item.id]))
  if (!ids.length || document.visibilityState === 'hidden') return
  try {
    const found = (await getAt<Line[]>(address('/api/v1/waits', {}, { ids: ids.join(','), limit: ids.length }))).items
    const there = new Set(found.map((line) => line.id))
    for (const lines of all.values()) {
      lines.merge(found)
      const gone = ids.filter((id) => !there.has(id) && lines.has(id))
      if (gone.length) lines.drop(gone)
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error // the next refresh asks again
  }
}
