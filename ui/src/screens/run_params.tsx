/** What a run was made with, and the same once more. */
import { Fragment } from 'preact'
import { Copy } from '../parts/action'
import { Panel } from '../parts/basics'
import { Json } from '../parts/json'
import { askTrigger } from '../parts/trigger'
import type { RunShown } from './run'

export function Params({ run, shown }: { run: string; shown: RunShown }) {
  const params = shown.params
  const names = Object.keys(params ?? {})
  const again = (
    <>
      {params && names.length > 0 && <Copy text={JSON.stringify(params, null, 2)} label="Copy JSON" />}
      {params && <button class="small" aria-haspopup="dialog" onClick={() => askTrigger(shown.dag, { run, params, hidden: shown.hidden })}>Trigger with these</button>}
    </>
  )
  return (
    <Panel title="Parameters" side={again}>
      {!params ? <p class="dim">They have {(shown.params_bytes / 1024).toFixed(0)} KiB, which is more than is shown.</p>
        : names.length === 0 ? <p class="dim">None were given, and its DAG had none of its own.</p>
          : (
            <dl class="run-facts">
              {Object.entries(params).map(([name, value]) => (
                <Fragment key={name}>
                  <dt>{name}</dt>
                  <dd><Json of={value} />{shown.hidden.includes(name) && <span class="dim"> a secret is not shown</span>}</dd>
                </Fragment>
              ))}
            </dl>
          )}
    </Panel>
  )
}
