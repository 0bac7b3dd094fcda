import { Head } from '../parts/basics'

export default function Run() {
  return <Head title="Run" />
}
