/** Who asks: a token from the address (`#token=...`, which no server sees) or typed in. It is kept in this browser only. */
import { signal } from '@preact/signals'

const KEY = 'bide.token'

function first(): string {
  const given = /^#token=([\w.-]+)$/.exec(location.hash)?.[1]
  if (given) {
    localStorage.setItem(KEY, given)
    history.replaceState(null, '', location.pathname + location.search)
    return given
  }
  return localStorage.getItem(KEY) ?? ''
}

export const token = signal(first())
/** Why nobody is let in, '' when somebody is. */
export const refused = signal('')

export function signIn(shown: string) {
  localStorage.setItem(KEY, shown)
  token.value = shown
  refused.value = ''
}

export function signOut() {
  localStorage.removeItem(KEY)
  token.value = ''
  refused.value = 'You have signed out.'
}

export const authorization = (): Record<string, string> => (token.peek() ? { authorization: `Bearer ${token.peek()}` } : {})
