import { effect, signal } from '@preact/signals'

const KEY = 'bide.theme'
export type Theme = 'light' | 'dark' | 'system'
export const theme = signal<Theme>((localStorage.getItem(KEY) as Theme | null) ?? 'system')

export function keepTheme() {
  effect(() => {
    localStorage.setItem(KEY, theme.value)
    if (theme.value === 'system') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme.value
  })
}
