import { describe, expect, it } from 'vitest'
import { short, split, without } from '../src/screens/waits_words'

describe('what is waited for', () => {
  it('is shown without what its group says of it', () => {
    expect(short('object s3://landing/inbox/a.csv', 'object', 'object s3://landing {"region":"eu"}')).toBe('/inbox/a.csv')
    expect(short('http GET http://rates.example/v2/eur', 'http', 'http http://rates.example')).toBe('GET /v2/eur')
    expect(short('file /srv/drop/a.csv', 'file', 'file')).toBe('/srv/drop/a.csv')
    expect(short('files of a kind', 'file', 'file')).toBe('files of a kind')
    expect(short('nothing at s3://landing/inbox/a.csv', undefined, 'object s3://landing')).toBe('nothing at /inbox/a.csv')
    expect(short('asset s3://landing', 'asset', 'engine')).toBe('s3://landing')
  })

  it('is not said again by the answer right below it', () => {
    expect(without('nothing at /inbox/a.csv', '/inbox/a.csv')).toBe('nothing there')
    expect(without('/inbox/a.csv is there, 0 bytes', '/inbox/a.csv')).toBe('it is there, 0 bytes')
    expect(without('not yet', '')).toBe('not yet')
  })

  it('has a count, what for, and how it is seen', () => {
    expect(split('4,000 waits for GET http://x: one request every 30s')).toEqual(['4,000 waits', ' for GET http://x', 'one request every 30s'])
    expect(split('1 wait for 2026-12-01T06:00:00+00:00: one timer for all')).toEqual(['1 wait', ' for 2026-12-01T06:00:00+00:00', 'one timer for all'])
  })
})
