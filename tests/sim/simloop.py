"""An asyncio loop whose time is virtual: it jumps to the next timer when nothing is ready.

Only for what lives in one process and one thread. Together with `LoopClock` the whole runtime runs
deterministically, bodies' `asyncio.sleep` and `asyncio.timeout` included, and can be killed after
any number of the loop's rounds.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any

from bide.runtime.clock import SECOND
from bide.testing import SimClock


class _Jumping(selectors.BaseSelector):
    """Asks the real selector without waiting, and lets virtual time pass instead."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = self._real.select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen again: everything waits and no timer is set")
        if not ready and timeout:
            self.now += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class Killed(Exception):  # noqa: N818 - what happened to the loop, not what it did wrong
    """The loop was stopped in the middle of things."""


class SimLoop(asyncio.SelectorEventLoop):
    """`live(work)` runs to the end of `work`, or raises `Killed` after `rounds` rounds."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-9
        self.rounds = 0
        self.last_round: int | None = None

    def time(self) -> float:
        return self._jumping.now

    def _run_once(self) -> None:
        self.rounds += 1
        if self.rounds == self.last_round:
            self.stop()
        super()._run_once()  # type: ignore[misc]  # the one step of every asyncio loop

    def live(self, work: Any, rounds: int | None = None) -> Any:
        self.last_round = None if rounds is None else self.rounds + rounds
        task = self.create_task(work)
        try:
            return self.run_until_complete(task)
        except RuntimeError as error:
            if "stopped before" not in str(error):
                raise
            raise Killed(f"after {self.rounds} rounds") from None

    def bury(self) -> None:
        """End all that is left on this loop, and the loop. Nothing of it may reach a database."""
        self.last_round = None
        self.stop()
        self.run_forever()  # a stop that was under way when the kill came ends this round, and no later one
        for _ in range(5):
            left = asyncio.all_tasks(self)
            if not left:
                break
            for task in left:
                task.cancel()
            self.run_until_complete(asyncio.wait(left, timeout=1))
        self.close()


class LoopClock(SimClock):
    """The wall clock of a `SimLoop`; it goes on from where the last loop, or process, left it."""

    def __init__(self, start_us: int) -> None:
        super().__init__(start_us)
        self._base = start_us
        self._sleeping: set[asyncio.Future[None]] = set()

    def now(self) -> int:
        return self._base + self.elapsed()

    def elapsed(self) -> int:
        return round(asyncio.get_running_loop().time() * SECOND)

    async def sleep_until(self, at_us: int) -> None:
        loop = asyncio.get_running_loop()
        while (left := at_us - self.now()) > 0:
            waiter: asyncio.Future[None] = loop.create_future()
            timer = loop.call_later(left / SECOND, _wake, waiter)
            self._sleeping.add(waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._sleeping.discard(waiter)

    def step_by(self, step_us: int, tell: Callable[[int], None]) -> None:
        """Step the wall clock: sleepers look again, and the runtime is told."""
        self._base += step_us
        tell(step_us)
        for waiter in list(self._sleeping):
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
