/** A JSON value that opens and closes: objects and lists as what can be unfolded, all else as text. */
import './json.css'

const WIDE = 60
const OPEN = 12
const MOST = 200

export function Json({ of, deep = 0 }: { of: unknown; deep?: number }) {
  if (typeof of !== 'object' || of === null) return <code class="json-leaf">{JSON.stringify(of)}</code>
  const inline = JSON.stringify(of)
  if (inline.length <= WIDE) return <code class="json-leaf">{inline}</code>
  const list = Array.isArray(of)
  const items: [string, unknown][] = Object.entries(of)
  return (
    <details class="json-part" open={deep < 2 && items.length <= OPEN}>
      <summary>{list ? `a list of ${items.length.toLocaleString()}` : `${items.length.toLocaleString()} ${items.length === 1 ? 'name' : 'names'}`}</summary>
      <ul>
        {items.slice(0, MOST).map(([name, value]) => <li key={name}><span class="json-name">{name}</span> <Json of={value} deep={deep + 1} /></li>)}
        {items.length > MOST && <li class="dim">and {(items.length - MOST).toLocaleString()} more: Copy has all</li>}
      </ul>
    </details>
  )
}
