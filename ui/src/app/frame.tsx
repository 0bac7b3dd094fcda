/** What stands around every screen: the menu, what is live, the choices that hold for the whole page. */
import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { signal } from '@preact/signals'
import { connection } from '../api/feed'
import { refused, signIn, signOut, token } from '../api/session'
import { Choice, Empty, Link } from '../parts/basics'
import { Dialog, Notes } from '../parts/action'
import { match, path } from '../lib/router'
import { dagZone, zone, type Zone } from '../lib/time'
import { MENU, SCREENS } from './screens'
import { Palette, showPalette } from './palette'
import { theme, type Theme } from './theme'

const menuShown = signal(false)

export function Frame() {
  const at = path.value
  useEffect(() => {
    menuShown.value = false
    dagZone.value = 'UTC'
    document.getElementById('main')?.focus({ preventScroll: true })
  }, [at])
  if (refused.value && connection.value !== 'live') return <SignIn />
  return (
    <>
      <a class="jump" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById('main')?.focus() }}>To the content</a>
      <header class="top">
        <button class="menu small" aria-expanded={menuShown.value} aria-controls="menu" onClick={() => (menuShown.value = !menuShown.value)}>Menu</button>
        <Link to="/" class="name">bide</Link>
        <Live />
        <div class="grow" />
        <button class="small" aria-haspopup="dialog" onClick={showPalette} title="Ctrl-K">Find or do</button>
        <Choices />
      </header>
      <nav id="menu" class={menuShown.value ? 'shown' : undefined} aria-label="Screens">
        {MENU.map(([to, text]) => <Link key={to} to={to} aria-current={(to === '/' ? at === '/' : at === to || at.startsWith(`${to}/`)) ? 'page' : undefined}>{text}</Link>)}
        <Choices />
        {token.value && <button class="small" onClick={signOut}>Sign out</button>}
      </nav>
      <main id="main" tabIndex={-1}><Screen at={at} /></main>
      <Dialog />
      <Palette />
      <Notes />
    </>
  )
}

/** What holds for the whole page; on a narrow screen it stands in the menu. */
function Choices() {
  return (
    <div class="choices">
      <Choice label="Time zone" value={zone.value} onChange={(chosen) => (zone.value = chosen as Zone)} options={[['local', 'Local'], ['utc', 'UTC'], ['dag', 'DAG']]} />
      <Choice label="Theme" value={theme.value} onChange={(chosen) => (theme.value = chosen as Theme)} options={[['light', 'Light'], ['dark', 'Dark'], ['system', 'Auto']]} />
    </div>
  )
}

function Live() {
  const is = connection.value
  const text = is === 'live' ? 'Live' : is === 'off' ? 'Not let in' : 'Reconnecting'
  return <span class={`live ${is}`} role="status"><i aria-hidden="true" />{text}</span>
}

function Screen({ at }: { at: string }) {
  const [found, setFound] = useState<{ at: string; of: ComponentType<any>; names: object } | null>(null)
  const [failed, setFailed] = useState(false)
  const screen = SCREENS.find((each) => match(each.at, at))
  useEffect(() => {
    let left = false
    setFailed(false)
    screen?.load().then(
      (loaded) => { if (!left) setFound({ at: screen.at, of: loaded.default, names: match(screen.at, at) ?? {} }) },
      () => { if (!left) setFailed(true) },
    )
    return () => { left = true }
  }, [at])
  if (!screen) return <Empty title="There is no such page">The address {at} leads nowhere. The menu has all there is; Ctrl-K finds runs and DAGs by name.</Empty>
  if (failed) return <Empty title="The page cannot be loaded">The service does not give its files, or has been renewed: load the page anew.</Empty>
  if (!found || found.at !== screen.at) return <div class="coming" aria-busy="true">Loading</div>
  const names = match(screen.at, at) ?? found.names
  return <found.of key={JSON.stringify(names)} {...names} />
}

function SignIn() {
  const [shown, setShown] = useState('')
  return (
    <main class="sign-in" id="main">
      <h1>bide</h1>
      <p>{refused.value}</p>
      <p><code>bide ui</code> opens this page with a token of its own. Or make one and paste it here:</p>
      <div class="command"><code>bide token create me --scope admin --expires 12h</code></div>
      <form onSubmit={(event) => { event.preventDefault(); if (shown.trim()) { signIn(shown.trim()); location.reload() } }}>
        <label class="field"><span>Token</span><input type="password" autocomplete="off" value={shown} onInput={(event) => setShown(event.currentTarget.value)} /></label>
        <button class="first" type="submit">Open</button>
      </form>
    </main>
  )
}
