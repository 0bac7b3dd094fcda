/** A graph of tasks or assets with their states as they are now: layers from left to right, moved by pointer, wheel or keys. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { computed, signal, type ReadonlySignal } from '@preact/signals'
import { go } from '../lib/router'
import { state as known, URGENCY, type Family } from '../lib/states'
import { CROWD, fold, groups, MANY, nearby, step, type Part } from './graph_fold'
import { layoutOf } from './graph_keep'
import { curve, HEIGHT, moved, WIDTH, type Layout } from './graph_layout'
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
  const seen = useMemo(() => ({ nodes: part.shown.map(() => signal(false)), far: signal(false) }), [layout])
  const view = useView(svg, place, layout, seen)
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

  function focused(event: FocusEvent, i: number) {
    setFocus(part.shown[i]!.id)
    if ((event.currentTarget as Element).matches(':focus-visible')) view.show(layout.at[i]!)
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
      const rest = { key: each.id, i, x: x - WIDTH / 2, y: y - HEIGHT / 2, seen: seen.nodes[i]!, far: seen.far, tab: i === at, marked: has(i), onKey: key, onOpen: activate, onFocus: focused }
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
  /** Its left upper corner. What it is made of stands at places of its own: a `transform` each would be a layer each to paint. */
  x: number
  y: number
  /** What is not seen is an empty place, and no change of its state is work. */
  seen: ReadonlySignal<boolean>
  /** From far off a node is its colour. */
  far: ReadonlySignal<boolean>
  tab: boolean
  marked: boolean
  onKey: (event: KeyboardEvent, i: number) => void
  onOpen: (i: number) => void
  onFocus: (event: FocusEvent, i: number) => void
}

function button({ i, tab, onKey, onOpen, onFocus }: Placed) {
  return {
    role: 'button', tabindex: tab ? 0 : -1, 'data-at': i,
    onKeyDown: (event: KeyboardEvent) => onKey(event, i), onClick: () => onOpen(i), onFocus: (event: FocusEvent) => onFocus(event, i),
  } as const
}

/** A change of its state goes straight to the attributes that tell it. */
function Box({ node, chosen, ...at }: Placed & { node: GraphNode; chosen: boolean }) {
  const [named, setNamed] = useState(false)
  const { x, y, marked, seen, far } = at
  const told = useMemo(() => {
    const it = computed(() => known(stateOf(node)))
    return {
      look: computed(() => `node ${it.value.family}${chosen ? ' chosen' : ''}${marked ? ' marked' : ''}`),
      label: computed(() => `${node.label}: ${it.value.word}`),
      sign: computed(() => moved(it.value.sign, x + 8, y + 14)),
      word: computed(() => said(it.value.word, node.kind)),
    }
  }, [node, chosen, marked, x, y])
  if (!seen.value) return <g {...button(at)} class="node" aria-label={node.label} />
  return (
    <g {...button(at)} class={told.look} aria-label={told.label} aria-pressed={chosen} onPointerEnter={() => setNamed(true)}>
      {named && <title>{told.label}</title>}
      <rect class="tint" x={x} y={y} width={WIDTH} height={HEIGHT} rx="7" />
      {!far.value && <path class="sign tint" d={told.sign} />}
      {!far.value && <text x={x + 32} y={y + 18} class="name">{short(node.label, 23)}</text>}
      {!far.value && <text x={x + 32} y={y + 34} class="word tint">{told.word}</text>}
    </g>
  )
}

function GroupBox({ name, members, ...at }: Placed & { name: string; members: GraphNode[] }) {
  const { x, y } = at
  if (!at.seen.value) return <g {...button(at)} class="node group" aria-label={`group ${name}`} />
  const counts = new Map<string, number>()
  for (const each of members) counts.set(stateOf(each), (counts.get(stateOf(each)) ?? 0) + 1)
  const sorted = [...counts].sort(([a], [b]) => rank(a) - rank(b))
  const [worst, count] = sorted[0]!
  const it = known(worst)
  const all = sorted.map(([word, many]) => `${many} ${known(word).word}`).join(', ')
  let from = 0
  const parts = sorted.map(([word, many]) => {
    const wide = (many / members.length) * (WIDTH - 16)
    from += wide
    return <rect key={word} class={`share ${known(word).family satisfies Family}`} x={x + 8 + from - wide} y={y + HEIGHT - 7} width={wide} height="4" />
  })
  return (
    <g {...button(at)} class={`node group ${it.family}${at.marked ? ' marked' : ''}`} aria-label={`group ${name}, ${members.length}: ${all}`} aria-expanded={false}>
      <title>{`${name}: ${all}. Opens the group.`}</title>
      <rect class="tint behind" x={x + 5} y={y + 5} width={WIDTH} height={HEIGHT} rx="7" />
      <rect class="tint" x={x} y={y} width={WIDTH} height={HEIGHT} rx="7" />
      <path class="sign tint" d={moved(it.sign, x + 8, y + 12)} />
      <text x={x + 32} y={y + 17} class="name">{short(name, 17)}</text>
      <text x={x + WIDTH - 9} y={y + 17} class="count">{members.length.toLocaleString()}</text>
      <text x={x + 32} y={y + 32} class="word tint">{count < members.length ? `${count} ${it.word}` : `all ${it.word}`}</text>
      {parts}
    </g>
  )
}

/** Its state, and what it is where there is room for that. */
const said = (word: string, kind = '') => (kind && !word.includes(kind) ? `${word} · ${short(kind, Math.max(6, 22 - word.length))}` : word)

const rank = (word: string) => (URGENCY.indexOf(word) + URGENCY.length + 1) % (URGENCY.length + 1)

/** Cut in the middle: the ends of names tell them apart. */
const short = (text: string, most: number) => (text.length <= most ? text : `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(text.length - Math.floor(most / 2))}`)
