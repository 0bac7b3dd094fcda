/** The head of a group: how many wait for what, how it is looked at, and how that goes. */
import type { Answer } from '../api/client'
import { Ago } from '../parts/basics'
import { Remaining } from '../parts/remaining'
import { span } from '../lib/time'

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

export function GroupHead({ group, opened, onToggle }: { group: Group; opened: boolean; onToggle: () => void }) {
  const [count, rest] = split(group.says)
  return (
    <div class={group.failing ? 'group troubled' : 'group'}>
      <div role="cell" class="title">
        <button class="toggle" aria-expanded={opened} onClick={onToggle}>
          <span class="turn" aria-hidden="true">{opened ? '▾' : '▸'}</span>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d={SIGN[group.kind] ?? OTHER} /></svg>
          <span class="says"><b>{count}</b>{rest}</span>
        </button>
      </div>
      <div role="cell" class="facts">
        <span><span class="dim">oldest </span><Ago at={group.since} /></span>
        <Looks group={group} />
        {group.dags > 1 ? <span class="dim">{group.dags} DAGs</span> : <span class="dim">DAG {group.dag}</span>}
      </div>
      <div role="cell" class="ending">
        {group.deadline && group.deadline_since && <><span class="dim">nearest deadline</span><Remaining since={group.deadline_since} until={group.deadline} /></>}
      </div>
      {group.failing > 0 && <div role="cell" class="trouble-line"><Trouble group={group} /></div>}
    </div>
  )
}

/** `4,000 waits for x: one request` -> its count, and the rest. */
export function split(says: string): [string, string] {
  const at = /^[\d,]+ \w+/.exec(says)?.[0] ?? ''
  return [at, says.slice(at.length)]
}

function Looks({ group }: { group: Group }) {
  if (group.seen_by === 'engine') return null
  return (
    <>
      {group.last_look && <span title={group.saw}><span class="dim">last look </span><Ago at={group.last_look} />{group.saw && !group.failing && <span class="quote">{group.saw}</span>}</span>}
      {group.next_look && <span><span class="dim">next look </span><Ago at={group.next_look} /></span>}
    </>
  )
}

function Trouble({ group }: { group: Group }) {
  return (
    <>
      <b>{group.failing === group.waits ? 'Looks fail' : `${group.failing.toLocaleString()} of them see nothing`}</b>
      {group.failures > 1 && `, ${group.failures} in a row`}: <span title={group.trouble}>{group.trouble}</span>
      {group.backed_off_seconds && <>; backed off to {span(group.backed_off_seconds * 1000)}{group.every_seconds && ` from ${span(group.every_seconds * 1000)}`}</>}
      {group.rest_until && <>; the other side asks for rest, <Ago at={group.rest_until} /></>}
    </>
  )
}
