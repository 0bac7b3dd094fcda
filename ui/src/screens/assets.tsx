import { Head } from '../parts/basics'

export default function Assets() {
  return <Head title="Assets" />
}
