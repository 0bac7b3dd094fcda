import { Head } from '../parts/basics'

export default function Dag() {
  return <Head title="Dag" />
}
