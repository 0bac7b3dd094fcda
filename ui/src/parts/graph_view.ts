/** Which piece of a drawing is seen: moved and zoomed without drawing it anew. */
import type { RefObject } from 'preact'
import { useLayoutEffect, useMemo } from 'preact/hooks'
import { batch, type Signal } from '@preact/signals'
import { boxes, HEIGHT, WIDTH, within, type Layout } from './graph_layout'

const EDGE = 14
const LEAST = 0.06
/** Smaller than this no name can be read: a large graph opens at its start instead. */
const LEGIBLE = 0.5
/** On a narrow screen a part that can be read says more than the whole. */
const LEGIBLE_NARROW = 0.75
const TALLEST = 560
/** Smaller than this no letter can be told from another: none is drawn. */
const FAR = 0.22

export interface View {
  fit: () => void
  zoom: (by: number) => void
  /** Move so that this place is seen. */
  show: (at: readonly [number, number]) => void
}

/** Which nodes are seen, and whether from so far that no letter can be told from another: moving and zooming tells. */
export interface Seen {
  nodes: readonly Signal<boolean>[]
  far: Signal<boolean>
}

export function useView(svg: RefObject<SVGSVGElement | null>, place: RefObject<SVGGElement | null>, layout: Layout, seen: Seen): View {
  const view = useMemo(() => {
    let [x, y, scale] = [0, 0, 1]
    let size = { width: 0, height: 0 }
    const all = boxes(layout)
    const shown: boolean[] = []
    const first = layout.lines.length
    /** What is out of sight is not in the page, so that a change costs what is seen of it. */
    const put = () => {
      const drawn = place.current
      if (!drawn) return
      drawn.setAttribute('transform', `translate(${x.toFixed(1)},${y.toFixed(1)}) scale(${scale.toFixed(4)})`)
      drawn.classList.toggle('far', scale < FAR)
      seen.far.value = scale < FAR
      const box = [-x / scale - EDGE, -y / scale - EDGE, (size.width - x) / scale + EDGE, (size.height - y) / scale + EDGE] as const
      batch(() => all.forEach((each, i) => {
        const at = drawn.children[i] as SVGElement | undefined
        const is = within(each, box)
        if (!at || is === shown[i]) return
        shown[i] = is || at.getAttribute('tabindex') === '0' // where the keys come in stays
        at.style.display = shown[i] ? '' : 'none'
        if (i >= first) seen.nodes[i - first]!.value = shown[i]!
      }))
    }
    const measure = () => {
      const { width, height } = svg.current!.getBoundingClientRect()
      size = { width, height }
    }
    const zoomAt = (by: number, px: number, py: number) => {
      const next = Math.min(2.5, Math.max(LEAST, scale * by))
      x = px - ((px - x) * next) / scale
      y = py - ((py - y) * next) / scale
      scale = next
      put()
    }
    const legible = () => (size.width < 480 ? LEGIBLE_NARROW : LEGIBLE)
    const whole = (least: number) => {
      const { width, height } = size
      scale = Math.min(1, Math.max(least, Math.min((width - 2 * EDGE) / layout.width, (height - 2 * EDGE) / layout.height)))
      x = Math.max(EDGE, (width - layout.width * scale) / 2)
      y = (height - layout.height * scale) / 2
      put()
    }
    return {
      first: () => {
        const drawn = svg.current!
        measure()
        const scale = Math.min(1, Math.max(legible(), (size.width - 2 * EDGE) / layout.width))
        size.height = Math.round(Math.min(TALLEST, Math.max(110, layout.height * scale + 2 * EDGE + 8)))
        drawn.style.height = `${size.height}px`
        whole(legible())
        drawn.classList.remove('unplaced')
      },
      fit: () => whole(LEAST),
      zoom: (by: number) => zoomAt(by, size.width / 2, size.height / 2),
      zoomAt,
      sized: () => {
        measure()
        put()
      },
      move: (dx: number, dy: number) => {
        x += dx
        y += dy
        put()
      },
      show: ([px, py]: readonly [number, number]) => {
        const { width, height } = size
        const [left, top] = [x + px * scale, y + py * scale]
        const [w, h] = [(WIDTH / 2) * scale + EDGE, (HEIGHT / 2) * scale + EDGE]
        if (left < w) x += w - left
        else if (left > width - w) x -= left - (width - w)
        if (top < h) y += h - top
        else if (top > height - h) y -= top - (height - h)
        put()
      },
    }
  }, [layout])

  useLayoutEffect(() => {
    const drawn = svg.current!
    view.first()
    const sized = new ResizeObserver(() => view.sized())
    sized.observe(drawn)
    let held: { id: number; x: number; y: number } | null = null
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return // the page is what a bare wheel scrolls
      event.preventDefault()
      const { left, top } = drawn.getBoundingClientRect()
      view.zoomAt(Math.exp(-event.deltaY / 300), event.clientX - left, event.clientY - top)
    }
    const down = (event: PointerEvent) => {
      if (event.button !== 0 || (event.target as Element).closest('.node')) return
      held = { id: event.pointerId, x: event.clientX, y: event.clientY }
      drawn.setPointerCapture(event.pointerId)
    }
    const move = (event: PointerEvent) => {
      if (held?.id !== event.pointerId) return
      view.move(event.clientX - held.x, event.clientY - held.y)
      held = { id: held.id, x: event.clientX, y: event.clientY }
    }
    const up = () => void (held = null)
    drawn.addEventListener('wheel', wheel, { passive: false })
    drawn.addEventListener('pointerdown', down)
    drawn.addEventListener('pointermove', move)
    drawn.addEventListener('pointerup', up)
    drawn.addEventListener('pointercancel', up)
    return () => {
      sized.disconnect()
      drawn.removeEventListener('wheel', wheel)
      drawn.removeEventListener('pointerdown', down)
      drawn.removeEventListener('pointermove', move)
      drawn.removeEventListener('pointerup', up)
      drawn.removeEventListener('pointercancel', up)
    }
  }, [view])
  return view
}
