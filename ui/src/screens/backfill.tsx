import { Head } from '../parts/basics'

export default function Backfill() {
  return <Head title="Backfill" />
}
