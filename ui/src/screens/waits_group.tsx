/** The head of a group: how many wait for what, how it is looked at, how that goes, what happens next, and what can be done to all of it. */
import type { Answer } from '../api/client'
import { instant, now, span, zoneName } from '../lib/time'
import { Menu } from '../parts/menu'
import { Remaining } from '../parts/remaining'
import { ofAll } from './waits_all'
import { Ahead, For, Past } from './waits_when'
import { short, split } from './waits_words'

export type Group = Answer<'/api/v1/wait-groups'>[number]

const SIGN: Record<string, string> = {
  file: 'M4 2.5h5l3 3v8H4zM9 2.5v3h3',
  http: 'M8 2.8a5.2 5.2 0 1 0 .01 0M2.8 8h10.4M8 2.8c-4 3-4 7.4 0 10.4c4-3 4-7.4 0-10.4',
  object: 'M3 5c0-2.5 10-2.5 10 0s-10 2.5-10 0v6c0 2.5 10 2.5 10 0V5',
  kafka: 'M3 4h10M3 8h10M3 12h6',
  time: 'M8 3a5 5 0 1 0 .01 0M8 5.2V8l2 1.4',
  python: 'M5 4L2.5 8 5 12M11 4l2.5 4L11 12',
  external_task: 'M3 8h7M7 4.5L10.5 8 7 11.5M13 3v10',
  asset: 'M3 5l5-2.5L13 5v6l-5 2.5L3 11zM3 5l5 2.5L13 5M8 7.5v6',
}
const OTHER = 'M4.5 2.5h7M4.5 13.5h7M5 2.5c0 3.5 6 4.5 6 11M11 2.5c0 3.5-6 4.5-6 11'

/** `of`: the filter that finds just these waits. */
export function GroupHead({ group, of, opened, onToggle }: { group: Group; of: object; opened: boolean; onToggle: () => void }) {
  const [count, rest, how] = split(group.says)
  return (
    <div class={group.failing ? 'group troubled' : 'group'}>
      <div role="cell" class="title">
        <button class="toggle" aria-expanded={opened} onClick={onToggle} title={group.says}>
          <span class="turn" aria-hidden="true">{opened ? '▾' : '▸'}</span>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d={SIGN[group.kind] ?? OTHER} /></svg>
          <span class="says"><b>{count}</b>{rest}{' '}<span class="how">{how}</span></span>
        </button>
      </div>
      <div role="cell" class="facts">
        {group.dags > 1 ? <span>{group.dags} DAGs</span> : <span class="dag" title={group.dag}>{group.dag}</span>}
        <span class="dim">{group.waits > 1 ? 'oldest ' : 'for '}<For at={group.since} /></span>
      </div>
      <div role="cell" class="saw"><Saw group={group} /></div>
      <div role="cell" class="next"><Next group={group} /></div>
      <div role="cell" class="end">
        {group.deadline && group.deadline_since ? <><Remaining since={group.deadline_since} until={group.deadline} />{group.waits > 1 && <span class="dim">nearest of {group.waits.toLocaleString()}</span>}</> : <span class="dim">no deadline</span>}
      </div>
      <div role="cell" class="acts"><Menu label={`All of it: ${group.says}`} text={group.waits === 1 ? 'Act' : 'All'} of={ofAll(of, group.says)} /></div>
      {group.failing > 0 && <div role="cell" class="trouble-line" title={group.trouble}><Trouble group={group} /></div>}
    </div>
  )
}

function Saw({ group }: { group: Group }) {
  if (group.seen_by === 'engine') return <span class="dim">nothing is asked</span>
  if (!group.last_look) return <span class="dim">not looked at yet</span>
  return (
    <>
      {group.failing < group.waits && group.saw && <span class="answer" title={group.saw}>{short(group.saw, undefined, group.source)}</span>}
      <span class="dim">looked <Past at={group.last_look} /></span>
    </>
  )
}

function Next({ group }: { group: Group }) {
  if (group.seen_by === 'engine') return <span class="dim">at once</span>
  if (group.seen_by === 'nobody') return <span class="dim">nobody looks</span>
  if (!group.next_look) return <span class="dim">when it is told</span>
  return <><span><span class="dim">look </span><Ahead at={group.next_look} /></span><Pulse from={group.last_look} to={group.next_look} /></>
}

/** How near the next look is: a line that fills. */
function Pulse({ from, to }: { from: string | null; to: string }) {
  if (!from) return null
  const [start, end] = [new Date(from).getTime(), new Date(to).getTime()]
  const share = Math.min(Math.max((now.value - start) / Math.max(end - start, 1), 0), 1)
  return <span class="pulse" aria-hidden="true" title={`${instant(to)} ${zoneName.value}`}><i style={{ transform: `scaleX(${share.toFixed(3)})` }} /></span>
}

function Trouble({ group }: { group: Group }) {
  return (
    <>
      <b>{group.failing === group.waits ? 'Looks fail' : `${group.failing.toLocaleString()} of them see nothing`}</b>
      {group.failures > 1 && `, ${group.failures} in a row`}
      {group.backed_off_seconds && <>, backed off to {span(group.backed_off_seconds * 1000)}{group.every_seconds && ` from ${span(group.every_seconds * 1000)}`}</>}
      {group.rest_until && <>, the other side asks for rest, <Ahead at={group.rest_until} /></>}
      : {group.trouble}
    </>
  )
}
