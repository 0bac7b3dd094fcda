/** Which runs a filter of the address means, as the terminal says it. Pure. */
import { word } from './words'

export interface Where { dag?: string; state?: string; kind?: string; since?: string; until?: string }

const said = (where: Where): [string, string][] => Object.entries(where).filter((each): each is [string, string] => Boolean(each[1]))

/** `state=failed, dag=daily_*`; `all runs` without a filter. */
export const matching = (where: Where): string => said(where).map(([name, value]) => `${name}=${value}`).join(', ') || 'all runs'

/** The same for `--where`. */
export const flags = (where: Where): string => said(where).map(([name, value]) => ` --where ${word(`${name}=${value}`)}`).join('')
