import { expect, test } from 'vitest'
import { ANY, fieldsOf, paramsOf, said } from '../src/lib/params'

const SCHEMA = {
  properties: {
    region: { enum: ['eu', 'us'], default: 'eu' },
    often: { type: 'integer', minimum: 1, maximum: 9, default: 2 },
    share: { type: 'number' },
    deep: { type: 'object', default: {} },
    sure: { type: 'boolean', default: false },
    note: { type: ['string', 'null'], default: null },
    free: {},
  },
  required: ['share'],
}
const typed = (changes: Record<string, string>) => ({ ...Object.fromEntries(fieldsOf(SCHEMA).map((field) => [field.name, field.value ?? ''])), ...changes })

test('each parameter has its field, its default and its bounds', () => {
  const fields = Object.fromEntries(fieldsOf(SCHEMA).map((field) => [field.name, field]))
  expect(fields.region!.options).toEqual([['"eu"', 'eu'], ['"us"', 'us']])
  expect(fields.often).toMatchObject({ kind: 'number', value: '2', hint: 'a whole number; 1 to 9', needed: false })
  expect(fields.share).toMatchObject({ needed: true, value: '' })
  expect(fields.deep!.lines).toBe(3)
  expect(fields.sure!.kind).toBe('checkbox')
})

test('what was not touched is left out, what was typed has the type that is declared', () => {
  expect(paramsOf(SCHEMA, typed({ share: '0.5' }))).toEqual({ share: 0.5 })
  expect(paramsOf(SCHEMA, typed({ share: '1', region: '"us"', often: '3', deep: '{"a": [1]}', sure: 'true', note: 'x', free: '[1]' }))).toEqual({
    share: 1, region: 'us', often: 3, deep: { a: [1] }, sure: true, note: 'x', free: [1],
  })
  expect(paramsOf(SCHEMA, typed({ share: '1', free: 'plain' })).free).toBe('plain')
})

test('what cannot be read is one sentence', () => {
  expect(() => paramsOf(SCHEMA, typed({ share: 'much' }))).toThrow('share is "much", and must be a number.')
  expect(() => paramsOf(SCHEMA, typed({ share: '1', deep: '{' }))).toThrow('deep cannot be read as JSON')
  expect(() => paramsOf({}, { [ANY]: '[1]' })).toThrow('no object')
})

test('a DAG that declares none takes any', () => {
  expect(fieldsOf({})).toHaveLength(1)
  expect(paramsOf({}, { [ANY]: '' })).toEqual({})
  expect(paramsOf({}, { [ANY]: '{"a": 1}' })).toEqual({ a: 1 })
})

test('the form has what a run was made with, and gives exactly that again, as the terminal does', () => {
  const had = { region: 'us', often: 3, share: 0.5, deep: { a: [1] }, sure: true, note: 'one\ntwo', free: '7' }
  const filled = (schema: typeof SCHEMA) => Object.fromEntries(fieldsOf(schema, had).map((field) => [field.name, field.value ?? '']))
  expect(paramsOf(SCHEMA, filled(SCHEMA))).toEqual(had)
  expect(fieldsOf(SCHEMA, had).find((field) => field.name === 'note')!.lines).toBe(3)
  expect(paramsOf(SCHEMA, filled({ ...SCHEMA, properties: { ...SCHEMA.properties, note: { type: ['string', 'null'], default: 'x' } } as never })).note).toBe('one\ntwo')
  expect(paramsOf({}, { [ANY]: fieldsOf({}, had)[0]!.value! })).toEqual(had)
  expect(said(SCHEMA, had)).toEqual(['region=us', 'often=3', 'share=0.5', 'deep={"a":[1]}', 'sure=true', 'note=one\ntwo', 'free="7"'])
})
