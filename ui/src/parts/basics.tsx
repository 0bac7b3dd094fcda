/** The smallest parts that screens are made of. */
import { Fragment, type ComponentChildren } from 'preact'
import type { Asked } from '../api/query'
import type { Problem } from '../api/client'
import { href } from '../lib/router'
import { whole } from '../lib/sizes'
import { state } from '../lib/states'
import { ago, instant, zoneName } from '../lib/time'

/** A state: sign, word and colour. `bare`: the sign alone, its word for screen readers and pointers. */
export function State({ of, bare = false, count }: { of: string; bare?: boolean; count?: number }) {
  const it = state(of)
  return (
    <span class={`state ${it.family}`} title={bare ? it.word : undefined}>
      <svg viewBox="0 0 16 16" aria-hidden="true"><path d={it.sign} /></svg>
      {bare ? <span class="unseen">{it.word}</span> : it.word}
      {count === undefined ? null : <b>{whole(count)}</b>}
    </span>
  )
}

export function Link({ to, children, ...rest }: { to: string; children: ComponentChildren; class?: string; title?: string; 'aria-current'?: 'page' | undefined }) {
  return <a href={href(to)} {...rest}>{children}</a>
}

/** A name that is broken, where it has to be, behind its dots, lines and slashes. */
export function Name({ of }: { of: string }) {
  return <>{of.split(/(?<=[._/-])/).map((piece, i) => <Fragment key={i}>{i > 0 && <wbr />}{piece}</Fragment>)}</>
}

/** An instant, in the chosen zone; how long ago it is, for a pointer. */
export function Instant({ at, seconds = true }: { at: string | null | undefined; seconds?: boolean | 'ms' }) {
  if (!at) return <span class="dim">-</span>
  return <time dateTime={at} title={`${ago(at)} (${zoneName.value})`}>{instant(at, seconds)}</time>
}

/** How long ago, counting on; the instant for a pointer. */
export function Ago({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="dim">-</span>
  return <time dateTime={at} title={`${instant(at)} ${zoneName.value}`}>{ago(at)}</time>
}

export function Wrong({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <div class="wrong" role="alert">
      <strong>{problem.title}</strong>
      <p>{problem.detail}</p>
      {again && <button onClick={again}>Ask again</button>}
    </div>
  )
}

/** What stands where nothing is: why, and what would change it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="empty"><strong>{title}</strong>{children && <p>{children}</p>}</div>
}

/** An answer, when it is there; else that it comes, or why not. What was there stays while it is asked again. */
export function Shown<T>({ of, children }: { of: Asked<T>; children: (data: T) => ComponentChildren }) {
  const data = of.data.value
  const error = of.error.value
  if (data === undefined) return error ? <Wrong problem={error} again={of.again} /> : <div class="coming" aria-busy="true">Loading</div>
  return <>{error && <Wrong problem={error} again={of.again} />}{children(data)}</>
}

export function Panel({ title, id, side, children }: { title: ComponentChildren; id?: string; side?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="panel" id={id}>
      <header><h2>{title}</h2>{side && <div class="side">{side}</div>}</header>
      {children}
    </section>
  )
}

/** The head of a screen: where it stands, its name, and what can be done here. */
export function Head({ title, trail = [], children, actions }: { title: ComponentChildren; trail?: [string, string][]; children?: ComponentChildren; actions?: ComponentChildren }) {
  return (
    <header class="head">
      {trail.length > 0 && <nav aria-label="Where this is">{trail.map(([name, to]) => <span key={to}><Link to={to}>{name}</Link> / </span>)}</nav>}
      <div class="row"><h1>{title}</h1>{actions && <div class="actions">{actions}</div>}</div>
      {children && <div class="facts">{children}</div>}
    </header>
  )
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return <span class="fact"><span class="dim">{name}</span> {children}</span>
}

export interface Column<T> {
  name: string
  cell: (row: T) => ComponentChildren
  /** Numbers stand at the right. */
  right?: boolean
  /** Left out where there is little room. */
  wide?: boolean
}

export function Table<T>({ rows, columns, id, empty, label, chosen }: {
  rows: readonly T[]
  columns: Column<T>[]
  id: (row: T) => string
  label: string
  empty?: ComponentChildren
  chosen?: (row: T) => boolean
}) {
  if (rows.length === 0) return <>{empty ?? <Empty title="Nothing here" />}</>
  const kind = (column: Column<T>) => [column.right ? 'right' : '', column.wide ? 'wide' : ''].join(' ').trim() || undefined
  return (
    <div class="scrolls" tabIndex={0} role="region" aria-label={label}>
      <table aria-label={label}>
        <thead><tr>{columns.map((column) => <th key={column.name} scope="col" class={kind(column)}>{column.name}</th>)}</tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)} class={chosen?.(row) ? 'chosen' : undefined}>
              {columns.map((column) => <td key={column.name} class={kind(column)} data-name={column.name}>{column.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** A choice of few, as buttons; its value stands in the address. */
export function Choice({ label, value, options, onChange }: { label: string; value: string; options: [string, ComponentChildren][]; onChange: (value: string) => void }) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([key, text]) => <button key={key} aria-pressed={key === value} onClick={() => onChange(key)}>{text}</button>)}
    </div>
  )
}
