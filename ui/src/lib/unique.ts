/** A name that nothing else has. A page that came over plain http from another host has no `randomUUID`, but it has chance. */
export function unique(from: Pick<Crypto, 'getRandomValues'> & Partial<Pick<Crypto, 'randomUUID'>> = crypto): string {
  if (from.randomUUID) return from.randomUUID()
  return Array.from(from.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
