import { beforeEach, expect, test, vi } from 'vitest'

beforeEach(() => {
  vi.resetModules()
  vi.stubGlobal('document', { baseURI: 'http://localhost/bide/' })
  vi.stubGlobal('location', { pathname: '/bide/runs/7', search: '?state=failed' })
})

test('a pattern names the parts of a path, and a star takes the rest', async () => {
  const { match } = await import('../src/lib/router')
  expect(match('/runs/:run', '/runs/7')).toEqual({ run: '7' })
  expect(match('/runs/:run', '/runs')).toBeNull()
  expect(match('/runs/:run', '/runs/')).toBeNull()
  expect(match('/runs', '/runs/7')).toBeNull()
  expect(match('/assets/*asset', '/assets/a/b%20c')).toEqual({ asset: 'a/b c' })
  expect(match('/dags/:dag', '/dags/%E0')).toEqual({ dag: '%E0' })
})

test('where we are is read below the base, and addresses are made above it', async () => {
  const { here, href } = await import('../src/lib/router')
  expect(here.value.path).toBe('/runs/7')
  expect(here.value.query.get('state')).toBe('failed')
  expect(href('/waits')).toBe('/bide/waits')
})
