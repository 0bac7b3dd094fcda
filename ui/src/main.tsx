import { render } from 'preact'
import { Frame } from './app/frame'
import { listenForPalette } from './app/palette'
import { keepTheme } from './app/theme'
import { start } from './api/feed'
import { listen } from './lib/router'
import './style.css'

keepTheme()
listen()
listenForPalette()
start()
render(<Frame />, document.getElementById('app')!)
