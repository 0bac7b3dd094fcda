"""Calls that are due at an instant: one heap, one sleep, for everything the triggerer waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

from bide.runtime.clock import Clock

_MANY_CANCELLED: Final = 512


class Timer:
    """One call; `at_us` is wall time. Cancelled timers stay in the heap until they are many."""

    __slots__ = ("_timers", "at_us", "call", "instant")

    def __init__(self, timers: Timers, at_us: int, call: Callable[[], None], instant: bool) -> None:
        self._timers = timers
        self.at_us = at_us
        self.call: Callable[[], None] | None = call
        self.instant = instant

    def cancel(self) -> None:
        if self.call is not None:
            self.call = None
            self._timers.note_cancelled()


class Timers:
    """The heap and the task that sleeps until its head.

    Sleeps through `Clock.sleep_until`, so simulated time works. A step of the wall clock is told
    by `clock_stepped`: spans keep their length, instants keep their date.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Timer]] = []
        self._number = 0
        self._cancelled = 0
        self._sleep: asyncio.Future[None] | None = None
        self._sleeping_until: int | None = None
        self._wake = asyncio.Event()

    def at(self, at_us: int, call: Callable[[], None], *, instant: bool = False) -> Timer:
        timer = Timer(self, at_us, call, instant)
        self._number += 1
        heappush(self._heap, (at_us, self._number, timer))
        if self._sleeping_until is None or at_us < self._sleeping_until:
            self._stir()
        return timer

    def note_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > _MANY_CANCELLED and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].call is not None]
            heapify(self._heap)
            self._cancelled = 0

    def clock_stepped(self, step_us: int) -> None:
        """Move every span with the wall clock and leave every instant; then look at once."""
        for _, _, timer in self._heap:
            if not timer.instant:
                timer.at_us += step_us
        self._heap = [(timer.at_us, number, timer) for _, number, timer in self._heap]
        heapify(self._heap)
        self._stir()

    async def run(self) -> None:
        """Make the calls as they come due, until cancelled."""
        try:
            while True:
                self._wake.clear()
                self._call_due()
                if not self._heap:
                    await self._wake.wait()
                    continue
                await self._sleep_until(self._heap[0][0])
        finally:
            if self._sleep is not None:
                self._sleep.cancel()

    async def _sleep_until(self, at_us: int) -> None:
        if self._wake.is_set():
            await asyncio.sleep(0)
            return
        self._sleeping_until = at_us
        self._sleep = asyncio.ensure_future(self._clock.sleep_until(at_us))
        try:
            await asyncio.wait((self._sleep,))
            if not self._sleep.cancelled():
                self._sleep.result()
        finally:
            self._sleep.cancel()
            self._sleep = None
            self._sleeping_until = None

    def _stir(self) -> None:
        self._wake.set()
        if self._sleep is not None:
            self._sleep.cancel()

    def _call_due(self) -> None:
        now = self._clock.now()
        heap = self._heap
        due: list[Timer] = []
        while heap and heap[0][0] <= now:
            due.append(heappop(heap)[2])
        for timer in due:
            call, timer.call = timer.call, None
            if call is None:
                self._cancelled -= 1
            else:
                call()
