/** A graph of tasks or assets with their states as they are now: layers from left to right, moved by pointer, wheel or keys. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { ReadonlySignal } from '@preact/signals'
import { go } from '../lib/router'
import { state as known, URGENCY, type Family } from '../lib/states'
import { CROWD, fold, groups, MANY, nearby, step, type Part } from './graph_fold'
import { layoutOf } from './graph_keep'
import { curve, HEIGHT, WIDTH, type Layout } from './graph_layout'
import { GraphList } from './graph_list'
import { useView } from './graph_view'
import './graph.css'

export interface GraphNode {
  id: string
  label: string
  group?: string
  /** Its word, or a signal of it: then a change draws this node alone. */
  state: string | ReadonlySignal<string>
  /** What it is, in a word: sensor, command, ... */
  kind?: string
  /** Where a list of the nodes leads, and what is opened where nothing chooses. */
  to?: string
}

/** From, to, and the kind of the edge, which becomes a class: `kind-...`. */
export type GraphEdge = readonly [string, string, string?]

export interface GraphShown {
  /** Of the structure: another id, another graph. */
  id: string
  nodes: readonly GraphNode[]
  edges: readonly GraphEdge[]
  label?: string
  chosen?: string | undefined
  onChoose?: (id: string) => void
  /** Nodes that stand out, with the edges between them: a critical path, a blast radius. */
  marked?: ReadonlySet<string> | undefined
}

export const stateOf = (node: GraphNode): string => (typeof node.state === 'string' ? node.state : node.state.value)

export function Graph({ id, nodes, edges, label = 'Graph', chosen, onChoose, marked }: GraphShown) {
  const whole = useMemo(() => ({ nodes, edges }), [nodes, edges])
  const known = useMemo(() => groups(whole), [id])
  const [closed, setClosed] = useState<ReadonlySet<string>>(() => new Set(nodes.length > CROWD ? known.keys() : []))
  const [around, setAround] = useState(false)
  const [steps, setSteps] = useState(2)
  const [focus, setFocus] = useState('')
  const part = useMemo(() => fold(whole, closed), [whole, closed])
  const only = around || part.shown.length > MANY
  const shown = useMemo(() => {
    if (!only) return part
    const wanted = part.shown.findIndex((each) => each.id === (chosen || focus) || each.members?.some((at) => nodes[at]!.id === chosen))
    return nearby(part, Math.max(0, wanted), steps)
  }, [part, only, steps, only ? chosen || focus : ''])
  const layout = useLayout(shown)
  const turn = (name: string) => {
    const next = new Set(closed)
    if (!next.delete(name)) next.add(name)
    setClosed(next)
  }
  return (
    <div class="graph">
      <div class="graph-tools">
        {known.size > 0 && <Groups all={known} closed={closed} turn={turn} set={setClosed} />}
        <label class="graph-around"><input type="checkbox" checked={only} disabled={part.shown.length > MANY} onChange={(event) => setAround(event.currentTarget.checked)} /> Only what is near</label>
        {only && (
          <label>Steps
            <select value={String(steps)} onChange={(event) => setSteps(Number(event.currentTarget.value))}>{[1, 2, 3, 5].map((count) => <option key={count}>{count}</option>)}</select>
          </label>
        )}
        <span class="dim graph-count">{shown.shown.length.toLocaleString()} of {nodes.length.toLocaleString()} shown</span>
      </div>
      {layout
        ? <Drawing {...{ part: layout.part, layout: layout.layout, nodes, chosen, marked, label, focus, setFocus, turn }} choose={onChoose ?? ((to) => { const at = nodes.find((node) => node.id === to)?.to; if (at) go(at) })} />
        : <div class="coming" aria-busy="true">Laying out {shown.shown.length.toLocaleString()} nodes</div>}
      <GraphList nodes={nodes} edges={edges} label={label} onChoose={onChoose} />
    </div>
  )
}

