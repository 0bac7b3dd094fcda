/** Words and addresses that the screens of assets share. */
import type { Event } from '../api/feed'
import { part } from '../lib/router'

export const assetPath = (name: string) => `/assets/${name.split('/').map(part).join('/')}`

/** Which events may change how assets stand. */
export const MOVES = (event: Event) => event.kind === 'version' || event.kind === 'invalidation' || event.kind === 'contract' || event.kind === 'alert'

/** What a state means for who wants to use a version, in a sentence. */
export const MEANS: Record<string, string> = {
  unknown: 'There is no version.',
  building: 'It is being made; nobody may see it.',
  staged: 'It is made, and nobody may see it before its gates are passed.',
  validated: 'Its gates are passed; it is not let out yet.',
  published: 'Consumers see it, and nothing is known against it.',
  stale: 'Consumers see it, and what should have followed it is late.',
  degraded: 'Consumers see it with limitations that somebody accepted.',
  invalidated: 'It is not to be trusted: it is wrong, or it was made of what is wrong.',
  superseded: 'A newer version of its interval took its place.',
  quarantined: 'It is held back for what its gates found.',
  failed: 'Its gates or its task failed; nobody will see it.',
}

export const CAUSES: [string, string][] = [
  ['source_correction', 'The source was corrected'], ['reference_update', 'A reference was updated'], ['transform_bug', 'The code was wrong'],
  ['late_quality_failure', 'A check failed late'], ['schema_interpretation', 'A schema was misread'], ['duplicate_ingestion', 'Something came twice'],
  ['missing_partition', 'A part is missing'], ['security', 'Security'],
]
export const SEVERITIES: [string, string][] = [['', 'As usual for the cause'], ['info', 'Info'], ['warning', 'Warning'], ['minor', 'Minor'], ['major', 'Major'], ['critical', 'Critical']]

/** States with the worst first: what a person has to know of. */
export const ORDER = ['invalidated', 'quarantined', 'failed', 'degraded', 'stale', 'staged', 'validated', 'building', 'unknown', 'superseded', 'published']

/** The worst of the last intervals of an asset: what was wrong lately never looks healthy. */
export function worstOf(of: { state: string; late: boolean; parts: readonly { state: string }[] }): string {
  const states = [of.state, ...(of.late ? ['stale'] : []), ...of.parts.map((each) => each.state)]
  return ORDER[Math.min(...states.map((each) => ORDER.indexOf(each)))] ?? 'unknown'
}

export const versionPath = (asset: string, version: string) => `${assetPath(asset)}?version=${version}`

/** What it means that one asset depends on another. */
export const KINDS: Record<string, string> = {
  read: 'reads its records',
  exact_version: 'needs one version, by name',
  interval_match: 'needs the version of its own interval',
  freshness: 'needs it to be young enough',
  quality_gate: 'needs its gates to be passed',
  schema_compatibility: 'needs a schema that it can read',
  reference_data: 'looks things up in it',
  control_event: 'waits for it to have happened',
  publication: 'sees it after it was published only',
  invalidation: 'is invalidated by its corrections, and asks nothing else',
}

/** What goes on although something that is asked for was not met goes on with limitations: it does not look like what is healthy. */
export const levelOf = (decision: { level: string; issues: readonly unknown[] }) => (decision.level === 'none' && decision.issues.length ? 'consumer_notification' : decision.level)

/** How far a decision lets go on: words, the family of its colour, and the state whose sign it has. */
export const LEVELS: Record<string, [string, string, string]> = {
  none: ['goes on', 'good', 'success'],
  consumer_notification: ['goes on, with limitations', 'warned', 'degraded'],
  external_side_effect: ['does not leave the house', 'held', 'blocked'],
  manual_approval: ['a person decides', 'held', 'awaiting_approval'],
  publication: ['is not published', 'bad', 'blocked'],
  execution: ['is not begun', 'bad', 'blocked'],
}
