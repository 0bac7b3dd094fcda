"""`simulated`: DAGs lived through in simulated time, their bodies and their outside by a script."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from bide.runtime.clock import to_us
from bide.runtime.errors import RefusedError, UsageError
from bide.runtime.graph.dag import Dag
from bide.runtime.service.addresses import read_date
from bide.runtime.service.limits import Pool
from bide.runtime.store.journal import JournalLine, instant, read_journal
from bide.testing.clock import SimClock
from bide.testing.simulation.fate import Fates
from bide.testing.simulation.report import Report, report_of
from bide.testing.simulation.runtime import SimulatedRuntime
from bide.testing.simulation.script import Order, Script
from bide.testing.simulation.tally import Tally

Instant = datetime | str | int
_BEFORE = -1


class Simulation:
    """Made by `simulated`. `rt` is the runtime, `clock` its time."""

    def __init__(
        self, dags: Sequence[Dag], folder: Path, *, start: Instant, script: Script, seed: int | None,
        slots: int, pools: Mapping[str, Pool | int] | None,
    ) -> None:  # fmt: skip
        script.check(dags)
        self.script = script
        self.seed = script.seed if seed is None else seed
        self.start_us = _us(start)
        self.clock = SimClock(  # however slow the machine: it must not change the story
            self.start_us, patience=inf, order=Random(f"{self.seed}/order")
        )
        self.until_us = self.start_us
        """Everything before this instant has been lived through."""
        self._dags = list(dags)
        self._db = folder / "bide.db"
        self._limits: dict[str, Any] = {"slots": slots, "pools": pools}
        self._tally = Tally(self.clock.now, lambda: self.rt.slots_in_use, self._dag_of, self._task_of)
        self._fates = Fates(script, self.seed, self.start_us)
        self._ahead = sorted(_turning_points(script), key=lambda point: point[0])
        for at_us, what in self._ahead:
            if isinstance(what, Order) and what.dag not in {dag.name for dag in dags}:
                raise UsageError(f"the script has an order for the DAG {what.dag!r}, which is not simulated")
            if at_us < self.start_us:
                raise UsageError(f"the script has something before the start of the simulation: {what}")
        self.refused: list[tuple[str, str]] = []
        """Orders that were refused, and why."""
        self.rt: SimulatedRuntime = self._runtime()
        self._up = False

    async def run_until(self, when: Instant) -> None:
        """Live on up to an instant; what is due at that instant itself is still to come."""
        until_us = max(_us(when), self.until_us)
        while self._ahead and self._ahead[0][0] < until_us:
            at_us, what = self._ahead.pop(0)
            await self._move(at_us)
            await self._turn(what)
        if until_us > self.until_us:
            await self._move(until_us + _BEFORE)
        self.until_us = until_us

    async def run_for(self, span: timedelta) -> None:
        """Live on for a span."""
        await self.run_until(self.until_us + span // timedelta(microseconds=1))

    def journal(self) -> Iterator[JournalLine]:
        """Every transition up to now, in order, with names instead of ids."""
        return read_journal(self._db)

    def journal_bytes(self) -> bytes:
        """The journal as JSON lines: the same DAGs, script and seed give the same bytes."""
        return b"".join(msgspec.json.encode(line) + b"\n" for line in self.journal())

    def save_journal(self, path: str | Path) -> int:
        """Write the journal as JSON lines; how many they are."""
        count = 0
        with Path(path).open("wb") as file:
            for line in self.journal():
                file.write(msgspec.json.encode(line) + b"\n")
                count += 1
        return count

    def report(self) -> Report:
        """What came of it so far."""
        return report_of(self._tally, self._dags, self.start_us, self.until_us, self.seed, self.refused)

    # --- life ------------------------------------------------------------------------------------

    def _runtime(self) -> SimulatedRuntime:
        return SimulatedRuntime(
            self._db, self._dags, clock=self.clock, fates=self._fates, tally=self._tally,
            since_us=self.start_us, **self._limits,
        )  # fmt: skip

    async def _begin(self) -> None:
        await self.rt.__aenter__()
        self._up = True

    async def _end(self) -> None:
        if self._up:
            self._up = False
            await self.rt.__aexit__(None, None, None)

    async def _move(self, to_us: int) -> None:
        await self.clock.advance_to(to_us)
        if self._up:
            await self.rt.settled()

    async def _turn(self, what: Order | bool) -> None:
        """An order is given, or the runtime goes down, or comes up again."""
        match what:
            case False:
                await self._end()
            case True:
                self.rt = self._runtime()
                await self._begin()
            case Order():
                await self._order(what)

    async def _order(self, order: Order) -> None:
        try:
            if not self._up:
                raise RefusedError("no runtime lives at that instant")
            if order.do == "trigger":
                await self.rt.trigger(order.dag, logical_date=order.date, params=order.params)
            else:
                await self.rt.command(order.do, {"dag": order.dag})
        except RefusedError as error:
            self.refused.append((instant(self.clock.now()), f"{order.do} {order.dag}: {error}"))

    def _dag_of(self, dag_id: int) -> str:
        return self.rt.dag_of(dag_id)

    def _task_of(self, instance_id: int) -> str:
        return self.rt.task_of(instance_id)


@asynccontextmanager
async def simulated(
    dags: Sequence[Dag],
    *,
    start: Instant = "2026-01-01T00:00",
    script: Script | None = None,
    seed: int | None = None,
    slots: int = 32,
    pools: Mapping[str, Pool | int] | None = None,
) -> AsyncIterator[Simulation]:
    """DAGs in simulated time without their bodies: a month takes seconds.

        async with simulated([events, mart], start="2026-06-01", script=script) as sim:
            await sim.run_until("2026-07-01")
            assert sim.report().dags["mart"].outcomes == {"success": 30}

    Engine, schedules, store and triggerer are the real ones; durations, ends and what is waited for
    are the script's: without it everything succeeds at once. Naive instants are UTC. The database is
    a scratch one, gone at the end: nothing of it is durable.
    """
    with tempfile.TemporaryDirectory(prefix="bide-sim-") as folder:
        sim = Simulation(
            dags, Path(folder), start=start, script=script or Script(), seed=seed, slots=slots, pools=pools
        )
        await sim._begin()
        try:
            yield sim
        finally:
            await sim._end()


def _turning_points(script: Script) -> Iterator[tuple[int, Order | bool]]:
    for order in script.orders:
        yield read_date(order.at), order
    for down in script.down:
        yield read_date(down.since), False
        yield read_date(down.until), True


def _us(when: Instant) -> int:
    if isinstance(when, int):
        return when
    if isinstance(when, str):
        return read_date(when)
    return to_us(when) if when.tzinfo is not None else read_date(when.isoformat())
