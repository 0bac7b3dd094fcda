/** What somebody is asked, as a question and what there is to know for it: long ones are parted where their first clause ends. */

const SHORT = 140

export function asking(prompt: string): [string, string] {
  if (prompt.length <= SHORT) return [prompt, '']
  const end = /[:;.?!](?=\s)/.exec(prompt.slice(30, SHORT + 60))
  if (!end) return [prompt, '']
  const at = 30 + end.index
  const asked = /[?!.]/.test(end[0]) ? prompt.slice(0, at + 1) : prompt.slice(0, at)
  return [asked, prompt.slice(at + 1).trim()]
}
