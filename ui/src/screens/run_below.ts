/** What stands below a task of a graph, at any depth. */

export function below(tasks: readonly { task: string; upstream: readonly string[] }[]): (task: string) => Set<string> {
  const next = new Map<string, string[]>()
  for (const task of tasks)
    for (const up of task.upstream) {
      const there = next.get(up)
      if (there) there.push(task.task)
      else next.set(up, [task.task])
    }
  return (task) => {
    const found = new Set<string>()
    const open = [task]
    for (let at = open.pop(); at !== undefined; at = open.pop())
      for (const each of next.get(at) ?? [])
        if (!found.has(each)) {
          found.add(each)
          open.push(each)
        }
    return found
  }
}
