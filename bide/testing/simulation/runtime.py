"""A `SimRuntime` that runs no bodies: scripted executor, scripted sources, a database nobody keeps.

All else is the real thing: engine, `decide`, schedules, store, triggerer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bide.runtime.engine.messages import DagLoaded, Input, RunEnded, RunOpened
from bide.runtime.executor.executor import Executor
from bide.runtime.executor.logs import LogBook
from bide.runtime.graph.dag import Dag
from bide.runtime.service.limits import Pool
from bide.runtime.store.inline import InlineWriter
from bide.testing.clock import SimClock
from bide.testing.runtime import SimRuntime
from bide.testing.simulation.bodies import ScriptedBodies
from bide.testing.simulation.fate import Arrival, Fates
from bide.testing.simulation.sources import Makers, ScriptedWorld
from bide.testing.simulation.tally import Tally


class SimulatedRuntime(SimRuntime):
    """Made by `simulated`. A DAG's schedule begins at `since_us`, however early its own start is."""

    def __init__(
        self, db: Path, dags: Sequence[Dag], *, clock: SimClock, fates: Fates, tally: Tally, since_us: int,
        slots: int, pools: Mapping[str, Pool | int] | None,
    ) -> None:  # fmt: skip
        super().__init__(db, dags, clock=clock, slots=slots, pools=pools, open_store=_scratch)
        self._fates = fates
        self._tally = tally
        self._since_us = since_us

    def _executor(self, epoch: int) -> Executor:
        """Here everything that is simulated takes its place; no wait is armed and no body begun before."""
        shell, post = self._shell, self._engine.post
        shell.triggerer.makers = Makers(ScriptedWorld(self._arrival, post))
        shell.heard[RunOpened] = lambda e: self._tally.opened(e.run)
        shell.heard[RunEnded] = lambda e: self._fates.forget(e.run_id)
        shell.listeners.append(self._tally)
        return ScriptedBodies(
            self.clock, self._fates, lambda run_id: shell.runs[run_id], post,
            logs=self.logs, epoch=epoch, fence=self._may_begin, resolve=shell.resolve, threads=1,
        )  # fmt: skip

    def _log_book(self) -> LogBook:
        """Nobody reads the logs of bodies that never ran, and waiting is told by the journal."""
        book = super()._log_book()
        self._waiting_log = _unheard
        return book

    def _loads(self, dags: Sequence[Dag]) -> list[Input]:
        return [self._begun_at_start(each) for each in super()._loads(dags)]

    def _begun_at_start(self, each: Input) -> Input:
        if not isinstance(each, DagLoaded):
            return each
        start = each.options.get("start_us")
        if start is None or start >= self._since_us:
            return each
        return msgspec.structs.replace(each, options={**each.options, "start_us": self._since_us})

    def _arrival(self, wait_id: int) -> Arrival | None:
        wait = self._engine.world.waits.get(wait_id)
        if wait is None:
            return self._event(wait_id)
        inst = wait.inst
        return self._fates.arrival(inst.run.meta, inst.task.name, inst.map_index, self.clock.now())

    def _event(self, standing_id: int) -> Arrival | None:
        """What comes next for a trigger of a schedule."""
        held = self._engine.world.standing.get(standing_id)
        if held is None:
            return None
        return self._fates.event(held.dag.name, held.dag.tz, standing_id, held.firings)

    def _at_work(self) -> bool:
        if self._engine.failure is not None:
            return False
        return not self._engine.quiet or bool(self._shell.triggerer.looking)

    def dag_of(self, dag_id: int) -> str:
        """The name of a DAG."""
        return next((dag.name for dag in self._engine.world.dags.values() if dag.dag_id == dag_id), "")

    def task_of(self, instance_id: int) -> str:
        """The name of an open instance's task."""
        inst = self._engine.world.instances.get(instance_id)
        return "" if inst is None else inst.task.name


def _unheard(_attempt_id: int, _text: str) -> None:
    pass


def _scratch(db: Path) -> InlineWriter:
    """Nothing durable is promised of a simulation: its database is never synced."""
    return InlineWriter.open_here(db, synchronous="NORMAL", create=True, lasting=False)
