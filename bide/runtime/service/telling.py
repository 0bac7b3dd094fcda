"""What systemd is told from start to end: more time, ready, how it goes, alive, reloading, stopping.

The status is sent when it has changed, once a second at most, and never while nothing happens. The
watchdog is fed only with a proof that the loop turns and the writer commits (`health.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from bide.runtime.clock import monotonic_us
from bide.runtime.engine.changes import Changes
from bide.runtime.service.health import Alive
from bide.runtime.service.live import Counts
from bide.runtime.service.systemd import Notifier

log = logging.getLogger("bide.service")

STATUS_EVERY_S: Final = 1.0
MORE_EVERY_S: Final = 10.0
MORE_S: Final = 30.0
START_LIMIT_S: Final = 1800.0
"""A start that takes longer gets no more time: systemd's own limit judges it."""
LAST_S: Final = 30.0
"""What closing may take after the drain: bodies are stopped, the database is checkpointed."""


class Told(Protocol):
    """What of a runtime systemd is told."""

    @property
    def counts(self) -> Counts: ...

    @property
    def alive(self) -> Alive: ...

    def hear(self, told: Callable[[Changes], None]) -> None:
        """Have `told` called after each commit, when it is carried out."""
        ...


class Telling:
    """Speaks for one service. Every method returns at once; `end` before the loop does."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._loop = asyncio.get_running_loop()
        self._runtime: Told | None = None
        self._phase = "starting"
        self._wrong = ""
        self._said = ""
        self._said_at = -STATUS_EVERY_S
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def starting(self) -> None:
        """From here to `ready` systemd is asked for more time, while the loop turns."""
        self._notifier.say("STATUS=starting: reading DAG files, recovering", _more(MORE_S))
        if self._notifier.heard:
            self._tasks = [asyncio.create_task(self._more_time(), name="bide systemd start")]

    def ready(self, runtime: Told) -> None:
        """Recovery is done and the doors are open."""
        self._stop_tasks()
        self._runtime = runtime
        self._said = self._words("serving")
        self._notifier.say("READY=1", f"STATUS={self._said}")
        self._said_at = self._loop.time()
        if self._notifier.heard:
            runtime.hear(self.changed)
        if (period := self._notifier.watchdog_s) is not None:
            self._tasks = [
                asyncio.create_task(self._feed(period, runtime.alive), name="bide systemd watchdog")
            ]

    def reloading(self) -> None:
        """The DAG files are read again; `reloaded` follows, whatever comes of it."""
        self._phase = "reloading"
        self._notifier.say(
            "RELOADING=1", f"MONOTONIC_USEC={monotonic_us()}", f"STATUS={self._words('reloading')}"
        )

    def reloaded(self) -> None:
        self._said = self._words("serving")
        self._notifier.say("READY=1", f"STATUS={self._said}")

    def stopping(self, limit_s: float) -> None:
        """Nothing new starts; what runs has `limit_s`, and closing its own time after that."""
        self._stop_tasks()
        self._said = self._words("draining")
        self._notifier.say("STOPPING=1", _more(limit_s + LAST_S), f"STATUS={self._said}")

    def closing(self) -> None:
        """The drain is over: bodies are stopped, the database is closed."""
        self._words("closing")
        self._runtime = None
        self._notifier.say("STATUS=closing the database", _more(LAST_S))

    def failed(self, error: Exception) -> None:
        """What `systemctl status` shows when the process has ended for this."""
        self._runtime = None
        self._notifier.say(f"STATUS=failed: {' '.join(str(error).split())}")

    def end(self) -> None:
        """Nothing more is said. May be called twice."""
        self._runtime = None
        self._stop_tasks()
        if self._timer is not None:
            self._timer.cancel()

    def changed(self, _: object = None) -> None:
        """Something was committed: the status is looked at again, soon."""
        if self._timer is None and self._runtime is not None:
            wait = max(0.0, self._said_at + STATUS_EVERY_S - self._loop.time())
            self._timer = self._loop.call_later(wait, self._tell)

    def _tell(self) -> None:
        self._timer = None
        if self._runtime is None or (words := self._words()) == self._said:
            return
        self._said, self._said_at = words, self._loop.time()
        self._notifier.say(f"STATUS={words}")

    def _words(self, phase: str | None = None) -> str:
        self._phase = phase or self._phase
        words = "" if self._runtime is None else f": {self._runtime.counts}"
        wrong = f" ({self._wrong})" if self._wrong else ""
        return " ".join(f"{self._phase}{words}{wrong}".split())

    async def _more_time(self) -> None:
        until = self._loop.time() + START_LIMIT_S
        while self._loop.time() < until:
            await asyncio.sleep(MORE_EVERY_S)
            self._notifier.say(_more(MORE_S))

    async def _feed(self, period_s: float, alive: Alive) -> None:
        """Three times a period, when there is proof of life; without, systemd's patience runs out."""
        try:
            while True:
                why = await alive.proof(period_s / 2)
                if not why:
                    self._notifier.say("WATCHDOG=1")
                elif why != self._wrong:
                    log.critical("no sign of life is given to systemd: %s", why)
                self._wrong = why
                self.changed()
                await asyncio.sleep(period_s / 3)
        finally:
            await alive.close()

    def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []


def _more(span_s: float) -> str:
    """Asks for so much time from now on, whatever limit the unit sets."""
    return f"EXTEND_TIMEOUT_USEC={int(span_s * 1e6)}"
