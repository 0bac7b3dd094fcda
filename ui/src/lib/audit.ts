/** Lines of the audit log: where they lead, and as a file. */
import type { components } from '../api/schema'

type Line = components['schemas']['AuditLine']

/** The address of what a command was about; '' where it has none. */
export function whereTo(target: string): string {
  const [, kind, name] = /^(\w+) (.+)$/.exec(target) ?? []
  if (!kind || !name) return ''
  const run = /^(\d+)(?:\/(.+))?$/.exec(name)
  if (kind === 'run' && run) return run[2] ? `/runs/${run[1]}/t/${encodeURIComponent(run[2])}` : `/runs/${run[1]}`
  if (kind === 'dag') return `/dags/${encodeURIComponent(name)}`
  if (kind === 'backfill') return `/backfills/${encodeURIComponent(name)}`
  if (kind === 'approval') return `/approvals?approval=${encodeURIComponent(name)}`
  if (kind === 'asset') return `/assets/${name.split('/').map(encodeURIComponent).join('/')}`
  return ''
}

export const CSV: (keyof Line)[] = ['id', 'at', 'who', 'via', 'address', 'verb', 'target', 'args', 'outcome', 'message']

/** Comma-separated values (RFC 4180). What a spreadsheet would take for a formula has a quote before it. */
export function csv(columns: readonly (keyof Line)[], lines: readonly Line[]): string {
  const cell = (value: unknown) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  return [columns.join(','), ...lines.map((line) => columns.map((name) => cell(line[name])).join(','))].join('\r\n') + '\r\n'
}

/** Give a file to the browser, made here. */
export function save(name: string, text: string, kind: string) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: kind }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
