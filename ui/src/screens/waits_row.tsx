/** One wait of the waiting room: who waits, since when, what the last look saw, when the next one is, what is left of its time. */
import { Ago, Link } from '../parts/basics'
import { Menu } from '../parts/menu'
import { Remaining } from '../parts/remaining'
import { open } from '../parts/action'
import { part } from '../lib/router'
import { extend, fail, look, satisfy } from './waits_doing'
import type { Line } from './waits_lines'

export function Row({ line, what }: { line: Line; what: boolean }) {
  const failures = line.failures ?? 0
  return (
    <div class={failures ? 'wait troubled' : 'wait'}>
      <div class="who" role="cell">
        {line.run_id
          ? <Link to={`/runs/${part(line.run_id)}/t/${part(line.task ?? '')}`}>{line.dag}.{line.task}</Link>
          : <Link to={`/dags/${part(line.dag ?? '')}`}>schedule of {line.dag}</Link>}
        <span class="dim">{line.run_id ? <>run <Link to={`/runs/${part(line.run_id)}`}>{line.run_id}</Link></> : 'no run yet'}{line.key && `, ${line.key}`}</span>
      </div>
      <div class="what" role="cell" title={line.trigger}>{what && <span class="thing">{line.trigger}</span>}<span class="since dim">since <Ago at={line.since} /></span></div>
      <div class="saw" role="cell" title={line.saw || undefined}><Saw line={line} /></div>
      <div class="next" role="cell"><Next line={line} /></div>
      <div class="end" role="cell"><Remaining since={line.since} until={line.deadline} /></div>
      <div class="acts" role="cell">
        <button class="small" aria-label={`Look now at wait ${line.id}`} onClick={() => open(look(line))}>Look</button>
        {line.run_id && <Menu label={`More for wait ${line.id}`} text="More" of={[() => extend(line), () => satisfy(line), () => fail(line)]} />}
      </div>
    </div>
  )
}

function Saw({ line }: { line: Line }) {
  if (!line.last_look) return <span class="dim">{line.source === 'engine' ? 'seen in the commit' : 'not looked at yet'}</span>
  const failures = line.failures ?? 0
  return (
    <>
      <span class={failures ? 'answer trouble' : 'answer'}>{failures > 1 && <b>{failures} in a row: </b>}{line.saw || 'not yet'}</span>
      <span class="dim"><Ago at={line.last_look} /></span>
    </>
  )
}

function Next({ line }: { line: Line }) {
  if (!line.next_look) return <span class="dim">{line.source === 'engine' ? 'at once' : 'when it is told'}</span>
  return <span><span class="dim">next </span><Ago at={line.next_look} /></span>
}
