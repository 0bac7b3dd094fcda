/** Starting a run of a DAG, pausing it, letting it go on: the same wherever a DAG is shown. */
import { get, post, Problem } from '../api/client'
import { go, part } from '../lib/router'
import { fieldsOf, paramsOf, said, type ParamsSchema } from '../lib/params'
import { open, say, word, type Doing } from './action'

/** What another run was made with: its parameters, and those of which something is not shown. */
export interface Like { run: string; params: Record<string, unknown>; hidden: readonly string[] }

/** Ask for the parameters that the DAG declares, and start it; `like`: they stand there as that run had them. */
export async function askTrigger(dag: string, like?: Like): Promise<void> {
  try {
    const shown = await get('/api/v1/dags/{dag}', { dag })
    open(triggering(dag, shown.params as ParamsSchema, shown.tz, shown.paused, like))
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    say(error.detail, true)
  }
}

function triggering(dag: string, schema: ParamsSchema, tz: string, paused: boolean, like?: Like): Doing {
  const declared = Object.keys(schema.properties ?? {})
  const hidden = like?.hidden.filter((name) => !declared.length || declared.includes(name)) ?? []
  const gone = declared.length ? Object.keys(like?.params ?? {}).filter((name) => !declared.includes(name)) : []
  const had = Object.fromEntries(Object.entries(like?.params ?? {}).filter(([name]) => !hidden.includes(name)))
  const given = (values: Record<string, string>) => {
    try {
      return paramsOf(schema, values)
    } catch (error) {
      throw new Problem(0, 'Not started', (error as Error).message, 'UsageError')
    }
  }
  const doing: Doing = {
    title: like ? `Trigger ${dag} as run ${like.run}` : `Trigger ${dag}`,
    verb: 'Start a run',
    preview: <p>A run starts{paused ? ' once the DAG is no longer paused' : ' as soon as there is room'}. {like ? <>The fields have what run {like.run} was made with.</> : 'What is left as it is keeps its default.'}
      {hidden.length > 0 && <> Not shown, so to be given again: <b>{hidden.join(', ')}</b>.</>}{gone.length > 0 && <> The DAG takes no more: <b>{gone.join(', ')}</b>.</>}</p>,
    fields: [
      { name: ' date', label: `Logical date, in ${tz}`, kind: 'datetime-local', hint: 'Empty: now.' },
      ...fieldsOf(schema, had),
    ],
    command: (values) => {
      let params: Record<string, unknown> = {}
      try {
        params = paramsOf(schema, values)
      } catch {
        // what cannot be read yet stands in its field
      }
      return ['bide trigger', word(dag), ...(values[' date'] ? ['--date', word(values[' date'])] : []),
        ...said(schema, params).map((each) => `--param ${word(each)}`)].join(' ')
    },
    act: async (values) => {
      const made = await post('/api/v1/dags/{dag}/runs', { dag }, { params: given(values), ...(values[' date'] && { logical_date: values[' date'] }) })
      go(`/runs/${part(made.run_id)}`)
      doing.undo = async () => void (await post('/api/v1/runs/{run}/cancel', { run: made.run_id }))
      return `Run ${made.run_id} of ${dag} is made. Undo cancels it.`
    },
  }
  return doing
}

export function pausing(dag: string, paused: boolean): Doing {
  const now = (verb: 'pause' | 'unpause') => post(`/api/v1/dags/{dag}/${verb}`, { dag })
  return {
    title: paused ? `Unpause ${dag}` : `Pause ${dag}`,
    verb: paused ? 'Unpause' : 'Pause',
    preview: paused
      ? <p>The DAG goes on: its waits count down again, and its catch-up policy says what becomes of firings that were missed.</p>
      : <p>The DAG starts nothing more. What runs goes on; waits and their deadlines stand still.</p>,
    command: () => `bide ${paused ? 'unpause' : 'pause'} ${word(dag)}`,
    act: async () => {
      await now(paused ? 'unpause' : 'pause')
      return paused ? `${dag} goes on.` : `${dag} is paused.`
    },
    undo: async () => void (await now(paused ? 'pause' : 'unpause')),
  }
}
