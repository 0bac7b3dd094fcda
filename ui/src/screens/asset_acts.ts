/** What can be done about versions of assets: each with its words, and the same in the terminal. */
import { post } from '../api/client'
import type { Doing } from '../parts/action'
import { word } from '../parts/action'
import { asked, interval, type Interval } from '../lib/intervals'
import { go } from '../lib/router'
import { assetPath, CAUSES, SEVERITIES } from './asset_words'

const WHO = { name: 'by', label: 'Who', needed: true, hint: 'Stands beside it for good.' }
const WHY = { name: 'why', label: 'Why', needed: true, lines: 2 }

/** Only what was filled in. */
const given = (values: Record<string, string>) => Object.fromEntries(Object.entries(values).filter(([, value]) => value))
const options = (values: Record<string, string>, names: Record<string, string>) =>
  Object.entries(names).filter(([name]) => values[name]).map(([name, option]) => ` ${option} ${word(values[name] ?? '')}`).join('')

const REST = [
  { name: 'cause', label: 'What happened', options: CAUSES, value: 'source_correction' },
  { name: 'severity', label: 'How bad it is', options: SEVERITIES },
  { name: 'reason', label: 'What is wrong, in words', needed: true, lines: 2 },
  { name: 'evidence', label: 'Where it can be seen', hint: 'An address, if there is one.' },
  { name: 'by', label: 'Who found it' },
]
const SAID = { cause: '--cause', severity: '--severity', reason: '--reason', evidence: '--evidence', by: '--by' }

async function invalidate(what: Record<string, string>, values: Record<string, string>, asset: string) {
  const { evidence, ...rest } = given(values)
  const done = await post('/api/v1/invalidations', {}, { ...what, ...rest, ...(evidence ? { evidence: [evidence] } : {}) })
  go(`${assetPath(asset)}?tab=blast&invalidation=${done.invalidation_id}${what.version ? `&version=${what.version}` : ''}`)
  return `Invalidation ${done.invalidation_id}: ${done.wrong} marked, and what was made of them follows.`
}

/** All versions over an interval. */
export function invalidating(asset: string, of?: Interval): Doing {
  const first = of ? asked(of) : ''
  return {
    title: `Invalidate ${asset}`,
    verb: 'Invalidate',
    severe: true,
    preview: 'Every version over the interval is marked as not to be trusted, and what was made of it is found and marked after it, by the contracts in between. Nothing is deleted; only newer versions mend it.',
    fields: [{ name: 'interval', label: 'Interval', value: first, needed: true, hint: 'A day, a month, or FROM..TO.' }, ...REST],
    command: (values) => `bide assets invalidate ${word(asset)} --interval ${word(values.interval || 'INTERVAL')}${options(values, SAID)}`,
    act: ({ interval: over, ...values }) => invalidate({ asset, interval: over ?? '' }, values, asset),
  }
}

/** One version alone. */
export function invalidatingOne(asset: string, version: string, of: Interval, radius: string): Doing {
  return {
    title: `Invalidate version ${version}`,
    verb: 'Invalidate',
    severe: true,
    preview: `Version ${version} of ${asset}, ${interval(of)}, is marked as not to be trusted. ${radius} Only newer versions mend it.`,
    fields: REST,
    command: (values) => `bide assets invalidate --version ${version}${options(values, SAID)}`,
    act: (values) => invalidate({ version }, values, asset),
  }
}

export function publishing(asset: string, version: string): Doing {
  return {
    title: `Let version ${version} out`,
    verb: 'Publish',
    severe: true,
    preview: `Version ${version} of ${asset} is held back. Publishing it lets consumers see it; what its gates found stays on it, with your name. What was seen cannot be taken back: a version that is wrong is invalidated.`,
    fields: [WHO, WHY],
    command: (values) => `bide assets publish ${version}${options(values, { by: '--by', why: '--why' })}`,
    act: async ({ by = '', why = '' }) => (await post('/api/v1/asset-versions/{version}/publish', { version }, { by, why })).done,
  }
}

export function degrading(asset: string, version: string): Doing {
  const days: [string, string][] = [['', 'For good'], ['1', 'For one day'], ['7', 'For a week'], ['30', 'For 30 days']]
  const until = (values: Record<string, string>) => values.days ? new Date(Date.now() + Number(values.days) * 86_400_000).toISOString().slice(0, 19) + 'Z' : ''
  return {
    title: `Accept version ${version} with limitations`,
    verb: 'Degrade',
    preview: `Consumers may use version ${version} of ${asset}, and each of them is told what is wrong with it. Where the acceptance ends, it is invalidated unless a newer one has come.`,
    fields: [{ name: 'limitation', label: 'What is known to be wrong with it', needed: true, lines: 2 }, { name: 'days', label: 'Accepted', options: days, value: '7' }, WHO, WHY],
    command: (values) => `bide assets degrade ${version}${options({ ...values, expires: until(values) }, { limitation: '--limitation', expires: '--expires', by: '--by', why: '--why' })}`,
    act: async (values) => {
      const { limitation = '', by = '', why = '' } = values
      const expires = until(values)
      return (await post('/api/v1/asset-versions/{version}/degrade', { version }, { limitations: [limitation], by, why, ...(expires ? { expires } : {}) })).done
    },
  }
}

/** An incident of an invalidation: its runbook, notes and evidence are kept with it. */
export function reporting(invalidation: string, asset: string): Doing {
  return {
    title: 'Open an incident',
    verb: 'Open it',
    preview: `An incident of invalidation ${invalidation} of ${asset}: the twelve steps of its runbook, what is noted at each, and the evidence as a bundle.`,
    fields: [{ name: 'title', label: 'Title', needed: true }, { name: 'by', label: 'Who' }, { name: 'text', label: 'First note', lines: 2 }],
    command: (values) => `bide incident open ${word(values.title || 'TITLE')} --invalidation ${invalidation}${options(values, { by: '--by', text: '--text' })}`,
    act: async ({ title = '', ...values }) => (await post('/api/v1/incidents', {}, { title, invalidation, ...given(values) })).done,
  }
}
