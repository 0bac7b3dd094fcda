"""A `SourceWorld` for looking through one source without the triggerer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from bide.runtime.clock import SystemClock
from bide.triggers.base import NotYet, PollSource, Registration, TimerHandle, Trigger, Verdict

_ids = itertools.count(1)


@dataclass
class Wait:
    """A registration: what a source is told of one wait."""

    trigger: Any
    wait_id: int = field(default_factory=lambda: next(_ids))
    poll_us: int = 1_000_000
    memo: Any = None


class World:
    """Real time and threads; keeps what the source asked for."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.rests: list[int] = []

    def now(self) -> int:
        return self.clock.now()

    def observed(self, registration: Registration, seen: Any) -> NotYet | None:
        raise AssertionError("a poll source returns what it sees")

    def failed(self, registration: Registration, reason: str) -> None:
        raise AssertionError("a poll source raises what failed")

    def rest_until(self, at_us: int) -> None:
        self.rests.append(at_us)

    def timer(self, at_us: int, call: Callable[[], None], *, instant: bool = False) -> TimerHandle:
        raise AssertionError("a poll source sets no timers")

    async def in_thread(self, fn: Callable[..., Any], *args: Any, limit_us: int | None = None) -> Any:
        return await asyncio.to_thread(fn, *args)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        raise AssertionError("a poll source spawns nothing")

    def predicate(self, dag: str, task: str) -> Callable[..., Any]:
        raise AssertionError("a network source has no predicates")


class Lookout:
    """One source of each key, and looks through it: `await lookout(trigger)` is the verdict."""

    def __init__(self) -> None:
        self.world = World()
        self.sources: dict[Any, PollSource] = {}

    def source(self, trigger: Trigger) -> PollSource:
        key = trigger.source_key()
        if key not in self.sources:
            source = type(trigger).make_source(key, self.world)
            assert isinstance(source, PollSource)
            self.sources[key] = source
        return self.sources[key]

    async def __call__(self, trigger: Trigger, memo: Any = None) -> Verdict:
        return (await self.together(trigger, memo=memo))[0]

    async def together(self, *triggers: Trigger, memo: Any = None) -> Sequence[Verdict]:
        """One look for all of them; they must share source and poll key."""
        source = self.source(triggers[0])
        waits = [Wait(trigger) for trigger in triggers]
        for wait in waits:
            source.add(wait)
        seen = await source.look(triggers[0].poll_key(), waits)
        return [trigger.judge(seen, memo, self.world.now()) for trigger in triggers]

    async def close(self) -> None:
        for source in self.sources.values():
            await source.close()
