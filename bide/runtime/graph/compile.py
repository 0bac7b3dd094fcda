"""A graph as the engine runs on it: indices instead of names, made once per version."""

from __future__ import annotations

from dataclasses import dataclass

from bide.runtime.graph.branching import beyond
from bide.runtime.graph.handlers import waits_on
from bide.runtime.graph.spec import DagSpec, Role, TaskSpec


@dataclass(frozen=True, slots=True)
class Compiled:
    """The tasks of a version in declaration order, and their edges by index in both directions.

    What a handler or a callback hears of is an edge as well: it is told of each end by the same counters.
    """

    spec: DagSpec
    tasks: tuple[TaskSpec, ...]
    index: dict[str, int]
    upstream: tuple[tuple[int, ...], ...]
    downstream: tuple[tuple[int, ...], ...]
    waiting: tuple[int, ...]
    """Per task: its number of upstreams."""
    beyond: dict[int, dict[int, frozenset[int]]]
    """Per branch and task right below it: which of the others right below it stand below that one."""
    handled: bool
    """Whether there are handlers or callbacks."""
    in_order: bool
    """Whether tasks of it depend on the run before: then its runs begin in the order of their dates."""


def compile_spec(spec: DagSpec) -> Compiled:
    """Compile a graph that is known to be legal. O(tasks + edges)."""
    tasks = spec.tasks
    index = {task.name: place for place, task in enumerate(tasks)}
    below: list[list[int]] = [[] for _ in tasks]
    upstream: list[tuple[int, ...]] = []
    handled = any(task.role is not Role.TASK for task in tasks)
    beside = waits_on(tasks) if handled else {}
    for place, task in enumerate(tasks):
        ups = tuple([index[name] for name in beside.get(task.name, task.upstream)])
        upstream.append(ups)
        for up in ups:
            below[up].append(place)
    downstream = tuple(map(tuple, below))
    return Compiled(
        spec=spec,
        tasks=tasks,
        index=index,
        upstream=tuple(upstream),
        downstream=downstream,
        waiting=tuple(map(len, upstream)),
        beyond={
            place: beyond(place, downstream, upstream) for place, task in enumerate(tasks) if task.branch
        },
        handled=handled,
        in_order=any(task.depends_on_past for task in tasks),
    )
