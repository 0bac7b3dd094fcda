import { Head } from '../parts/basics'

export default function Backfills() {
  return <Head title="Backfills" />
}
