import { Head } from '../parts/basics'

export default function Home() {
  return <Head title="Home" />
}
