/** What is waited for, in fewer words where some of them stand beside it already. */

/** `4,000 waits for x: one request` -> its count, what for, and how that is seen. */
export function split(says: string): [string, string, string] {
  const count = /^[\d,]+ \w+/.exec(says)?.[0] ?? ''
  const rest = says.slice(count.length)
  const how = rest.lastIndexOf(': ')
  return how < 0 ? [count, rest, ''] : [count, rest.slice(0, how), rest.slice(how + 2)]
}

/** What is waited for without what its group says of it: `object s3://landing/inbox/a.csv` of `object s3://landing` is `inbox/a.csv`. */
export function short(trigger: string, kind: string | undefined, source: string): string {
  const bare = kind && trigger.startsWith(`${kind} `) ? trigger.slice(kind.length + 1) : trigger
  const root = source.split(' ').find((word) => word.includes('://'))
  const at = root ? bare.indexOf(`${root}/`) : -1
  return at < 0 || !root ? bare : bare.slice(0, at) + bare.slice(at + root.length)
}

/** An answer that names what it is about, where that stands right above it: `nothing at inbox/a.csv` is `nothing there`. */
export function without(answer: string, thing: string): string {
  return thing ? answer.replace(` at ${thing}`, ' there').replace(thing, 'it') : answer
}
