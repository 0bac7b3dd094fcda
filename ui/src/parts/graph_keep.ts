/** Layouts: made by a worker, kept in this browser under the fingerprint of what was laid out. */
import { script } from '../lib/trusted'
import { fingerprint, type Layout, type Structure } from './graph_layout'
import address from './graph_worker?worker&url'

const MOST = 200
const wanted = new Map<string, ((layout: Layout) => void)[]>()
const near = new Map<string, Layout>()
let worker: Worker | null = null

export async function layoutOf(structure: Structure): Promise<Layout> {
  const key = fingerprint(structure)
  const found = near.get(key) ?? (await kept(key))
  // a fingerprint may be that of another: then the names differ
  if (found && found.ids.length === structure.ids.length && found.ids.every((id, i) => id === structure.ids[i]) && found.lines.length === structure.edges.length) {
    near.set(key, found)
    return found
  }
  const made = await make(key, structure)
  near.set(key, made)
  void keep(key, made)
  return made
}

function make(key: string, structure: Structure): Promise<Layout> {
  if (!worker) {
    worker = new Worker(script(address), { type: 'module' })
    worker.addEventListener('message', ({ data }: MessageEvent<{ key: string; layout: Layout }>) => {
      for (const each of wanted.get(data.key) ?? []) each(data.layout)
      wanted.delete(data.key)
    })
  }
  return new Promise((resolve) => {
    const there = wanted.get(key)
    if (there) there.push(resolve)
    else {
      wanted.set(key, [resolve])
      worker!.postMessage({ key, structure })
    }
  })
}

// --- what the browser keeps; where it keeps nothing (a private window), each is made anew

let opened: Promise<IDBDatabase | null> | null = null

function database(): Promise<IDBDatabase | null> {
  opened ??= new Promise((resolve) => {
    if (!('indexedDB' in globalThis)) return resolve(null)
    const asked = indexedDB.open('bide', 1)
    asked.onupgradeneeded = () => asked.result.createObjectStore('layouts')
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = asked.onblocked = () => resolve(null)
  })
  return opened
}

async function kept(key: string): Promise<Layout | undefined> {
  const db = await database()
  if (!db) return undefined
  return new Promise((resolve) => {
    const asked = db.transaction('layouts').objectStore('layouts').get(key)
    asked.onsuccess = () => resolve(asked.result as Layout | undefined)
    asked.onerror = () => resolve(undefined)
  })
}

async function keep(key: string, layout: Layout) {
  const db = await database()
  if (!db) return
  const store = db.transaction('layouts', 'readwrite').objectStore('layouts')
  const counted = store.count()
  counted.onsuccess = () => {
    if (counted.result >= MOST) store.clear()
    store.put(layout, key)
  }
}
