/** Months as they hang on a wall: weeks from Monday to Sunday. Months are `2026-03`, days `2026-03-01`. */

export interface Month { name: string; title: string; weeks: (string | null)[][] }

const two = (number: number) => String(number).padStart(2, '0')

/** So many months further. */
export function step(month: string, by: number): string {
  const [year, number] = month.split('-').map(Number) as [number, number]
  const at = year * 12 + number - 1 + by
  return `${Math.floor(at / 12)}-${two((at % 12) + 1)}`
}

/** So many months, of which that is the last. */
export function months(last: string, count: number): Month[] {
  return Array.from({ length: count }, (_, n) => month(step(last, n - count + 1)))
}

function month(name: string): Month {
  const [year, number] = name.split('-').map(Number) as [number, number]
  const days = new Date(Date.UTC(year, number, 0)).getUTCDate()
  const before = (new Date(Date.UTC(year, number - 1, 1)).getUTCDay() + 6) % 7
  const cells: (string | null)[] = [...Array<null>(before).fill(null), ...Array.from({ length: days }, (_, n) => `${name}-${two(n + 1)}`)]
  while (cells.length % 7) cells.push(null)
  const title = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(new Date(Date.UTC(year, number - 1, 1)))
  return { name, title, weeks: Array.from({ length: cells.length / 7 }, (_, n) => cells.slice(n * 7, n * 7 + 7)) }
}
