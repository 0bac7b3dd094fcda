import { expect, test } from 'vitest'
import { CSV, csv, whereTo } from '../src/lib/audit'

test('what a command was about leads there', () => {
  expect(whereTo('run 12')).toBe('/runs/12')
  expect(whereTo('run 12/load[3]')).toBe('/runs/12/t/load%5B3%5D')
  expect(whereTo('dag a/b')).toBe('/dags/a%2Fb')
  expect(whereTo('token ann')).toBe('')
  expect(whereTo('')).toBe('')
})

test('values that a spreadsheet would take for a formula, quotes and lines are kept as text', () => {
  const line = { id: '1', at: '2026-06-15T00:00:00Z', who: '=HYPERLINK("x")', via: 'http', address: '', verb: 'mark', target: 'run 1', args: { a: 'b,c' } as never, outcome: 'ok', message: 'two\nlines' } as const
  expect(csv(CSV, [line])).toBe('id,at,who,via,address,verb,target,args,outcome,message\r\n1,2026-06-15T00:00:00Z,"\'=HYPERLINK(""x"")",http,,mark,run 1,"{""a"":""b,c""}",ok,"two\nlines"\r\n')
})
