import { Head } from '../parts/basics'

export default function Task() {
  return <Head title="Task" />
}
