"""What the health of a service means: alive, ready, started; each with the checks that it consists of.

Alive: the loop was not late by more than its limit in the last seconds, the engine moves, the writer commits;
what else is wrong, a restart would not mend. Ready: it takes work, so recovery is over, it is not stopping, and
there is room on the disk. Started: recovery is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from bide.runtime.service.live import LiveHouse

LIMIT_S: Final = 2.0
"""How late the loop, and how slow a commit, may be."""


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at; `detail` says what is wrong with it, or how it is."""

    name: str
    ok: bool
    detail: str = ""


Checks = tuple[Check, ...]


class Health(Protocol):
    """What the probes answer from."""

    async def live(self) -> Checks: ...

    async def ready(self) -> Checks: ...

    async def started(self) -> Checks: ...


class Probes:
    """Of a runtime, opened or not. Costs nothing until it is asked."""

    def __init__(self, house: LiveHouse, limit_s: float = LIMIT_S) -> None:
        self._house, self._limit_s = house, limit_s

    async def live(self) -> Checks:
        """A runtime that is not open yet is alive: what answers is its loop. One that is closed is not."""
        house = self._house
        if house.phase:
            return (Check("open", not house.over, house.phase),)
        lag = house.loop_lag_s
        late = f"the loop was {lag:.1f} s late in the last ten seconds" if lag > self._limit_s else ""
        found = await house.alive.vitals(self._limit_s)
        words = {**found, "loop": late or found["loop"]}
        how = {"loop": f"{1000 * lag:.0f} ms late at most in the last ten seconds"}
        return tuple(Check(name, not wrong, wrong or how.get(name, "")) for name, wrong in words.items())

    async def ready(self) -> Checks:
        house = self._house
        if house.phase:
            return (Check("open", ok=False, detail=house.phase),)
        return (
            Check("open", ok=True),
            Check("engine", not house.failed, house.failed),
            Check("disk", not house.full, house.full),
            Check(
                "draining",
                not house.stopping,
                "it is stopping, and starts nothing new" if house.stopping else "",
            ),
        )

    async def started(self) -> Checks:
        return (Check("open", not self._house.phase, self._house.phase),)


class Said:
    """Of whoever says in a sentence what is wrong, "" for well."""

    def __init__(self, alive: Callable[[], str], ready: Callable[[], str]) -> None:
        self._alive, self._ready = alive, ready

    async def live(self) -> Checks:
        return (Check("alive", not (wrong := self._alive()), wrong),)

    async def ready(self) -> Checks:
        return (Check("ready", not (wrong := self._ready()), wrong),)

    async def started(self) -> Checks:
        return await self.live()
