/** The screens and their addresses. Each is loaded when it is first shown. */
import type { ComponentType } from 'preact'

export interface Screen {
  /** See `match`: `/runs/:run`. */
  at: string
  load: () => Promise<{ default: ComponentType<any> }>
}

export const SCREENS: Screen[] = [
  { at: '/', load: () => import('../screens/home') },
  { at: '/dags', load: () => import('../screens/dags') },
  { at: '/dags/:dag', load: () => import('../screens/dag') },
  { at: '/runs', load: () => import('../screens/runs') },
  { at: '/runs/:run', load: () => import('../screens/run') },
  { at: '/runs/:run/t/:task', load: () => import('../screens/task') },
  { at: '/tasks', load: () => import('../screens/tasks') },
  { at: '/waits', load: () => import('../screens/waits') },
  { at: '/assets', load: () => import('../screens/assets') },
  { at: '/assets/*asset', load: () => import('../screens/asset') },
  { at: '/backfills', load: () => import('../screens/backfills') },
  { at: '/backfills/:backfill', load: () => import('../screens/backfill') },
  { at: '/approvals', load: () => import('../screens/approvals') },
  { at: '/effects', load: () => import('../screens/effects') },
  { at: '/pools', load: () => import('../screens/pools') },
  { at: '/audit', load: () => import('../screens/audit') },
  { at: '/system', load: () => import('../screens/system') },
]

/** What the menu shows, in this order. */
export const MENU: [string, string][] = [
  ['/', 'Home'],
  ['/dags', 'DAGs'],
  ['/runs', 'Runs'],
  ['/tasks', 'Tasks'],
  ['/waits', 'Waiting room'],
  ['/assets', 'Assets'],
  ['/backfills', 'Backfills'],
  ['/approvals', 'Approvals'],
  ['/effects', 'Effects'],
  ['/pools', 'Pools'],
  ['/audit', 'Audit'],
  ['/system', 'System'],
]
