/** "May I use it?": asked for a purpose and an interval, answered by the contract, and kept. */
import { useState } from 'preact/hooks'
import { post, Problem } from '../api/client'
import type { components } from '../api/schema'
import { Copy, word } from '../parts/action'
import { Panel, State, Wrong } from '../parts/basics'
import { asked, interval, type Interval } from '../lib/intervals'

type Answer = components['schemas']['MayUse']

export function MayUse({ asset, interval: of, purposes }: { asset: string; interval: Interval | undefined; purposes: string[] }) {
  const [over, setOver] = useState<string | null>(null)
  const [purpose, setPurpose] = useState('')
  const [by, setBy] = useState('')
  const [answer, setAnswer] = useState<{ said: Answer; over: string } | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)
  const [busy, setBusy] = useState(false)
  const meant = over ?? (of ? asked(of) : '')
  const name = over === null && of ? interval(of) : meant || 'the newest version'

  async function ask(event: SubmitEvent) {
    event.preventDefault()
    setBusy(true)
    setProblem(null)
    try {
      setAnswer({ said: await post('/api/v1/asset-uses', {}, { asset, purpose, by, ...(meant ? { interval: meant } : {}) }), over: name })
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      setAnswer(null)
      setProblem(error)
    } finally {
      setBusy(false)
    }
  }

  const command = `bide assets use ${word(asset)}${purpose ? ` --for ${word(purpose)}` : ''}${meant ? ` --interval ${word(meant)}` : ''}${by ? ` --by ${word(by)}` : ''}`
  return (
    <Panel title="May I use it?" side={<Copy text={command} label="Copy as command" />}>
      <form class="ask" onSubmit={ask}>
        <label><span>For what (a consumer)</span>
          <input list="purposes" value={purpose} placeholder="anybody" onInput={(event) => setPurpose(event.currentTarget.value)} />
          <datalist id="purposes">{purposes.map((each) => <option key={each} value={each} />)}</datalist>
        </label>
        <label><span>Interval</span><input value={meant} placeholder="the newest version" onInput={(event) => setOver(event.currentTarget.value)} /></label>
        <label><span>Who asks</span><input value={by} onInput={(event) => setBy(event.currentTarget.value)} /></label>
        <button class="first" disabled={busy}>Ask</button>
      </form>
      {problem && <Wrong problem={problem} />}
      {answer && <Said answer={answer.said} over={answer.over} />}
    </Panel>
  )
}

function Said({ answer, over }: { answer: Answer; over: string }) {
  const family = !answer.allowed ? 'bad' : answer.limits.length || answer.level !== 'none' ? 'warned' : 'good'
  return (
    <div class={`answer ${family}`} role="status">
      <strong>{answer.allowed ? (family === 'good' ? 'Yes' : 'Yes, with limitations') : 'No'}</strong>
      <p>{answer.reason}</p>
      {answer.issues.map((issue) => (
        <p key={`${issue.upstream} ${issue.requirement}`}>{issue.upstream || answer.asset} is asked for {issue.requirement}: {issue.observed} ({issue.severity}; {issue.action.replaceAll('_', ' ')}).{issue.rationale && <> <span class="dim">{issue.rationale}</span></>}</p>
      ))}
      {answer.limits.map((each) => <p key={each}>Known limitation: {each}</p>)}
      {answer.versions.map((each) => <p key={each.version}><State of={each.state} /> version {each.version}, {interval(each.interval)} <span class="dim">{each.label}</span></p>)}
      <p class="dim">{over}, for {answer.purpose || 'anybody'}; {answer.contract ? `contract ${answer.contract} answered` : 'no contract names this purpose: what anybody may expect'}; kept as decision {answer.id}.</p>
    </div>
  )
}
