"""A graph as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Sequence

from bide.runtime.graph.handlers import CALLBACKS
from bide.runtime.graph.spec import TaskSpec


def flowchart(tasks: Sequence[TaskSpec]) -> str:
    """One node a task, one subgraph a group; sensors, branches, tear-downs, mapped tasks have their own shapes.

    Dotted edges lead to failure handlers; callbacks of the graph stand beside it.

    >>> from bide.runtime.graph.spec import Lane
    >>> print(flowchart([TaskSpec(name="e.load", lane=Lane.ASYNC, group="e")]))
    flowchart LR
        subgraph g0["e"]
            t0["load"]
        end
    """
    place = {task.name: f"t{n}" for n, task in enumerate(tasks)}
    lines = ["flowchart LR", *_within("", tasks, place, {}, "    ")]
    lines += [f"    {place[up]} --> {place[task.name]}" for task in tasks for up in task.upstream]
    lines += [f"    {place[name]} -. fails .-> {place[task.name]}" for task in tasks for name in task.handles]
    return "\n".join(lines)


def _within(
    group: str, tasks: Sequence[TaskSpec], place: dict[str, str], numbers: dict[str, int], indent: str
) -> list[str]:
    """The lines of what stands in a group, each group within it where its first task stands."""
    lines: list[str] = []
    inner: dict[str, list[TaskSpec]] = {}
    for task in tasks:
        if task.group != group:
            inner.setdefault(_child(group, task.group), []).append(task)
    for task in tasks:
        if task.group == group:
            left, right = _shape(task)
            name = task.name[len(group) + 1 :] if group else task.name
            name += f" ({task.role.value})" if task.role in CALLBACKS else ""
            name = f"{name} × n" if task.map is not None else name
            lines.append(f'{indent}{place[task.name]}{left}"{name}"{right}')
        elif (child := _child(group, task.group)) in inner:
            number = numbers.setdefault(child, len(numbers))
            title = child[len(group) + 1 :] if group else child
            lines.append(f'{indent}subgraph g{number}["{title}"]')
            lines += _within(child, inner.pop(child), place, numbers, indent + "    ")
            lines.append(f"{indent}end")
    return lines


def _child(group: str, within: str) -> str:
    """The group right below `group` in which `within` stands."""
    rest = within[len(group) + 1 :] if group else within
    head = rest.partition(".")[0]
    return f"{group}.{head}" if group else head


def _shape(task: TaskSpec) -> tuple[str, str]:
    if task.sensor is not None:
        return "([", "])"
    if task.map is not None:
        return "[[", "]]"
    if task.branch:
        return "{", "}"
    return ("[/", "/]") if task.setup else ("[\\", "\\]") if task.teardown else ("[", "]")
