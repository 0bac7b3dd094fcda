/** One wait of the waiting room: who waits, since when, what the last look saw, when the next one is, what is left of its time. */
import { Link } from '../parts/basics'
import { Menu } from '../parts/menu'
import { Remaining } from '../parts/remaining'
import { part } from '../lib/router'
import { extend, fail, look, satisfy } from './waits_doing'
import type { Line } from './waits_lines'
import { Ahead, For, Past } from './waits_when'
import { short, without } from './waits_words'

/** `what`: whether what it waits for is not said by its group; `trouble`: how looks fail as its group says it. */
export function Row({ line, what, trouble }: { line: Line; what: boolean; trouble: string }) {
  const failures = line.failures ?? 0
  const thing = short(line.trigger, line.kind, line.source)
  return (
    <div class={failures ? 'wait troubled' : 'wait'}>
      <div class="who" role="cell">
        {line.run_id
          ? <Link to={`/runs/${part(line.run_id)}/t/${part(line.task ?? '')}`} title={`${line.dag}.${line.task}`}>{line.dag}.{line.task}</Link>
          : <Link to={`/dags/${part(line.dag ?? '')}`} title={line.dag}>schedule of {line.dag}</Link>}
        <span class="dim">{line.run_id ? <>run <Link to={`/runs/${part(line.run_id)}`}>{line.run_id}</Link></> : 'no run yet'}{line.key && `, ${line.key}`}, for <For at={line.since} /></span>
      </div>
      <div class="saw" role="cell">
        {what && <span class="thing" title={line.trigger}>{thing}</span>}
        <Saw line={line} trouble={trouble} thing={what ? thing : ''} />
      </div>
      <div class="next" role="cell"><Next line={line} /></div>
      <div class="end" role="cell"><Remaining since={line.since} until={line.deadline} /></div>
      <div class="acts" role="cell">
        <Menu label={`Act on wait ${line.id}`} text="Act" of={line.run_id ? [() => look(line), () => extend(line), () => satisfy(line), () => fail(line)] : [() => look(line)]} />
      </div>
    </div>
  )
}

function Saw({ line, trouble, thing }: { line: Line; trouble: string; thing: string }) {
  if (!line.last_look) return <span class="dim">{line.source === 'engine' ? 'seen in the commit' : 'not looked at yet'}</span>
  const failures = line.failures ?? 0
  const saw = failures && line.saw === trouble ? 'sees nothing' : without(short(line.saw || 'not yet', undefined, line.source), thing)
  return (
    <span class={failures ? 'seen trouble' : 'seen'}>
      <span class="answer" title={line.saw || undefined}>{saw}{failures > 1 && `, ${failures} in a row`}</span> <span class="dim"><Past at={line.last_look} /></span>
    </span>
  )
}

function Next({ line }: { line: Line }) {
  if (!line.next_look) return <span class="dim">{line.source === 'engine' ? 'at once' : 'when it is told'}</span>
  return <span><span class="dim">look </span><Ahead at={line.next_look} /></span>
}