/** What is shown and where it stands; the last one stays until the next is there. */
function useLayout(part: Part): { part: Part; layout: Layout } | null {
  const [found, setFound] = useState<{ part: Part; layout: Layout } | null>(null)
  useEffect(() => {
    let wanted = true
    void layoutOf({ ids: part.shown.map((each) => each.id), edges: part.edges.map(({ from, to }) => [from, to]) }).then((layout) => wanted && setFound({ part, layout }))
    return () => void (wanted = false)
  }, [part])
  return found
}

function Groups({ all, closed, turn, set }: { all: Map<string, number>; closed: ReadonlySet<string>; turn: (name: string) => void; set: (closed: ReadonlySet<string>) => void }) {
  return (
    <>
      <div class="graph-groups" role="group" aria-label="Groups">
        {[...all].slice(0, 24).map(([name, count]) => (
          <button key={name} class="small" aria-expanded={!closed.has(name)} onClick={() => turn(name)}>{closed.has(name) ? '+' : '−'} {name} <span class="dim">{count}</span></button>
        ))}
      </div>
      <button class="small" onClick={() => set(closed.size ? new Set() : new Set(all.keys()))}>{closed.size ? 'Open all groups' : 'Close all groups'}</button>
    </>
  )
}

interface Drawn {
  part: Part
  layout: Layout
  nodes: readonly GraphNode[]
  chosen: string | undefined
  marked: ReadonlySet<string> | undefined
  label: string
  focus: string
  setFocus: (id: string) => void
  turn: (group: string) => void
  choose: (id: string) => void
}

function Drawing({ part, layout, nodes, chosen, marked, label, focus, setFocus, turn, choose }: Drawn) {
  const svg = useRef<SVGSVGElement>(null)
  const place = useRef<SVGGElement>(null)
  const view = useView(svg, place, layout)
  const wanted = useRef('')
  const at = Math.max(0, part.shown.findIndex((each) => each.id === (focus || chosen)))
  useLayoutEffect(() => {
    if (!wanted.current) return
    const id = wanted.current
    wanted.current = ''
    place.current?.querySelector<SVGGElement>(`[data-at="${part.shown.findIndex((each) => each.id === id)}"]`)?.focus({ preventScroll: true })
  })

  const activate = (i: number) => {
    const each = part.shown[i]!
    setFocus(each.id)
    if (each.members) turn(nodes[each.at]!.group!)
    else choose(each.id)
  }
  function key(event: KeyboardEvent, i: number) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === 'Enter' || event.key === ' ') activate(i)
    else if (event.key.startsWith('Arrow')) {
      const next = step(event.key, i, layout.at, part.edges)
      wanted.current = part.shown[next]!.id
      setFocus(wanted.current)
      view.show(layout.at[next]!)
    } else if (event.key === '+' || event.key === '-') view.zoom(event.key === '+' ? 1.25 : 0.8)
    else if (event.key === '0') view.fit()
    else return
    event.preventDefault()
  }

  const touched = chosen ? part.shown.findIndex((each) => each.id === chosen) : -1
  useEffect(() => {
    if (touched >= 0) view.show(layout.at[touched]!)
  }, [view, touched])
  const has = (i: number) => marked !== undefined && (part.shown[i]!.members ?? [part.shown[i]!.at]).some((each) => marked.has(nodes[each]!.id))
  const lines = useMemo(
    () => part.edges.map((edge, i) => {
      const near = edge.from === touched || edge.to === touched
      const words = ['edge', edge.kind && `kind-${edge.kind.replace(/[^\w-]/g, '-')}`, near && 'near', has(edge.from) && has(edge.to) && 'marked']
      return <path key={i} class={words.filter(Boolean).join(' ')} d={curve(layout.lines[i] ?? [])} />
    }),
    [part, layout, touched, marked],
  )
  const boxes = useMemo(
    () => part.shown.map((each, i) => {
      const [x, y] = layout.at[i] ?? [0, 0]
      const rest = { key: each.id, i, x, y, tab: i === at, marked: has(i), onKey: key, onOpen: activate, onFocus: () => setFocus(each.id) }
      return each.members ? <GroupBox {...rest} name={nodes[each.at]!.group!} members={each.members.map((member) => nodes[member]!)} /> : <Box {...rest} node={nodes[each.at]!} chosen={each.id === chosen} />
    }),
    [part, layout, nodes, chosen, marked, at],
  )
  return (
    <div class="graph-frame">
      <svg ref={svg} class="unplaced" role="group" aria-label={`${label}: arrow keys go along edges, + and - zoom, 0 fits`}>
        <g ref={place}>{lines}{boxes}</g>
      </svg>
      <div class="graph-zoom">
        <button class="small" onClick={() => view.zoom(1.25)} aria-label="Zoom in" title="Zoom in (+, or Ctrl and the wheel)">+</button>
        <button class="small" onClick={() => view.zoom(0.8)} aria-label="Zoom out" title="Zoom out (-)">−</button>
        <button class="small" onClick={() => view.fit()} title="Show all (0)">Fit</button>
      </div>
    </div>
  )
}

