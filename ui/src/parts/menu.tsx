/** Actions behind one button, where there is no room for all of them. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { open, type Doing } from './action'
import './menu.css'

/** What is chosen before there is anything to show of it: what it would do is asked first. */
export interface Choosing { title: string; verb: string; severe?: boolean; chosen: () => void }

type Of = (Doing | Choosing | (() => Doing))[]

/** Closed it is a button and no more: a long list has one in each row. */
export function Menu({ label, text, of }: { label: string; text: string; of: Of }) {
  const [shown, setShown] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  return (
    <div class={shown ? 'drop shown' : 'drop'} ref={box}>
      <button class="small" aria-haspopup="menu" aria-expanded={shown} aria-label={label} onClick={() => setShown(!shown)}>{text} <span aria-hidden="true">▾</span></button>
      {shown && <Opened label={label} of={of} box={box} onClose={(back) => { setShown(false); if (back) box.current?.querySelector('button')?.focus() }} />}
    </div>
  )
}

function Opened({ label, of, box, onClose }: { label: string; of: Of; box: { current: HTMLElement | null }; onClose: (back: boolean) => void }) {
  const items = () => [...(box.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])]
  const [made] = useState(() => of.map((each) => (typeof each === 'function' ? each() : each)))
  useEffect(() => {
    items()[0]?.focus()
    const elsewhere = (event: Event) => { if (!box.current?.contains(event.target as Node)) onClose(false) }
    addEventListener('pointerdown', elsewhere)
    return () => removeEventListener('pointerdown', elsewhere)
  }, [])

  function walk(event: KeyboardEvent) {
    const all = items()
    const at = all.indexOf(document.activeElement as HTMLElement)
    if (event.key === 'Escape') onClose(true)
    else if (event.key === 'ArrowDown') all[(at + 1) % all.length]?.focus()
    else if (event.key === 'ArrowUp') all[(at + all.length - 1) % all.length]?.focus()
    else if (event.key === 'Tab') { onClose(false); return }
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  return (
    <div role="menu" aria-label={label} onKeyDown={walk}>
      {made.map((doing) => (
        <button key={doing.title} role="menuitem" aria-haspopup="dialog" class={doing.severe ? 'severe' : ''} onClick={() => { onClose(true); if ('chosen' in doing) doing.chosen(); else open(doing) }}>{doing.verb ?? doing.title}</button>
      ))}
    </div>
  )
}
