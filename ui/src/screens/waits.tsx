import { Head } from '../parts/basics'

export default function Waits() {
  return <Head title="Waits" />
}
