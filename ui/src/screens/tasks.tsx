import { Head } from '../parts/basics'

export default function Tasks() {
  return <Head title="Tasks" />
}
