/** What is told beside a sentence, as pairs. */
import { Fragment } from 'preact'
import { Plain } from './said'
import './details.css'

export function Details({ of }: { of: readonly { what: string; value: string }[] }) {
  return <>{of.map((each, i) => <Fragment key={i}><dt>{each.what}</dt><dd><Plain text={each.value} /></dd></Fragment>)}</>
}
