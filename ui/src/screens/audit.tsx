import { Head } from '../parts/basics'

export default function Audit() {
  return <Head title="Audit" />
}
