/** The same graph as a table, for whom a drawing says nothing. It is made when it is opened. */
import { useState } from 'preact/hooks'
import { Link, State, Table } from './basics'
import { stateOf, type GraphEdge, type GraphNode } from './graph'

export function GraphList({ nodes, edges, label, onChoose }: { nodes: readonly GraphNode[]; edges: readonly GraphEdge[]; label: string; onChoose?: ((id: string) => void) | undefined }) {
  const [opened, setOpened] = useState(false)
  return (
    <details class="graph-list" onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>As a list</summary>
      {opened && <Rows {...{ nodes, edges, label, onChoose }} />}
    </details>
  )
}

function Rows({ nodes, edges, label, onChoose }: { nodes: readonly GraphNode[]; edges: readonly GraphEdge[]; label: string; onChoose?: ((id: string) => void) | undefined }) {
  const names = new Map(nodes.map((node) => [node.id, node.label]))
  const above = new Map<string, string[]>()
  for (const [from, to, kind] of edges) above.set(to, [...(above.get(to) ?? []), `${names.get(from) ?? from}${kind ? ` (${kind})` : ''}`])
  return (
    <Table
      label={`${label}, as a list`} rows={nodes} id={(node) => node.id}
      columns={[
        { name: 'Name', cell: (node) => (node.to ? <Link to={node.to}>{node.label}</Link> : onChoose ? <button class="small" onClick={() => onChoose(node.id)}>{node.label}</button> : node.label) },
        { name: 'State', cell: (node) => <Stated node={node} /> },
        { name: 'Kind', cell: (node) => node.kind ?? '', wide: true },
        { name: 'After', cell: (node) => some(above.get(node.id) ?? []) },
      ]}
    />
  )
}

function Stated({ node }: { node: GraphNode }) {
  return <State of={stateOf(node)} />
}

const some = (names: string[]) => (names.length > 6 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} others` : names.join(', '))
