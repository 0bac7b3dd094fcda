"""What changes all the time in a process that holds a database: read from memory, at once. Keeps nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from bide.runtime.engine.world import World
    from bide.runtime.service.live import LiveHouse


class Pulse(msgspec.Struct, frozen=True):
    """How a runtime is at this moment. `pools`: name -> (slots or None, those in use); `sources`: source -> waits."""

    lag_s: float
    epoch: int
    turns: int
    inbox: int
    bodies: int
    blocked: int
    readers: int
    armed: int
    sources: dict[str, int]
    notes: tuple[str, ...]
    pools: tuple[tuple[str, int | None, int], ...]


def pulse_of(house: LiveHouse) -> Pulse:
    """Asked in the loop."""
    engine, shell = house._engine, house._shell
    return Pulse(
        lag_s=engine.lag.worst(asyncio.get_running_loop().time()),
        epoch=engine.world.epoch,
        turns=engine.turns,
        inbox=engine.waiting,
        bodies=shell.executor.running,
        blocked=shell.executor.watchdog.reports,
        readers=0 if house._feed is None else house._feed.readers,
        armed=shell.triggerer.armed,
        sources=shell.triggerer.sources,
        notes=shell.triggerer.notes,
        pools=_pools(engine.world),
    )


def _pools(world: World) -> tuple[tuple[str, int | None, int], ...]:
    found: list[tuple[str, int | None, int]] = []
    for name, (executing, in_flight) in world.pools.items():
        found.append((name, executing.capacity, executing.used))
        if in_flight.capacity is not None:
            found.append((f"{name} in flight", in_flight.capacity, in_flight.used))
    return tuple(found)


async def lag_now_ms(looks: int = 3, look_s: float = 0.002) -> float:
    """How late the loop came to a timer just now, the worst of a few."""
    loop = asyncio.get_running_loop()
    worst = 0.0
    for _ in range(looks):
        due = loop.time() + look_s
        await asyncio.sleep(look_s)
        worst = max(worst, loop.time() - due)
    return round(worst * 1000, 1)
