"""`sim_runtime`: a whole `Runtime` on a `SimClock` and a database that lives as long as the test.

Everything is the real thing but time, the sync to disk, and the sources that are faked.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from types import TracebackType

from bide.runtime.engine.messages import ClockStepped, Input
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.spec import Lane
from bide.runtime.notify.routes import Notify
from bide.runtime.service.declaring import Contracts
from bide.runtime.service.limits import Pool
from bide.runtime.service.runtime import Runtime
from bide.runtime.store.inline import InlineWriter
from bide.testing.clock import SimClock
from bide.testing.fakes import FakeSource


class SimRuntime(Runtime):
    """A `Runtime` whose time is `clock`. `fakes`: trigger kind -> what stands for its sources."""

    clock: SimClock  # pyright: ignore[reportIncompatibleVariableOverride] - nobody sets it anew

    def __init__(
        self,
        db: str | Path,
        dags: Sequence[Dag] = (),
        *,
        clock: SimClock | None = None,
        fakes: Mapping[str, FakeSource] | None = None,
        slots: int = 32,
        pools: Mapping[str, Pool | int] | None = None,
        grace: float = 0.5,
        open_store: Callable[[Path], InlineWriter] | None = None,
        contracts: Contracts = (),
        notify: Notify = (),
    ) -> None:
        clock = clock if clock is not None else SimClock()
        super().__init__(
            db,
            dags,
            slots=slots,
            pools=pools,
            clock=clock,
            watchdog=False,
            grace=grace,
            contracts=contracts,
            notify=notify,
        )
        self.fakes: dict[str, FakeSource] = dict(fakes or {})
        self._open_store = open_store if open_store is not None else _unsynced

    async def _open(self) -> None:
        self._store = self._open_store(self.db)
        await super()._open()
        self.clock.attach(self._at_work, self._step)

    def _loads(self, dags: Sequence[Dag]) -> list[Input]:
        """Before the first DAG is loaded no wait is armed: the fakes take the sources' places here."""
        self._shell.triggerer.random = Random(0)  # the spread of looks is the same in every run
        for kind, fake in self.fakes.items():
            fake.bind(self._engine.post)
            self._shell.triggerer.makers[kind] = fake.make
        return super()._loads(dags)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clock.detach(self._at_work, self._step)
        await super().__aexit__(kind, error, trace)

    def _step(self, step_us: int) -> None:
        self._shell.clock_stepped(ClockStepped(step_us))

    def _at_work(self) -> bool:
        """Something goes on that the loop does not see: a commit, a look, a thread, a process."""
        if self._engine.failure is not None:
            return False
        if self._notifier is not None and self._notifier.busy:
            return True
        triggerer = self._shell.triggerer
        if not self._engine.quiet or triggerer.looking or triggerer.threads.awaited:
            return True
        live = self._shell.executor.ids
        return any(
            body.active_from is not None
            and not body.stopping
            and body.inst.task.lane in _OUTSIDE
            and body.attempt_id in live
            for body in self._engine.world.attempts.values()
        )


_OUTSIDE = frozenset({Lane.THREAD, Lane.PROCESS, Lane.SHELL})


def _unsynced(db: Path) -> InlineWriter:
    return InlineWriter.open_here(db, synchronous="NORMAL", create=True)


@asynccontextmanager
async def sim_runtime(
    dags: Sequence[Dag] = (),
    *,
    start: datetime | str | int = "2026-01-01T00:00",
    clock: SimClock | None = None,
    db: str | Path | None = None,
    fakes: Mapping[str, FakeSource] | None = None,
    slots: int = 32,
    pools: Mapping[str, Pool | int] | None = None,
    contracts: Contracts = (),
    notify: Notify = (),
) -> AsyncIterator[SimRuntime]:
    """A runtime of `dags` in simulated time, as an async context manager.

        async with sim_runtime(dags=[daily], start="2026-06-15") as rt:
            await rt.clock.advance(timedelta(days=1))

    `db` keeps the database (to open it again with the same `clock`, as after a crash); without it
    it is gone at the end. `fakes` maps a trigger's kind to a `FakeSource`.
    """
    clock = clock if clock is not None else SimClock(start)
    if db is not None:
        async with SimRuntime(
            db, dags, clock=clock, fakes=fakes, slots=slots, pools=pools, contracts=contracts, notify=notify
        ) as rt:
            yield rt
        return
    with tempfile.TemporaryDirectory(prefix="bide-sim-") as folder:
        path = Path(folder) / "bide.db"
        async with SimRuntime(
            path, dags, clock=clock, fakes=fakes, slots=slots, pools=pools, contracts=contracts, notify=notify
        ) as rt:
            yield rt
