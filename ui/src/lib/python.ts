/** Python in colours: a text as lines of pieces, each with what it is. A reader's eye is helped, nothing is understood. */

export type Look = '' | 'comment' | 'string' | 'keyword' | 'number' | 'decorator' | 'named'
export interface Piece { text: string; look: Look }

const KEYWORDS = new Set(('False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda '
  + 'match nonlocal not or pass raise return try type while with yield').split(' '))
const TOKEN = /(#.*)|([rRbBuUfFtT]{0,2})("""|'''|"|')|(@[\w.]+)|(\d[\w.]*)|([^\W\d]\w*)|\s+|./gu
const SOFT = new Set(['match', 'case', 'type'])

/** The lines of a text; a text of more than `most` lines stays plain. */
export function coloured(lines: readonly string[], most = 5_000): Piece[][] {
  if (lines.length > most) return lines.map((text) => [{ text, look: '' }])
  let open = '' // the quotes that a string over several lines ends with
  return lines.map((line) => {
    const found: Piece[] = []
    const add = (text: string, look: Look) => {
      const last = found.at(-1)
      if (last && last.look === look) last.text += text
      else if (text) found.push({ text, look })
    }
    let at = 0
    let named = false // the word before says that a name follows
    if (open) {
      at = closed(line, 0, open)
      if (at < 0) return line ? [{ text: line, look: 'string' as const }] : []
      add(line.slice(0, at), 'string')
      open = ''
    }
    TOKEN.lastIndex = at
    for (let token = TOKEN.exec(line); token; token = TOKEN.exec(line)) {
      const [text, comment, , quote, decorator, number, word] = token
      if (comment) add(text, 'comment')
      else if (quote) {
        const end = closed(line, TOKEN.lastIndex, quote)
        add(line.slice(token.index, end < 0 ? line.length : end), 'string')
        if (end < 0) {
          if (quote.length === 3) open = quote
          break
        }
        TOKEN.lastIndex = end
      } else if (decorator) add(text, line.slice(0, token.index).trim() ? '' : 'decorator')
      else if (number) add(text, 'number')
      else if (word) {
        const keyword = KEYWORDS.has(word) && !(SOFT.has(word) && !/^\s*$/.test(line.slice(0, token.index)))
        add(text, named ? 'named' : keyword && !(SOFT.has(word) && /^\s*[=(.,:)\]]/.test(line.slice(TOKEN.lastIndex))) ? 'keyword' : '')
        named = word === 'def' || word === 'class'
        continue
      } else add(text, '')
      if (text.trim()) named = false
    }
    return found
  })
}

/** Where a string that has begun ends, behind its quotes; -1: not on this line. */
function closed(line: string, from: number, quote: string): number {
  for (let at = from; at < line.length; at++) {
    if (line[at] === '\\') at++
    else if (line.startsWith(quote, at)) return at + quote.length
  }
  return -1
}
