/** Actions behind one button, where there is no room for all of them. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { open, type Doing } from './action'
import './menu.css'

export function Menu({ label, text, of }: { label: string; text: string; of: (Doing | (() => Doing))[] }) {
  const [shown, setShown] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const close = () => { setShown(false); box.current?.querySelector('button')?.focus() }
  useEffect(() => {
    if (!shown) return
    box.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus()
    const elsewhere = (event: Event) => { if (!box.current?.contains(event.target as Node)) setShown(false) }
    addEventListener('pointerdown', elsewhere)
    return () => removeEventListener('pointerdown', elsewhere)
  }, [shown])

  function walk(event: KeyboardEvent) {
    const items = [...(box.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])]
    const at = items.indexOf(document.activeElement as HTMLElement)
    if (event.key === 'Escape') close()
    else if (event.key === 'ArrowDown') items[(at + 1) % items.length]?.focus()
    else if (event.key === 'ArrowUp') items[(at + items.length - 1) % items.length]?.focus()
    else if (event.key === 'Tab') { setShown(false); return }
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  const made = shown ? of.map((each) => (typeof each === 'function' ? each() : each)) : []
  return (
    <div class={shown ? 'drop shown' : 'drop'} ref={box} onKeyDown={shown ? walk : undefined}>
      <button class="small" aria-haspopup="menu" aria-expanded={shown} aria-label={label} onClick={() => setShown(!shown)}>{text} <span aria-hidden="true">▾</span></button>
      {shown && (
        <div role="menu" aria-label={label}>
          {made.map((doing) => (
            <button key={doing.title} role="menuitem" class={doing.severe ? 'severe' : ''} onClick={() => { close(); open(doing) }}>{doing.verb ?? doing.title}</button>
          ))}
        </div>
      )}
    </div>
  )
}
