import { Head } from '../parts/basics'

export default function System() {
  return <Head title="System" />
}
