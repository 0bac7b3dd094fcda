"""What has held the loop: said in the process's log at once, remembered for `why` and `doctor`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from bide.runtime.clock import Clock
from bide.runtime.executor.logs import LogBook
from bide.runtime.executor.watchdog import Blocked

log = logging.getLogger("bide.watchdog")
KEPT: Final = 100
ADVICE: Final = "what blocks belongs into a plain `def`, which runs in a thread, or into `asyncio.to_thread`"


class Owner(msgspec.Struct, frozen=True):
    """Whose code it was."""

    name: str
    instance_id: int
    attempt_id: int | None


class Held(msgspec.Struct, frozen=True):
    """One callback that held the loop: since about when, how long at least, and where it stood."""

    at_us: int
    for_s: float
    where: str
    name: str
    instance_id: int | None


class Holds:
    """Told of each callback that holds the loop, in the watchdog's thread."""

    def __init__(self, clock: Clock, logs: LogBook, owner: Callable[[str, int], Owner | None]) -> None:
        """`owner` finds whose attempt, wait or sensor it is, by kind and id; asked in the loop."""
        self._clock, self._logs, self._owner = clock, logs, owner
        self._loop = asyncio.get_running_loop()
        self._held: deque[Held] = deque(maxlen=KEPT)

    def blocked(self, report: Blocked) -> None:
        """Said at once; remembered with its name when the loop is free again."""
        log.warning("%s holds the loop, nothing else can run:\n%s", report.what, report.stack)
        try:
            self._loop.call_soon_threadsafe(self._remember, report, self._clock.now())
        except RuntimeError:  # the loop is closed: nobody asks any more
            pass

    @property
    def recent(self) -> tuple[Held, ...]:
        """The last ones, oldest first."""
        return tuple(self._held)

    def _remember(self, report: Blocked, at_us: int) -> None:
        kind, _, number = report.what.partition(":")
        owner = self._owner(kind, int(number)) if number.isdigit() else None
        if owner is not None and owner.attempt_id is not None and kind == "wait":
            text = f"its wait held the loop for {report.for_s:.2f} s and more:\n{report.stack}"
            self._logs.write(owner.attempt_id, text, "WARNING")
        places = [line.strip() for line in report.stack.splitlines() if line.startswith("  File ")]
        where = places[-1] if places else "where, is not known"
        name, instance = (owner.name, owner.instance_id) if owner is not None else (report.what, None)
        self._held.append(Held(at_us, report.for_s, where, name, instance))
