"""What becomes of runs and tasks, in the process's log: ends of runs, and what went wrong within.

Told after the commit that made it so. A record carries its run, DAG and task as fields for the
journal. At most some lines a second: a flood is counted, not written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from bide.runtime.engine.changes import Changes, Row
from bide.runtime.engine.states import RunState, State
from bide.runtime.errors import BideError
from bide.runtime.store.names import Named

log = logging.getLogger("bide.runs")

LINES: Final = 50
EVERY_S: Final = 1.0
_RUNS: Final = {
    RunState.SUCCESS.value: logging.INFO,
    RunState.FAILED.value: logging.ERROR,
    RunState.CANCELLED.value: logging.WARNING,
}
_TASKS: Final = {
    State.FAILED.value: logging.ERROR,
    State.LOST.value: logging.ERROR,
    State.UP_FOR_RETRY.value: logging.WARNING,
    State.BLOCKED.value: logging.WARNING,
    State.AWAITING_APPROVAL.value: logging.WARNING,
}
_LEVELS: Final = {"run": _RUNS, "instance": _TASKS}


class Told(Protocol):
    """Whose commits are heard."""

    def hear(self, told: Callable[[Changes], None]) -> None: ...

    async def named(self, runs: Sequence[int], instances: Sequence[int]) -> Named: ...


class Chronicle:
    """Follows one runtime. Costs nothing while nothing is to be said."""

    def __init__(self) -> None:
        self._owed: list[Row] = []
        self._more = 0
        self._writing: asyncio.Task[None] | None = None
        self._runtime: Told
        self._enough = asyncio.Event()

    def follow(self, runtime: Told) -> None:
        self._runtime = runtime
        runtime.hear(self._committed)

    async def close(self) -> None:
        """Write what is owed, and end."""
        self._enough.set()
        if self._writing is not None:
            await self._writing

    def _committed(self, changes: Changes) -> None:
        for row in changes.events:
            levels = _LEVELS.get(row[3])
            if levels is not None and row[7] in levels:
                if len(self._owed) < LINES:
                    self._owed.append(row)
                else:
                    self._more += 1
        if self._owed and self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="bide chronicle")

    async def _write(self) -> None:
        try:
            while self._owed:
                owed, more, self._owed, self._more = self._owed, self._more, [], 0
                named = await self._named(owed)
                for row in owed:
                    _tell(row, named)
                if more:
                    log.warning("%d more of such lines are not written: `bide runs` has them all", more)
                try:  # the next lines at the earliest in a while, unless it is the end
                    await asyncio.wait_for(self._enough.wait(), EVERY_S)
                except TimeoutError:
                    pass
        finally:
            self._writing = None

    async def _named(self, owed: Sequence[Row]) -> Named:
        """A database that cannot be read costs the names: just then what went wrong should be said."""
        runs = [row[5] for row in owed if row[5] is not None]
        instances = [row[4] for row in owed if row[3] == "instance"]
        try:
            return await self._runtime.named(runs, instances)
        except BideError:
            return Named({}, {})


def _tell(row: Row, named: Named) -> None:
    _, _, _, subject, subject_id, run_id, _, now, reason = row
    run_id = subject_id if run_id is None else run_id
    dag = named.runs.get(run_id, "?")
    extra = {"bide_run": run_id, "bide_dag": dag}
    state = now.replace("_", " ")
    said = state if not reason else reason if reason.startswith(state) else f"{state}: {reason}"
    if subject == "run":
        log.log(_RUNS[now], "run %s of %s: %s", run_id, dag, said, extra=extra)
        return
    task = named.tasks.get(subject_id, "?")
    extra["bide_task"] = task
    log.log(_TASKS[now], "%s of run %s of %s: %s", task, run_id, dag, said, extra=extra)
