/** What the form of a backfill says, as the request that is planned and as the words of the terminal. The form stands in the address. */
import { word } from './words'

export interface Request {
  dag: string
  from: string
  to: string
  every: string | null
  order: string
  max_active: number | null
  overwrite: string
  weight: number
  tasks: string[]
  params: Record<string, unknown>
  asset_caps: Record<string, number>
}

export interface Property { type?: string | string[]; default?: unknown; description?: string; enum?: unknown[] }

/** What is typed for a parameter, as its schema has it; what is no value of that kind goes as text, and is refused in words. */
export function readParam(text: string, property: Property): unknown {
  const kinds = ([] as string[]).concat(property.type ?? [])
  if (text === '' && kinds.includes('null')) return null
  if (kinds.includes('boolean') && (text === 'true' || text === 'false')) return text === 'true'
  if ((kinds.includes('integer') || kinds.includes('number')) && text.trim() !== '' && Number.isFinite(Number(text))) return Number(text)
  if (kinds.length === 0 || kinds.includes('object') || kinds.includes('array')) {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }
  return text
}

/** The request of an address: `plan`, `from`, `to`, ..., the parameters as `p.NAME`. */
export function request(query: URLSearchParams, properties: Record<string, Property> = {}): Request {
  const said = (name: string) => query.get(name) ?? ''
  const whole = (name: string) => (/^\d{1,9}$/.test(said(name)) ? Number(said(name)) : null)
  const date = (name: string) => said(name) + (said(`${name}_at`) && `T${said(`${name}_at`)}`)
  const list = (name: string) => said(name).split(',').map((each) => each.trim()).filter(Boolean)
  const params: Record<string, unknown> = {}
  for (const [key, value] of query) if (key.startsWith('p.')) params[key.slice(2)] = readParam(value, properties[key.slice(2)] ?? {})
  const caps: Record<string, number> = {}
  for (const each of list('caps')) {
    const at = each.lastIndexOf('=')
    if (at > 0) caps[each.slice(0, at)] = Number(each.slice(at + 1)) || 0
  }
  return {
    dag: said('plan'), from: date('from'), to: date('to'), every: said('every') || null, order: said('order') || 'oldest', max_active: whole('at_once'),
    overwrite: said('overwrite') || 'skip', weight: whole('weight') ?? 1, tasks: list('tasks'), params, asset_caps: caps,
  }
}

/** The same in the terminal: `plan`, or `start` with the hash of a plan. */
export function command(of: Request, hash?: string): string {
  const words = ['bide', 'backfill', hash ? 'start' : 'plan', word(of.dag || 'DAG'), '--from', word(of.from || 'DATE'), '--to', word(of.to || 'DATE')]
  if (of.every) words.push('--every', word(of.every))
  if (of.order !== 'oldest') words.push('--order', of.order)
  if (of.max_active !== null) words.push('--max-active', String(of.max_active))
  if (of.overwrite !== 'skip') words.push('--overwrite', of.overwrite)
  if (of.weight !== 1) words.push('--weight', String(of.weight))
  for (const task of of.tasks) words.push('--task', word(task))
  for (const [name, value] of Object.entries(of.params)) words.push('--param', word(`${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`))
  for (const [asset, cap] of Object.entries(of.asset_caps)) words.push('--asset-cap', word(`${asset}=${cap}`))
  if (hash) words.push('--hash', hash)
  return words.join(' ')
}

/** A count with its noun: `1 run`, `3 runs`. */
export const several = (count: number, one: string, many = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`
