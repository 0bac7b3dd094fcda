"""Waits for several runs of another DAG: those that cover an interval together.

They are kept by DAG. The end of a run or task within the interval has the database asked how its
runs stand; the answer judges all waits for that interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bide.runtime.engine.messages import RunsAsked
from bide.triggers.external_task import ExternalTaskTrigger

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Run, Wait, World


class Covered(NamedTuple):
    """A task, or with None whole runs, of an interval."""

    task: str | None
    start_us: int
    end_us: int


def watch(t: Turn, wait: Wait, trigger: ExternalTaskTrigger) -> None:
    """Wake this wait when the runs of its interval have ended; those that have already count as well."""
    key = _key(trigger)
    t.world.covering.setdefault(trigger.dag, {}).setdefault(key, {})[wait.wait_id] = wait
    _ask(t, trigger.dag, key)


def unwatch(world: World, wait: Wait, trigger: ExternalTaskTrigger) -> None:
    of_dag, key = world.covering.get(trigger.dag, {}), _key(trigger)
    waiters = of_dag.get(key, {})
    waiters.pop(wait.wait_id, None)
    if not waiters:
        of_dag.pop(key, None)
    if not of_dag:
        world.covering.pop(trigger.dag, None)


def waiters(world: World, dag: str, key: Covered) -> dict[int, Wait]:
    return world.covering.get(dag, {}).get(key, {})


def ended(t: Turn, run: Run, task: str | None) -> None:
    """A run, or a task of one, has ended: ask for the intervals that it is a part of."""
    meta = run.meta
    for key in t.world.covering.get(run.dag.name, ()):
        if key.task == task and meta.start_us < key.end_us and meta.end_us > key.start_us:
            _ask(t, run.dag.name, key)


def _ask(t: Turn, dag: str, key: Covered) -> None:
    t.ask(RunsAsked(dag, *key), ("runs_over", dag, *key))


def _key(trigger: ExternalTaskTrigger) -> Covered:
    assert trigger.until_us is not None
    return Covered(trigger.task, trigger.logical_us, trigger.until_us)
