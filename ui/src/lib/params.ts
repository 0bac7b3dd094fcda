/** A form made of the JSON Schema of a DAG's parameters, and what was typed into it as parameters again. */
import type { Field } from '../parts/action'

interface Schema {
  type?: string | string[]
  enum?: unknown[]
  default?: unknown
  description?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
  pattern?: string
}

export interface ParamsSchema { properties?: Record<string, Schema>; required?: string[]; additionalProperties?: boolean }

/** The name of the one field of a DAG that declares nothing and takes anything. */
export const ANY = '*'

const kinds = (schema: Schema): string[] => (schema.type === undefined ? [] : [schema.type].flat())
const nullable = (schema: Schema) => kinds(schema).includes('null') || schema.default === null
const kind = (schema: Schema) => kinds(schema).find((each) => each !== 'null') ?? ''
/** A value as it stands in its field. */
const shown = (value: unknown): string => (value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value))

/** Of no declared type what reads as JSON is JSON: a text that does so is written as one. */
const free = (value: unknown): string => (typeof value === 'string' && reads(value) ? JSON.stringify(value) : shown(value))

function reads(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** One field for each parameter, with its bounds in words; filled with the values of a run, where there is one. */
export function fieldsOf(schema: ParamsSchema, given: Record<string, unknown> = {}): Field[] {
  const properties = Object.entries(schema.properties ?? {})
  if (properties.length === 0) return [{ name: ANY, value: Object.keys(given).length ? JSON.stringify(given, null, 2) : '', label: 'Parameters', lines: 3, hint: 'An object as JSON, such as {"day": "2026-03-01"}: this DAG declares none and takes any.' }]
  return properties.map(([name, of]) => {
    const needed = (schema.required ?? []).includes(name)
    const it = kind(of)
    const field: Field = { name, label: name, value: shown(of.default), needed, hint: hint(of) }
    if (of.enum) field.options = [...(needed || !('default' in of) ? [['', ''] as [string, string]] : []), ...of.enum.map((each): [string, string] => [JSON.stringify(each), each === null ? 'null' : shown(each)])]
    else if (it === 'boolean' && !nullable(of) && 'default' in of) field.kind = 'checkbox'
    else if (it === 'boolean') field.options = [['', nullable(of) ? 'null' : ''], ['true', 'true'], ['false', 'false']]
    else if (it === 'integer') field.kind = 'number'
    else if (it === 'array' || it === 'object') field.lines = 3
    else if (it === 'string' && (of.maxLength ?? 0) > 120) field.lines = 3
    if (of.enum && 'default' in of) field.value = JSON.stringify(of.default)
    if (name in given) {
      field.value = of.enum ? JSON.stringify(given[name]) : it === '' ? free(given[name]) : shown(given[name])
      if (it === 'string' && field.value.includes('\n')) field.lines = 3  // a line takes none
    }
    return field
  })
}

/** What a parameter is, and its bounds, in words. */
export function hint(of: Schema): string {
  const words: string[] = []
  if (of.description) words.push(of.description)
  const it = kind(of)
  if (it === 'array') words.push('a list as JSON')
  else if (it === 'object') words.push('an object as JSON')
  else if (it === 'number') words.push('a number')
  else if (it === 'integer') words.push('a whole number')
  else if (it === '' && !of.enum) words.push('JSON, or a text')
  const [least, most] = [of.minimum ?? of.minLength ?? of.minItems, of.maximum ?? of.maxLength ?? of.maxItems]
  const unit = of.minLength !== undefined || of.maxLength !== undefined ? ' characters' : of.minItems !== undefined || of.maxItems !== undefined ? ' items' : ''
  if (least !== undefined && most !== undefined) words.push(`${least} to ${most}${unit}`)
  else if (least !== undefined) words.push(`${least}${unit} or more`)
  else if (most !== undefined) words.push(`${most}${unit} or fewer`)
  if (of.exclusiveMinimum !== undefined) words.push(`more than ${of.exclusiveMinimum}`)
  if (of.exclusiveMaximum !== undefined) words.push(`less than ${of.exclusiveMaximum}`)
  if (of.pattern !== undefined) words.push(`matches ${of.pattern}`)
  if (nullable(of)) words.push('empty: null')
  return words.join('; ')
}

/** What was typed, as parameters. What is as its default says is left out. Throws a sentence for what cannot be read. */
export function paramsOf(schema: ParamsSchema, values: Record<string, string>): Record<string, unknown> {
  const properties = Object.entries(schema.properties ?? {})
  if (properties.length === 0) {
    const text = (values[ANY] ?? '').trim()
    if (!text) return {}
    const found = json(text, 'The parameters')
    if (typeof found !== 'object' || found === null || Array.isArray(found)) throw new Error('The parameters are no object: write {"name": value}.')
    return found as Record<string, unknown>
  }
  const found: Record<string, unknown> = {}
  for (const [name, of] of properties) {
    const text = values[name] ?? ''
    const field = of.enum && 'default' in of ? JSON.stringify(of.default) : shown(of.default)
    if (text === field && ('default' in of || text === '')) continue
    found[name] = value(name, of, text)
  }
  return found
}

/** Parameters as the terminal takes them. */
export function said(schema: ParamsSchema, params: Record<string, unknown>): string[] {
  return Object.entries(params).map(([name, value]) => `${name}=${kind(schema.properties?.[name] ?? {}) === 'string' ? shown(value) : free(value)}`)
}

function value(name: string, of: Schema, text: string): unknown {
  const it = kind(of)
  if (of.enum) return text === '' ? null : JSON.parse(text)
  if (text === '' && nullable(of)) return null
  if (it === 'string') return text
  if (it === 'boolean') return text === 'true'
  if (it === 'integer' || it === 'number') {
    const number = Number(text)
    if (text.trim() === '' || Number.isNaN(number)) throw new Error(`${name} is "${text}", and must be a number.`)
    return number
  }
  if (it === '') {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }
  return json(text, name)
}

function json(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${what} cannot be read as JSON: ${(error as Error).message}.`)
  }
}
