/** `1.2 MB`, `340 kB`: bytes as people read them. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let at = 0
  let left = count
  while (left >= 1000 && at < units.length - 1) {
    left /= 1000
    at++
  }
  return `${left < 10 && at > 0 ? left.toFixed(1) : Math.round(left)} ${units[at]}`
}

const format = new Intl.NumberFormat()

/** `1,204`: as `toLocaleString` says it, which makes a format anew each time. */
export const whole = (count: number): string => format.format(count)
