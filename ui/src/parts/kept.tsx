/** Filters that somebody keeps under a name, in this browser: each is an address of the screen where it was kept. */
import { useState } from 'preact/hooks'
import { signal } from '@preact/signals'
import { path, query } from '../lib/router'
import { Link } from './basics'
import './kept.css'

const KEY = 'bide.kept'
const MOST = 20
type Kept = Record<string, [name: string, search: string][]>

const kept = signal<Kept>(read())

function read(): Kept {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Kept
  } catch {
    return {}
  }
}

function keep(screen: string, views: [string, string][]) {
  kept.value = { ...kept.value, [screen]: views }
  localStorage.setItem(KEY, JSON.stringify(kept.value))
}

/** Those of this screen, and a way to keep what is filtered now. */
export function KeptFilters() {
  const [naming, setNaming] = useState<string | null>(null)
  const screen = path.value
  const search = new URLSearchParams([...query.value].filter(([name]) => name !== 'open')).toString()
  const mine = kept.value[screen] ?? []
  const known = mine.some(([, each]) => each === search)
  if (mine.length === 0 && !search) return null
  const save = (event: SubmitEvent) => {
    event.preventDefault()
    const name = naming?.trim()
    if (name) keep(screen, [...mine.filter(([each]) => each !== name), [name, search] as [string, string]].slice(-MOST))
    setNaming(null)
  }
  return (
    <div class="kept" role="group" aria-label="Kept filters">
      {mine.map(([name, each]) => (
        <span key={name} class={each === search ? 'kept-one now' : 'kept-one'}>
          <Link to={`${screen}?${each}`} {...(each === search && { 'aria-current': 'page' as const })}>{name}</Link>
          <button class="small" aria-label={`Forget ${name}`} title="Forget it" onClick={() => keep(screen, mine.filter(([other]) => other !== name))}>×</button>
        </span>
      ))}
      {search && !known && (naming === null
        ? <button class="small" onClick={() => setNaming('')}>Keep this filter</button>
        : <form onSubmit={save}><input autofocus aria-label="Name of this filter" placeholder="Its name" maxLength={40} value={naming} onInput={(event) => setNaming(event.currentTarget.value)} onKeyDown={(event) => event.key === 'Escape' && setNaming(null)} /> <button class="small">Keep</button></form>)}
    </div>
  )
}
