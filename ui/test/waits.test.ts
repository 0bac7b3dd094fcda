import { describe, expect, it } from 'vitest'
import { offsets, ordered, rowAt, seated, type Place } from '../src/parts/virtual'
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

describe('a long list', () => {
  const names = (places: Place[]) => places.map(({ key, name }) => `${key}${name}`).join(' ')
  const first = seated([], [...'abcd'], false)

  it('has rows where those before them end', () => {
    expect(offsets([66, 48, 48])).toEqual([0, 66, 114, 162])
    expect([-5, 0, 65, 66, 113, 114, 999].map((y) => rowAt([0, 66, 114, 162], y))).toEqual([0, 0, 0, 1, 1, 2, 2])
    expect(rowAt([0], 10)).toBe(0)
  })

  it('writes rows that come into the places of those that have gone, and moves none', () => {
    expect(names(first)).toBe('0a 1b 2c 3d')
    expect(names(seated(first, [...'cdef'], true))).toBe('0e 1f 2c 3d')
    expect(names(seated(first, [...'cdefg'], true))).toBe('0e 1f 2c 3d 4g')
    expect(names(seated(first, [...'wxyz'], true))).toBe('0w 1x 2y 3z')
  })

  it('keeps a place that nothing takes only as long as it is said to', () => {
    expect(names(seated(first, [...'cde'], true))).toBe('0e 1b 2c 3d')
    expect(names(seated(first, [...'cde'], false))).toBe('0e 2c 3d')
    expect(names(seated(seated(first, [...'cd'], false), [...'cdxy'], false))).toBe('2c 3d 4x 5y')
  })

  it('stands in the order in which it is read, each row in the place that it has', () => {
    expect(names(ordered(seated(first, [...'cdef'], false), [...'cdef']))).toBe('2c 3d 0e 1f')
  })
})
