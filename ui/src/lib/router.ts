/** Where we are: the path below the base, and the query. Filters live in the query, so that every view has an address. */
import { computed, signal } from '@preact/signals'

const base = new URL(document.baseURI).pathname.replace(/\/$/, '')

const read = () => ({
  path: location.pathname.slice(base.length) || '/',
  query: new URLSearchParams(location.search),
})

export const here = signal(read())
export const path = computed(() => here.value.path)
export const query = computed(() => here.value.query)

/** An address of ours as the browser has it. */
export const href = (to: string) => base + to

export function go(to: string, how: 'push' | 'replace' = 'push') {
  const at = href(to)
  if (at === location.pathname + location.search) return
  history[how === 'push' ? 'pushState' : 'replaceState'](null, '', at)
  here.value = read()
  if (how === 'push') window.scrollTo(0, 0)
}

/** Change filters: a value of '' or null takes one out. */
export function filter(changes: Record<string, string | null | undefined>, how: 'push' | 'replace' = 'replace') {
  const next = new URLSearchParams(query.peek())
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value)
    else next.delete(name)
  }
  const text = next.toString()
  go(here.peek().path + (text ? `?${text}` : ''), how)
}

/** `/runs/:run` against a path: its names, or null. A last `*` takes the rest. */
export function match(pattern: string, at: string): Record<string, string> | null {
  const wanted = pattern.split('/')
  const found = at.split('/')
  const names: Record<string, string> = {}
  for (const [i, part] of wanted.entries()) {
    if (part.startsWith('*')) {
      names[part.slice(1)] = decode(found.slice(i).join('/'))
      return found.length > i ? names : null
    }
    const there = found[i]
    if (there === undefined || (part.startsWith(':') ? there === '' : part !== there)) return null
    if (part.startsWith(':')) names[part.slice(1)] = decode(there)
  }
  return wanted.length === found.length ? names : null
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** One part of a path. */
export const part = (value: string | number) => encodeURIComponent(String(value))

export function listen() {
  addEventListener('popstate', () => (here.value = read()))
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element | null)?.closest?.('a')
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return
    if (!link.pathname.startsWith(base + '/') || link.pathname.startsWith(base + '/api/')) return
    event.preventDefault()
    go(link.pathname.slice(base.length) + link.search)
  })
}
