/** A sentence of the service: what stands in it between backticks is a command. */
export function Said({ text }: { text: string }) {
  return <>{text.split('`').map((piece, i) => (i % 2 ? <code key={i}>{piece}</code> : piece))}</>
}
