/** The one policy of Trusted Types: what is loaded as a script is a file that was built with this page, and nothing else. */

interface Policy { createScriptURL: (url: string) => unknown }
interface Types { createPolicy: (name: string, rules: { createScriptURL: (url: string) => string }) => Policy }

let policy: Policy | null = null

/** The address of a worker of ours, as the browser wants to have it said. */
export function script(url: string): string {
  const types = (globalThis as { trustedTypes?: Types }).trustedTypes
  if (!types) return url
  policy ??= types.createPolicy('bide', {
    createScriptURL(asked) {
      const at = new URL(asked, document.baseURI)
      if (at.origin === location.origin && /\/static\/[\w.-]+\.js$/.test(at.pathname)) return at.href
      throw new TypeError(`not a script of the window: ${at.href}`)
    },
  })
  return policy.createScriptURL(url) as string
}
