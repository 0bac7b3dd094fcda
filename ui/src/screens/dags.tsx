import { Head } from '../parts/basics'

export default function Dags() {
  return <Head title="Dags" />
}
