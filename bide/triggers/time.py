"""Waiting for an instant: one heap of instants and one timer, however many wait."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import Any, Final

from bide.runtime.clock import from_us
from bide.triggers.base import (
    Fire,
    NotYet,
    PushSource,
    Registration,
    Source,
    SourceWorld,
    TimerHandle,
    Trigger,
    Verdict,
)

_SLICE: Final = 4_000
"""Waits fired in one go before the loop gets its turn."""
_NOT_YET: Final = NotYet()


class TimeTrigger(Trigger, frozen=True, kw_only=True, tag="time", gc=False):
    """An instant, epoch microseconds UTC. Fires with `{"at": ISO 8601, UTC}`, also when it is past."""

    at_us: int

    def source_key(self) -> Hashable:
        return _KEY

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        if now >= self.at_us:
            return _fire(self.at_us)
        return _NOT_YET

    def not_before(self) -> int | None:
        return int(self.at_us)

    def describe(self) -> str:
        return f"time {from_us(self.at_us).isoformat(timespec='seconds')}"

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        return TimeSource(world)


@lru_cache(maxsize=256)
def _fire(at_us: int) -> Fire:
    """Remembered, for thousands may wait for one instant."""
    return Fire({"at": from_us(at_us).isoformat()})


_KEY: Final = ("time",)


class TimeSource(PushSource):
    """The heap: (instant, wait id, wait). Waits taken away stay in it until due or outnumbering."""

    def __init__(self, world: SourceWorld) -> None:
        self._world = world
        self._heap: list[tuple[int, int, Registration]] = []
        self._gone: set[int] = set()
        self._timer: TimerHandle | None = None
        self._timer_us = 0

    def add(self, registration: Registration) -> None:
        at_us = registration.trigger.at_us
        if registration.wait_id in self._gone:
            self._purge()
        heappush(self._heap, (at_us, registration.wait_id, registration))
        if self._timer is None or at_us < self._timer_us:
            self._set_timer(at_us)

    def remove(self, registration: Registration, reason: str) -> None:
        if reason == "fired":
            return  # it was taken from the heap when it came due
        self._gone.add(registration.wait_id)
        if len(self._gone) > 1_000 and len(self._gone) * 2 > len(self._heap):
            self._purge()

    async def look_now(self, registration: Registration) -> Any:
        return None

    def next_look_us(self, registration: Registration) -> int | None:
        at_us: int = registration.trigger.at_us
        return at_us

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()

    def _set_timer(self, at_us: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_us = at_us
        self._timer = self._world.timer(at_us, self._due, instant=True)

    def _due(self) -> None:
        self._timer = None
        now = self._world.now()
        heap = self._heap
        left = _SLICE
        while heap and heap[0][0] <= now and left:
            _, wait_id, registration = heappop(heap)
            left -= 1
            if wait_id in self._gone:
                self._gone.discard(wait_id)
            elif self._world.observed(registration, None) is not None:
                heappush(heap, (registration.trigger.at_us, wait_id, registration))
                break  # the clock was moved back meanwhile
        if heap:
            self._set_timer(heap[0][0])

    def _purge(self) -> None:
        self._heap = [entry for entry in self._heap if entry[1] not in self._gone]
        self._gone.clear()
        heapify(self._heap)
