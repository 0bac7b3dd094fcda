/** Questions and commands to `/api/v1`, typed by the OpenAPI document. Errors are problems (RFC 9457). */
import { href } from '../lib/router'
import type { paths } from './schema'
import { unique } from '../lib/unique'
import { authorization, refused } from './session'

type Of<M extends string> = { [P in keyof paths]: paths[P] extends Record<M, { responses: unknown }> ? P : never }[keyof paths]
type Operation<P extends keyof paths, M extends string> = paths[P] extends Record<M, infer O> ? O : never
type Json<R> = R extends { content: { 'application/json': infer T } } ? T : never
type Answered<O> = O extends { responses: infer R } ? Json<R[keyof R & (200 | 201)]> : never
type Names<O> = O extends { parameters: { path: infer T extends object } } ? T : object
type Asked<O> = O extends { parameters: { query?: infer T extends object } } ? T : object
type Body<O> = O extends { requestBody?: { content: { 'application/json': infer T } } } ? T : undefined

export type GetPath = Of<'get'>
export type PostPath = Of<'post'>
export type Answer<P extends GetPath> = Answered<Operation<P, 'get'>>
export type Query<P extends GetPath> = Asked<Operation<P, 'get'>>
export type PathNames<P extends GetPath> = Names<Operation<P, 'get'>>
export type Page<T> = { items: T; next: string | null }

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string,
  ) {
    super(detail)
  }
}

/** `/api/v1/runs/{run}` with its names filled in. */
export function address(path: string, names: object = {}, asked: object = {}): string {
  const at = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    String((names as Record<string, unknown>)[name] ?? '').split('/').map(encodeURIComponent).join('/'),
  )
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(asked)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined && each !== null && each !== '') query.append(key, String(each))
  }
  const text = query.toString()
  return href(at + (text ? `?${text}` : ''))
}

async function send(at: string, init: RequestInit): Promise<Response> {
  let answer: Response
  try {
    answer = await fetch(at, { ...init, headers: { accept: 'application/json', ...authorization(), ...(init.headers as Record<string, string>) } })
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error
    throw new Problem(0, 'Out of reach', 'The service does not answer. It is asked again when it is back.', 'UnreachableError')
  }
  if (answer.ok) return answer
  const said = await answer.json().catch(() => ({}))
  const problem = new Problem(answer.status, said.title ?? answer.statusText, said.detail ?? `the service answered ${answer.status}`, said.code ?? '')
  if (answer.status === 401) refused.value = problem.detail
  throw problem
}

export async function getAt<T>(at: string, signal?: AbortSignal): Promise<Page<T>> {
  const answer = await send(at, signal ? { signal } : {})
  const next = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get('link') ?? '')?.[1] ?? null
  return { items: (await answer.json()) as T, next }
}

export async function get<P extends GetPath>(path: P, names: object = {}, asked: object = {}, signal?: AbortSignal): Promise<Answer<P>> {
  return (await getAt<Answer<P>>(address(path, names, asked), signal)).items
}

/** A command. Its key makes a repetition harmless: the browser may send it twice, it is done once. null: a question that takes none. */
export async function post<P extends PostPath>(path: P, names: object = {}, body: Body<Operation<P, 'post'>> | object = {}, key: string | null = unique()): Promise<Answered<Operation<P, 'post'>>> {
  const answer = await send(address(path, names), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { 'idempotency-key': key }) },
    body: JSON.stringify(body ?? {}),
  })
  return (await answer.json()) as Answered<Operation<P, 'post'>>
}
