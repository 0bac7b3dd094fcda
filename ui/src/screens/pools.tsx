import { Head } from '../parts/basics'

export default function Pools() {
  return <Head title="Pools" />
}
