/** Why something is in the state it is in: the sentence, each condition with its numbers, and what would change it. */
import type { ComponentChildren } from 'preact'
import type { components } from '../api/schema'
import { conditions, taskPath } from '../lib/conditions'
import { wanted } from '../lib/pools'
import { part } from '../lib/router'
import { state, STATES } from '../lib/states'
import { Copy } from './action'
import { Ago, Link, State } from './basics'
import { Plain } from './said'
import './why.css'

export { taskPath }

export type WhyShown = components['schemas']['WhyShown']
type Detail = components['schemas']['Detail']

/** A text with commands in backquotes, as people read and copy it. */
export function Words({ text }: { text: string }) {
  return <>{text.split('`').map((each, at) => (at % 2 ? <span key={at}><code>{each}</code> {each.startsWith('bide ') && <Copy text={each} />}</span> : <Plain key={at} text={each} />))}</>
}

/** `load[3] of run 12, ...`: each leads to that task. */
export function Holders({ text }: { text: string }) {
  return (
    <>{text.split(', ').map((each, at) => {
      const found = /^(\S+) of run (\d+)(.*)$/.exec(each)
      return <span key={at}>{at > 0 && ', '}{found ? <><Link to={taskPath(found[2]!, found[1]!)}>{found[1]} of run {found[2]}</Link>{found[3]}</> : each}</span>
    })}</>
  )
}

/** A sentence begins with a capital; a command is as it is. */
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

export function Why({ why, side }: { why: WhyShown; side?: ComponentChildren }) {
  const it = state(why.state)
  const pool = wanted(why.why)
  return (
    <section class={`why frame-${it.family}`} aria-label="Why it is in this state" data-family={it.family}>
      <div class="sign"><State of={why.state} />{why.since && <span class="dim">since <Ago at={why.since} /></span>}<span class="grow" />{side}</div>
      <p class="said"><Words text={capital(why.why)} /></p>
      {conditions(why.details).map((each, at) => (
        <dl key={at}>
          {each.head && <dt class="head">{each.head}</dt>}
          {each.facts.map((fact, n) => <Row key={n} run={why.run_id} fact={fact} />)}
        </dl>
      ))}
      {why.next && <div class="next"><b>What changes it</b><span><Words text={capital(why.next)} />{pool && <> <Link to={`/pools?pool=${part(pool)}`}>Who else wants it, in order</Link></>}</span></div>}
    </section>
  )
}

function Row({ run, fact }: { run: string; fact: Detail }) {
  const upstream = /^upstream (.+)$/.exec(fact.what)?.[1]
  const about = /^(\w+)(?:: ?(.*))?$/s.exec(fact.value)
  const known = about && about[1]! in STATES ? about : null
  return (
    <>
      <dt>{upstream ? <Link to={taskPath(run, upstream)}>{upstream}</Link> : fact.what}</dt>
      <dd>{known ? <><State of={known[1]!} /> {known[2]}</> : fact.what === 'held by' ? <Holders text={fact.value} /> : <Words text={fact.value} />}</dd>
    </>
  )
}
