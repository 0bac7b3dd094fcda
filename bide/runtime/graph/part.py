"""A part of a graph: some of its tasks, in the order in which they stood. Pure."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from bide.runtime.graph.handlers import CALLBACKS
from bide.runtime.graph.spec import DagSpec, TaskSpec


def part_of(spec: DagSpec, tasks: Collection[str]) -> DagSpec:
    """The graph of these tasks alone, of who handles their failures, and of its callbacks.

    A task comes after what it stood behind, also where what stood between the two is left out.
    """
    chosen = set(tasks)
    for task in spec.tasks:
        if task.role in CALLBACKS or chosen.intersection(task.handles):
            chosen.add(task.name)
    above = _above(spec.tasks, chosen)
    kept = tuple(
        msgspec.structs.replace(
            task,
            upstream=above[task.name],
            setups=tuple(up for up in task.setups if up in chosen),
            handles=tuple(up for up in task.handles if up in chosen),
        )
        for task in spec.tasks
        if task.name in chosen
    )
    return msgspec.structs.replace(spec, tasks=kept)


def _above(tasks: tuple[TaskSpec, ...], chosen: set[str]) -> dict[str, tuple[str, ...]]:
    """By task: the chosen ones right above it, seen through those that are left out."""
    known = {task.name: task for task in tasks}
    found: dict[str, tuple[str, ...]] = {}
    for name in known:
        path = [name]
        while path:
            at = path[-1]
            todo = [up for up in known[at].upstream if up not in chosen and up not in found]
            if todo:
                path.extend(todo)
                continue
            path.pop()
            seen: dict[str, None] = {}
            for up in known[at].upstream:
                seen.update(dict.fromkeys((up,) if up in chosen else found[up]))
            found[at] = tuple(seen)
    return found