interface Placed {
  i: number
  x: number
  y: number
  tab: boolean
  marked: boolean
  onKey: (event: KeyboardEvent, i: number) => void
  onOpen: (i: number) => void
  onFocus: () => void
}

function place({ i, x, y, tab, onKey, onOpen, onFocus }: Placed) {
  return {
    role: 'button', tabIndex: tab ? 0 : -1, 'data-at': i, transform: `translate(${x - WIDTH / 2},${y - HEIGHT / 2})`,
    onKeyDown: (event: KeyboardEvent) => onKey(event, i), onClick: () => onOpen(i), onFocus,
  } as const
}

function Box({ node, chosen, ...at }: Placed & { node: GraphNode; chosen: boolean }) {
  const it = known(stateOf(node))
  return (
    <g {...place(at)} class={`node ${it.family}${chosen ? ' chosen' : ''}${at.marked ? ' marked' : ''}`} aria-label={`${node.label}: ${it.word}`} aria-pressed={chosen}>
      <title>{`${node.label}: ${it.word}`}</title>
      <rect width={WIDTH} height={HEIGHT} rx="7" />
      <path class="sign" d={it.sign} transform="translate(8,14)" />
      <text x="32" y="18" class="name">{short(node.label, 23)}</text>
      <text x="32" y="34" class="word">{it.word}{node.kind && !it.word.includes(node.kind) ? ` · ${short(node.kind, Math.max(6, 22 - it.word.length))}` : ''}</text>
    </g>
  )
}

function GroupBox({ name, members, ...at }: Placed & { name: string; members: GraphNode[] }) {
  const counts = new Map<string, number>()
  for (const each of members) counts.set(stateOf(each), (counts.get(stateOf(each)) ?? 0) + 1)
  const sorted = [...counts].sort(([a], [b]) => rank(a) - rank(b))
  const [worst, count] = sorted[0]!
  const it = known(worst)
  const said = sorted.map(([word, many]) => `${many} ${known(word).word}`).join(', ')
  let from = 0
  const parts = sorted.map(([word, many]) => {
    const wide = (many / members.length) * (WIDTH - 16)
    from += wide
    return <rect key={word} class={`share ${known(word).family satisfies Family}`} x={8 + from - wide} y={HEIGHT - 7} width={wide} height="4" />
  })
  return (
    <g {...place(at)} class={`node group ${it.family}${at.marked ? ' marked' : ''}`} aria-label={`group ${name}, ${members.length}: ${said}`} aria-expanded={false}>
      <title>{`${name}: ${said}. Opens the group.`}</title>
      <rect class="behind" x="5" y="5" width={WIDTH} height={HEIGHT} rx="7" />
      <rect width={WIDTH} height={HEIGHT} rx="7" />
      <path class="sign" d={it.sign} transform="translate(8,12)" />
      <text x="32" y="17" class="name">{short(name, 17)}</text>
      <text x={WIDTH - 9} y="17" class="count">{members.length.toLocaleString()}</text>
      <text x="32" y="32" class="word">{count < members.length ? `${count} ${it.word}` : `all ${it.word}`}</text>
      {parts}
    </g>
  )
}

const rank = (word: string) => (URGENCY.indexOf(word) + URGENCY.length + 1) % (URGENCY.length + 1)

/** Cut in the middle: the ends of names tell them apart. */
const short = (text: string, most: number) => (text.length <= most ? text : `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(text.length - Math.floor(most / 2))}`)
