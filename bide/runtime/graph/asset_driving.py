"""What drives each asset: one DAG in order, its own clock, events, a person, or several of these (S1-47).

Bounded units with contracts between them are better than one DAG that makes everything (S1-48).
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Final

import msgspec

from bide.runtime.graph.asset_graph import AssetGraph, Maker, Program
from bide.runtime.graph.spec import TaskSpec
from bide.runtime.schedules import Manual, OnAssets

LARGE: Final = 20
"""A DAG that makes so many assets, and more than half of all, is too much of the graph."""


class Driving(StrEnum):
    """How an asset comes to be made."""

    TOPOLOGICAL = "topological"  # in the order of one DAG, together with what it is made of
    INDEPENDENT = "independent"  # by its own DAG's clock; contracts tie it to others
    EVENT_DRIVEN = "event_driven"  # when what it is made of has new versions, or something happens
    MANUAL_CHECKPOINT = "manual_checkpoint"  # a person starts or approves it
    HYBRID = "hybrid"  # several of these
    EXTERNAL = "external"  # nobody here makes it


class Unit(msgspec.Struct, frozen=True):
    """A DAG that makes more of the graph than one should."""

    dag: str
    assets: int
    of: int


def driving(graph: AssetGraph) -> dict[str, Driving]:
    """Of each asset, by name."""
    return {name: _of(graph, name) for name in graph.names}


def _of(graph: AssetGraph, name: str) -> Driving:
    found = {each for maker in graph.makers.get(name, ()) for each in _ways(graph, name, maker)}
    if not found:
        return Driving.EXTERNAL
    return found.pop() if len(found) == 1 else Driving.HYBRID


def _ways(graph: AssetGraph, name: str, maker: Maker) -> set[Driving]:
    program = graph.programs[maker.dag]
    if _approved(program, maker.task) or isinstance(program.schedule, Manual):
        return {Driving.MANUAL_CHECKPOINT}
    parts = program.schedule.parts()
    found = {
        Driving.EVENT_DRIVEN if isinstance(part, OnAssets) or part.event else Driving.INDEPENDENT
        for part in parts
    }
    beside = any(
        other.dag == maker.dag
        for link in graph.upstream(name)
        for other in graph.makers.get(link.upstream, ())
    )
    if beside:
        found.discard(Driving.INDEPENDENT)
        found.add(Driving.TOPOLOGICAL)
    return found


def _approved(program: Program, name: str) -> bool:
    """Whether a person stands somewhere before a task, or it is itself one."""
    tasks = {task.name: task for task in program.spec.tasks}
    edge, seen = [name], set[str]()
    while edge:
        task = tasks[edge.pop()]
        if _asks(task):
            return True
        edge += [up for up in task.upstream if up not in seen]
        seen.update(task.upstream)
    return False


def _asks(task: TaskSpec) -> bool:
    effect = getattr(task, "effect", None)
    return getattr(task, "approval", None) is not None or bool(getattr(effect, "requires_approval", False))


def too_large(graph: AssetGraph) -> list[Unit]:
    """The DAGs that make too much of the whole graph; none where there is only one of everything."""
    made = Counter(dag for makers in graph.makers.values() for dag in {maker.dag for maker in makers})
    total = len(graph.makers)
    return [
        Unit(dag, count, total) for dag, count in sorted(made.items()) if count >= LARGE and 2 * count > total
    ]
