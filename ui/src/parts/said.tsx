/** A sentence of the service: what stands in it between backticks is a command, and its instants are in the zone that is chosen. */
import { Instant } from './basics'

const INSTANT = /(?<![@\w])(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z)/

export function Said({ text }: { text: string }) {
  return <>{text.split('`').map((piece, i) => (i % 2 ? <code key={i}>{piece}</code> : <Plain key={i} text={piece} />))}</>
}

/** Text that has no command in it. */
export function Plain({ text }: { text: string }) {
  return <>{text.split(INSTANT).map((piece, i) => (i % 2 ? <Instant key={i} at={piece.replace(' ', 'T')} /> : piece))}</>
}
