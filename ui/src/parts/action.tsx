/** Doing something: a dialog that says what will happen, the same as a command of the terminal, and what came of it. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { signal } from '@preact/signals'
import { Problem } from '../api/client'
import { Wrong } from './basics'
import './action.css'

export interface Doing {
  title: string
  /** What will happen, in words, before it does. */
  preview?: ComponentChildren
  /** The same in the terminal; with the values of the form. */
  command: (values: Record<string, string>) => string
  fields?: Field[]
  /** Does it. What it answers is shown for a while. */
  act: (values: Record<string, string>) => Promise<string | void>
  /** Takes it back, where that can be had. */
  undo?: () => Promise<void>
  /** What cannot be taken back is red. */
  severe?: boolean
  verb?: string
}

export interface Field {
  name: string
  label: string
  value?: string
  hint?: string
  needed?: boolean
  options?: [string, string][]
  lines?: number
  kind?: 'text' | 'datetime-local' | 'number' | 'checkbox'
}

interface Note { id: number; text: string; bad: boolean; undo?: (() => Promise<void>) | undefined }

const notes = signal<Note[]>([])
let count = 0

/** Say what has happened, at the edge of the page, for some seconds. */
export function say(text: string, bad = false, undo?: () => Promise<void>) {
  const note = { id: ++count, text, bad, undo }
  notes.value = [...notes.value.slice(-3), note]
  setTimeout(() => (notes.value = notes.value.filter((each) => each.id !== note.id)), undo ? WINDOW : bad ? 12_000 : 6_000)
}

/** So long, ms, something can be taken back; the bar of its note says how much of that is left. */
const WINDOW = 15_000

function takeBack(note: Note) {
  notes.value = notes.value.filter((each) => each.id !== note.id)
  note.undo?.().then(() => say('Taken back.'), (error: Error) => say(error.message, true))
}

/** The last thing that can still be taken back. */
export function latest(): { text: string; back: () => void } | null {
  const note = [...notes.peek()].reverse().find((each) => each.undo)
  return note ? { text: note.text, back: () => takeBack(note) } : null
}

export function Notes() {
  return (
    <div class="notes" role="status" aria-live="polite">
      {notes.value.map((note) => (
        <div key={note.id} class={note.bad ? 'note bad' : 'note'}>
          <span>{note.text}</span>
          {note.undo && <button onClick={() => takeBack(note)}>Undo</button>}
          {note.undo && <i class="left" aria-hidden="true" />}
        </div>
      ))}
    </div>
  )
}

const current = signal<Doing | null>(null)
export const open = (doing: Doing) => (current.value = doing)

export function Act({ doing, children, small = false, disabled }: { doing: Doing | (() => Doing); children?: ComponentChildren; small?: boolean; disabled?: string | undefined }) {
  const it = typeof doing === 'function' ? null : doing
  return (
    <button aria-haspopup="dialog" class={`${it?.severe ? 'severe' : ''} ${small ? 'small' : ''}`} disabled={Boolean(disabled)} title={disabled || undefined}
      onClick={() => open(typeof doing === 'function' ? doing() : doing)}>
      {children ?? it?.title}
    </button>
  )
}

export function Dialog() {
  const doing = current.value
  return doing && <Asking key={doing.title} doing={doing} />
}

function Asking({ doing }: { doing: Doing }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [values, setValues] = useState(() => Object.fromEntries((doing.fields ?? []).map((field) => [field.name, field.value ?? ''])))
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  useEffect(() => dialog.current?.showModal(), [])
  const close = () => (current.value = null)
  const command = doing.command(values)

  async function submit(event: SubmitEvent) {
    event.preventDefault()
    setBusy(true)
    setProblem(null)
    try {
      const said = await doing.act(values)
      close()
      say(said || `${doing.title}: done.`, false, doing.undo)
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      setProblem(error)
    } finally {
      setBusy(false)
    }
  }

  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="doing">
      <form onSubmit={submit}>
        <h2 id="doing">{doing.title}</h2>
        {doing.preview && <Preview>{doing.preview}</Preview>}
        {doing.fields?.map((field) => (
          <label key={field.name} class={field.kind === 'checkbox' ? 'field check' : 'field'}>
            <span>{field.label}{field.needed && <i aria-hidden="true"> *</i>}</span>
            <Input field={field} value={values[field.name] ?? ''} onInput={(value) => setValues({ ...values, [field.name]: value })} />
            {field.hint && <small>{field.hint}</small>}
          </label>
        ))}
        <div class="command"><code>{command}</code><Copy text={command} /></div>
        {problem && <Wrong problem={problem} />}
        <div class="buttons">
          <button type="button" onClick={close}>Leave it</button>
          <button type="submit" class={doing.severe ? 'severe first' : 'first'} disabled={busy}>{busy ? 'Working' : (doing.verb ?? doing.title)}</button>
        </div>
      </form>
    </dialog>
  )
}

/** What is longer than there is room for is reached by keys. */
function Preview({ children }: { children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null)
  const [scrolls, setScrolls] = useState(false)
  useEffect(() => {
    const at = box.current!
    const watch = new ResizeObserver(() => setScrolls(at.scrollHeight > at.clientHeight))
    watch.observe(at)
    return () => watch.disconnect()
  }, [])
  return <div ref={box} class="preview" tabIndex={scrolls ? 0 : undefined}>{children}</div>
}

function Input({ field, value, onInput }: { field: Field; value: string; onInput: (value: string) => void }) {
  const heard = (event: Event) => onInput((event.currentTarget as HTMLInputElement).value)
  if (field.options)
    return <select value={value} onChange={heard} required={field.needed ?? false}>{field.options.map(([key, text]) => <option key={key} value={key}>{text}</option>)}</select>
  if (field.kind === 'checkbox')
    return <input type="checkbox" checked={value === 'true'} onChange={(event) => onInput(String((event.currentTarget as HTMLInputElement).checked))} />
  if (field.lines) return <textarea rows={field.lines} value={value} onInput={heard} required={field.needed ?? false} />
  if (field.kind === 'number') return <input type="number" value={value} onInput={heard} required={field.needed ?? false} />
  if (field.kind === 'datetime-local') return <input type="datetime-local" step="1" value={value} onInput={heard} required={field.needed ?? false} />
  return <input type="text" value={value} onInput={heard} required={field.needed ?? false} />
}

/** Where the browser gives no clipboard (a page over plain http, or a refusal) the text is shown, chosen, for Ctrl-C. */
export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [done, setDone] = useState(false)
  const [shown, setShown] = useState(false)
  const button = useRef<HTMLButtonElement>(null)
  const area = useRef<HTMLTextAreaElement>(null)
  useEffect(() => { area.current?.focus(); area.current?.select() }, [shown])
  async function copy() {
    if (!(await copied(text))) return setShown(true)
    setDone(true)
    setTimeout(() => setDone(false), 1500)
  }
  return (
    <span class="copy">
      {shown && <textarea ref={area} readOnly rows={1} value={text} aria-label="Press Ctrl-C to copy this" onBlur={() => setShown(false)} onCopy={() => setTimeout(() => button.current?.focus())} />}
      <button ref={button} type="button" class="small" onClick={copy}>{shown ? 'Ctrl-C' : done ? 'Copied' : label}</button>
    </span>
  )
}

async function copied(text: string): Promise<boolean> {
  const board: Clipboard | undefined = navigator.clipboard
  try {
    await board?.writeText(text)
  } catch (error) {
    if (error instanceof DOMException) return false
    throw error
  }
  return Boolean(board)
}

export { word } from '../lib/words'
