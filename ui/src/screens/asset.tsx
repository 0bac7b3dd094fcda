import { Head } from '../parts/basics'

export default function Asset() {
  return <Head title="Asset" />
}
