"""The outside of a simulation: one source for every kind of trigger, which sees what the script says.

Time is the real source's, other tasks and assets are the engine's: all others come true, fail or
stay as they are by the script.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

from bide.runtime.engine.messages import Input, WaitFailed, WaitFired
from bide.runtime.values import encode
from bide.testing.simulation.fate import Arrival
from bide.triggers.base import LookFailed, PushSource, Registration, Source, SourceWorld, TimerHandle

REAL: Final = frozenset({"time"})
ArrivalOf = Callable[[int], Arrival | None]


class ScriptedWorld:
    """Makes the sources. `arrival_of(wait)` is what the script says of it, None of one it cannot name."""

    def __init__(self, arrival_of: ArrivalOf, post: Callable[[Input], None]) -> None:
        self.arrival_of = arrival_of
        self.post = post

    def make(self, _key: Hashable, world: SourceWorld) -> Source:
        return _Scripted(self, world)


class Makers(dict[str, Callable[[Hashable, SourceWorld], Source]]):
    """Every kind's source is the scripted one, but for those that are real."""

    def __init__(self, world: ScriptedWorld) -> None:
        super().__init__()
        self._world = world

    def get(self, kind: str, default: Any = None) -> Any:
        return default if kind in REAL else self._world.make


class _Scripted(PushSource):
    def __init__(self, script: ScriptedWorld, world: SourceWorld) -> None:
        self._script = script
        self._world = world
        self._timers: dict[int, TimerHandle] = {}
        self._due: dict[int, int] = {}

    def add(self, registration: Registration) -> None:
        wait_id = registration.wait_id
        arrival = self._script.arrival_of(wait_id)
        if arrival is None:
            self._world.failed(registration, "the script cannot say when this comes true")
        elif arrival.at_us is None:
            self._world.failed(registration, "the script says never")
        elif arrival.at_us <= self._world.now():
            self._end(wait_id, arrival)
        else:
            self._due[wait_id] = arrival.at_us
            self._timers[wait_id] = self._world.timer(
                arrival.at_us, lambda: self._end(wait_id, arrival), instant=True
            )

    def remove(self, registration: Registration, reason: str) -> None:
        self._due.pop(registration.wait_id, None)
        timer = self._timers.pop(registration.wait_id, None)
        if timer is not None:
            timer.cancel()

    async def look_now(self, registration: Registration) -> Any:
        arrival = self._script.arrival_of(registration.wait_id)
        if arrival is not None and arrival.at_us is not None and arrival.at_us <= self._world.now():
            self._end(registration.wait_id, arrival)
        raise LookFailed("not yet, says the script")

    def next_look_us(self, registration: Registration) -> int | None:
        return self._due.get(registration.wait_id)

    async def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _end(self, wait_id: int, arrival: Arrival) -> None:
        if arrival.failed:
            self._script.post(WaitFailed(wait_id, arrival.rule.error))
        else:
            self._script.post(WaitFired(wait_id, encode(arrival.rule.output, "the event")))
