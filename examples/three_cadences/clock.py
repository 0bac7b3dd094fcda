"""A clock that runs faster than the machine's: a day in about a minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

_TICK_S: Final = 0.005
_MOST_S: Final = 0.03
"""What one tick may pass of real time: a machine that is too busy makes the day longer, not late."""
_IN_HAND_S: Final = 0.05
"""Real time that work may be in hand without a pause until the day waits for it: a quick machine has many pauses."""
_PATIENCE_S: Final = 5.0
"""Real time that the day waits at a stretch: what takes longer is no slow machine, it hangs."""


class FastClock:
    """A bide `Clock`: wall time begins at `start_us` and runs `speed` times as fast as real time.

    It moves in ticks of the loop. When the loop gets no processor for a while the clock stands still
    with it; and so it does while there is work in hand (`busy`) that a slow machine does not get done: else what
    takes it a second would be late by half an hour. `run` has to be going for time to pass.
    """

    def __init__(self, start_us: int, speed: float) -> None:
        self.speed = speed
        self.start_us = start_us
        self.busy: Callable[[], bool] = lambda: False
        self._elapsed_us = 0

    def now(self) -> int:
        return self.start_us + self._elapsed_us

    def elapsed(self) -> int:
        return self._elapsed_us

    async def sleep_until(self, at_us: int) -> None:
        while (left := at_us - self.now()) > 0:
            await asyncio.sleep(max(left / self.speed / 1e6, _TICK_S))

    async def run(self) -> None:
        """Let time pass, until cancelled."""
        last = paused = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            if not self.busy():
                paused = now
            if not _IN_HAND_S < now - paused < _PATIENCE_S:
                self._elapsed_us += int(min(now - last, _MOST_S) * self.speed * 1e6)
            last = now
