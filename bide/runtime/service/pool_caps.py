"""Caps of DAGs and tasks that hold somebody back: which there are, and of a cap on runs who holds it and who waits.

A cap on tasks (`max_active_tasks` of a DAG, `max_active` of a task) is a resource as a pool is one. A cap on the runs of a
DAG (`max_active_runs`) is taken by its live runs; those that wait for it stand in the heap of their DAG.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from itertools import islice
from typing import Final, NamedTuple

from bide.runtime.engine.states import RunState
from bide.runtime.engine.world import DagState, Run, World
from bide.runtime.service.pool_queues import COUNTED, HOLDERS, Bounded, Key, behind

KINDS: Final = ("dag", "task", "runs")
_SAID: Final = {"DAG": "dag", "task": "task"}
"""How the engine names such a resource, and what it is called here."""


class Runs(NamedTuple):
    """How many runs of a DAG there may be at once."""

    of: DagState
    kind: str = "runs"

    @property
    def name(self) -> str:
        return self.of.name

    @property
    def key(self) -> str:
        return f"runs:{self.of.name}"

    @property
    def capacity(self) -> int:
        return int(self.of.options.get("max_active_runs", 1))


class Queued(NamedTuple):
    """A run that waits for its place among those of its DAG."""

    key: Key
    place: int
    run: Run


def holding(world: World) -> Iterator[Bounded | Runs]:
    """Those for which somebody may wait now, by kind and name."""
    waited = sorted(name for name, one in world.resources.items() if one.parked or one.parked_too)
    yield from (_resource(world, name) for name in waited)
    full = sorted(name for name, dag in world.dags.items() if dag.queued and _full(dag))
    yield from (Runs(world.dags[name]) for name in full)


def named(world: World, key: str) -> Bounded | Runs | None:
    """The one of this key, whether or not somebody waits for it."""
    kind, _, name = key.partition(":")
    if kind == "runs":
        dag = world.dags.get(name)
        return None if dag is None else Runs(dag)
    for word, said in _SAID.items():
        if kind == said and f"{word} {name}" in world.resources:
            return _resource(world, f"{word} {name}")
    return None


def _resource(world: World, said: str) -> Bounded:
    word, _, name = said.partition(" ")
    return Bounded(_SAID[word], name, world.resources[said])


def _full(dag: DagState) -> bool:
    return not dag.removed and dag.active_runs >= int(dag.options.get("max_active_runs", 1))


def running(world: World, of: Runs) -> list[Run]:
    """The runs that count for it, those that began first in front."""
    found = (
        run
        for run_id in of.of.runs
        if (run := world.runs[run_id]).state is RunState.RUNNING and run.backfill is None and not run.apart
    )
    return nsmallest(HOLDERS, found, key=lambda run: (run.started or 0, run.run_id))


def stands(world: World, run_id: int) -> bool:
    """Whether an entry of a DAG's heap still counts. A paused DAG lets no run begin: nobody waits for its turn."""
    run = world.runs.get(run_id)
    return run is not None and run.state is RunState.QUEUED and not run.dag.paused


def waiting(world: World, of: Runs) -> tuple[int, bool]:
    """(how many wait for it, whether more do than were counted)."""
    heap = of.of.queued
    return sum(stands(world, run_id) for _, run_id in islice(heap, COUNTED)), len(heap) > COUNTED


async def queued(world: World, of: Runs, after: Key | None, limit: int) -> list[Queued]:
    """Who waits, in the order in which they begin; looked at in slices."""
    entries = [(1, order, run_id) for order, run_id in of.of.queued]
    before, found = await behind(entries, lambda key: key, lambda key: stands(world, key[2]), after, limit)
    return [Queued(key, before + place, world.runs[key[2]]) for place, key in enumerate(found, 1)]
