/** The thread that lays graphs out. */
import { arrange } from './graph_arrange'
import type { Structure } from './graph_layout'

addEventListener('message', ({ data }: MessageEvent<{ key: string; structure: Structure }>) => {
  postMessage({ key: data.key, layout: arrange(data.structure) })
})
