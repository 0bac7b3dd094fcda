/** Ctrl-K: go anywhere, find a DAG, run or asset by its name, do something to it, choose what holds for the page. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { signal } from '@preact/signals'
import { get } from '../api/client'
import { go, part } from '../lib/router'
import { zone } from '../lib/time'
import { MENU } from './screens'
import { theme } from './theme'
import { ofDags, ofRun, ofWaits, takenBack, type Entry } from './deeds'

const shown = signal(false)
export const showPalette = () => (shown.value = true)

export function listenForPalette() {
  addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      shown.value = !shown.value
    }
  })
}

const FIXED: Entry[] = [
  ...MENU.map(([to, text]) => ({ text, kind: 'screen', act: () => go(to) })),
  { text: 'Times in UTC', kind: 'choice', act: () => (zone.value = 'utc') },
  { text: 'Times in local zone', kind: 'choice', act: () => (zone.value = 'local') },
  { text: 'Times in the zone of the DAG', kind: 'choice', act: () => (zone.value = 'dag') },
  { text: 'Light theme', kind: 'choice', act: () => (theme.value = 'light') },
  { text: 'Dark theme', kind: 'choice', act: () => (theme.value = 'dark') },
]

/** How well a text answers what was typed: its letters in their order; the closer and earlier, the better. -1: not at all. */
export function score(text: string, typed: string): number {
  let at = -1
  let sum = 0
  const low = text.toLowerCase()
  for (const letter of typed.toLowerCase().replaceAll(' ', '')) {
    const next = low.indexOf(letter, at + 1)
    if (next < 0) return -1
    sum += next - at
    at = next
  }
  return 1000 - sum - low.length / 100
}

export function Palette() {
  return shown.value ? <Open /> : null
}

function Open() {
  const dialog = useRef<HTMLDialogElement>(null)
  const [typed, setTyped] = useState('')
  const [chosen, setChosen] = useState(0)
  const [named, setNamed] = useState<Entry[]>([])
  const [waits, setWaits] = useState<Entry[] | null>(null)
  // at once and not after the next picture: what is typed right behind Ctrl-K is for it
  useLayoutEffect(() => {
    dialog.current?.showModal()
    void Promise.all([get('/api/v1/dags').catch(() => []), get('/api/v1/assets').catch(() => [])]).then(([dags, assets]) =>
      setNamed([
        ...dags.map((dag) => ({ text: dag.dag, kind: 'DAG', act: () => go(`/dags/${part(dag.dag)}`) })),
        ...ofDags(dags),
        ...assets.map((asset) => ({ text: asset.asset, kind: 'asset', act: () => go(`/assets/${asset.asset.split('/').map(part).join('/')}`) })),
      ]),
    )
  }, [])
  const found = useMemo(() => {
    const all = [...takenBack(), ...FIXED, ...named, ...(waits ?? [])]
    const run = /(?:^|\s)(\d+)$/.exec(typed)?.[1]
    if (run) all.unshift(...ofRun(run))
    if (!typed) return all.slice(0, 40)
    return all.map((entry) => [score(entry.text, typed), entry] as const).filter(([points]) => points >= 0).sort((a, b) => b[0] - a[0]).slice(0, 40).map(([, entry]) => entry)
  }, [typed, named, waits])
  // there may be many waits: they are asked for when one is meant
  const meant = /^(lo|wait)/i.test(typed)
  useEffect(() => {
    if (meant && waits === null) void ofWaits().then(setWaits)
  }, [meant])
  const close = () => (shown.value = false)
  const take = (entry: Entry | undefined) => { if (entry) { close(); entry.act() } }
  return (
    <dialog ref={dialog} class="palette" onClose={close} aria-label="Find or do">
      <input
        autofocus value={typed} placeholder="A screen, DAG, run's number; trigger, pause, look now ..." aria-label="Find" role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant={`found-${chosen}`}
        onInput={(event) => { setTyped(event.currentTarget.value); setChosen(0) }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') setChosen(Math.min(chosen + 1, found.length - 1))
          else if (event.key === 'ArrowUp') setChosen(Math.max(chosen - 1, 0))
          else if (event.key === 'Enter') take(found[chosen])
          else return
          event.preventDefault()
        }}
      />
      <ul id="found" role="listbox" aria-label="Found">
        {found.map((entry, i) => (
          <li key={entry.kind + entry.text} id={`found-${i}`} role="option" aria-selected={i === chosen} onClick={() => take(entry)}>
            {entry.text}<span class="dim">{entry.kind}</span>
          </li>
        ))}
      </ul>
    </dialog>
  )
}
