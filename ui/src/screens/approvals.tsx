import { Head } from '../parts/basics'

export default function Approvals() {
  return <Head title="Approvals" />
}
