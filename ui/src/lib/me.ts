/** The name under which somebody decides in this browser: what was said last is offered again. */
const KEY = 'bide.me'
export const me = (): string => localStorage.getItem(KEY) ?? ''
export const iAm = (name: string) => localStorage.setItem(KEY, name)
