/** A text of code with the numbers of its lines; and what differs between two, one under the other or side by side. */
import { useMemo } from 'preact/hooks'
import { differ, hunks, lines, pairs, type Pair, type Row } from '../lib/lines'
import { coloured, type Piece } from '../lib/python'
import { Empty } from './basics'
import './code.css'

const CHUNK = 200

const pieces = (line: readonly Piece[] | undefined) => (line?.length ? line.map((each, n) => (each.look ? <i key={n} class={each.look}>{each.text}</i> : each.text)) : '\n')

export function Code({ text, label }: { text: string; label: string }) {
  const found = useMemo(() => coloured(lines(text)), [text])
  const chunks = []
  for (let at = 0; at < found.length; at += CHUNK) chunks.push(at)
  if (found.length === 0) return <Empty title="The file is empty" />
  return (
    <div class="code" role="region" tabIndex={0} aria-label={label}>
      {chunks.map((from) => (
        <pre key={from} class={found.length > 5 * CHUNK ? 'later' : undefined}>
          {found.slice(from, from + CHUNK).map((line, n) => <span key={n} class="line" data-n={from + n + 1}>{pieces(line)}</span>)}
        </pre>
      ))}
    </div>
  )
}

const counted = (count: number) => <div class="gap">{count === 1 ? '1 line alike' : `${count.toLocaleString()} lines alike`}</div>

/** `beside`: in two columns. */
export function CodeDiff({ was, now, label, beside }: { was: string; now: string; label: string; beside: boolean }) {
  const made = useMemo(() => {
    const rows = differ(was, now)
    return {
      rows,
      colours: { was: coloured(lines(was)), now: coloured(lines(now)) },
      over: { went: rows.filter((row) => row.kind === 'was').length, came: rows.filter((row) => row.kind === 'now').length },
    }
  }, [was, now])
  const { over, colours } = made
  const line = (row: Row) => pieces(row.kind === 'was' ? colours.was[row.was - 1] : colours.now[row.now - 1])
  const unified = useMemo(() => hunks(made.rows, (row) => row.kind !== 'same'), [made])
  const columns = useMemo(() => (beside ? hunks<Pair>(pairs(made.rows), (pair) => pair.was !== pair.now) : []), [made, beside])
  if (unified.length === 0) return <Empty title="Not a line differs" />
  return (
    <>
      <p class="dim" role="status">{over.came.toLocaleString()} {over.came === 1 ? 'line' : 'lines'} came, {over.went.toLocaleString()} went.</p>
      <div class={beside ? 'code changed beside' : 'code changed'} role="region" tabIndex={0} aria-label={label}>
        {beside
          ? columns.map((hunk, n) => (
              <div key={n}>
                {hunk.skipped > 0 && counted(hunk.skipped)}
                {hunk.rows.map((pair, at) => (
                  <div key={at} class="pair">
                    <Half row={pair.was} side="was" line={line} />
                    <Half row={pair.now} side="now" line={line} />
                  </div>
                ))}
              </div>
            ))
          : unified.map((hunk, n) => (
              <div key={n}>
                {hunk.skipped > 0 && counted(hunk.skipped)}
                {hunk.rows.map((row, at) => (
                  <pre key={at} class={row.kind}>
                    <span class="n">{row.was || ''}</span><span class="n">{row.now || ''}</span><Sign of={row.kind} />{line(row)}
                  </pre>
                ))}
              </div>
            ))}
      </div>
    </>
  )
}

function Half({ row, side, line }: { row: Row | null; side: 'was' | 'now'; line: (row: Row) => preact.ComponentChildren }) {
  if (!row) return <pre class="none" aria-hidden="true">{'\n'}</pre>
  return <pre class={row.kind}><span class="n">{row[side]}</span><Sign of={row.kind} />{line(row)}</pre>
}

const SIGNS = { same: [' ', ''], was: ['-', 'went: '], now: ['+', 'came: '] } as const

function Sign({ of }: { of: Row['kind'] }) {
  const [sign, word] = SIGNS[of]
  return <><b aria-hidden="true">{sign}</b>{word && <span class="unseen">{word}</span>}</>
}
