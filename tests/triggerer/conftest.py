"""A clock moved by hand, a triggerer on it, and triggers whose source the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from types import FunctionType
from typing import Any

import pytest

import bide.triggers as registry
from bide.runtime.clock import DAY, SECOND
from bide.runtime.engine.messages import Arm, Input, LookOnce, WaitFailed, WaitFired, WaitLooked
from bide.runtime.triggerer.triggerer import Triggerer
from bide.triggers import encode_trigger
from bide.triggers.base import Fail, Fire, NotYet, PollSource, PushSource, Registration, Trigger, Verdict

START = 1_780_000_000 * SECOND


class ManualClock:
    """Time stands still until `advance`."""

    def __init__(self) -> None:
        self.at = START
        self._sleepers: list[tuple[int, asyncio.Event]] = []

    def now(self) -> int:
        return self.at

    def elapsed(self) -> int:
        return self.at - START

    async def sleep_until(self, at_us: int) -> None:
        while self.at < at_us:
            woken = asyncio.Event()
            self._sleepers.append((at_us, woken))
            await woken.wait()

    async def advance(self, span_us: int, step_us: int | None = None) -> None:
        """Move on, in steps, letting everything that is due happen."""
        end = self.at + span_us
        while self.at < end:
            self.at = min(end, self.at + (step_us or span_us))
            sleepers, self._sleepers = self._sleepers, []
            for at_us, woken in sleepers:
                if at_us <= self.at:
                    woken.set()
                else:
                    self._sleepers.append((at_us, woken))
            await settle()


async def settle(turns: int = 40) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


class World:
    """What the fake source sees, and what was asked of it. One a test, reached by the sources."""

    def __init__(self) -> None:
        self.answer: Callable[[Hashable], Any] = lambda key: None
        self.looks: list[tuple[int, Hashable, int]] = []  # (instant, key, waits that shared it)
        self.under_way = 0
        self.most_under_way = 0
        self.hang: set[Hashable] = set()
        self.released = asyncio.Event()
        self.opened: list[Hashable] = []
        self.closed: list[Hashable] = []
        self.removed: list[tuple[int, str]] = []
        self.sources: dict[Hashable, FakeSource] = {}
        self.break_open: BaseException | None = None
        self.max_in_flight = 10
        self.spacing_us = 0


_world: World


class FakeTrigger(Trigger, frozen=True, kw_only=True, tag="fake"):
    """Judges what the world answers: a verdict as it is, true fires, an exception is raised."""

    key: str = "a"
    source: str = "s"
    want: Any = None
    broken: str = ""

    def source_key(self) -> Hashable:
        if self.broken == "source_key":
            raise RuntimeError("no such source")
        return ("fake", self.source)

    def poll_key(self) -> Hashable:
        if self.broken == "poll_key":
            raise RuntimeError("no such key")
        return self.key

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        if self.broken == "judge":
            raise RuntimeError("cannot judge")
        if isinstance(seen, Fire | Fail | NotYet):
            return seen
        if isinstance(seen, FunctionType):
            verdict: Verdict = seen(memo)
            return verdict
        return Fire(seen) if seen and (self.want is None or seen == self.want) else NotYet(f"saw {seen}")

    def describe(self) -> str:
        return f"fake {self.key}"

    @classmethod
    def make_source(cls, key: Hashable, world: Any) -> FakeSource:
        if _world.break_open is not None:
            raise _world.break_open
        _world.opened.append(key)
        source = _world.sources[key] = FakeSource(world, key)
        return source


class FakeSource(PollSource):
    def __init__(self, host: Any, key: Hashable) -> None:
        self.host = host
        self.key = key
        self.max_in_flight = _world.max_in_flight
        self.spacing_us = _world.spacing_us

    def remove(self, registration: Registration, reason: str) -> None:
        _world.removed.append((registration.wait_id, reason))

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> Any:
        world = _world
        world.looks.append((self.host.now(), poll_key, len(registrations)))
        world.under_way += 1
        world.most_under_way = max(world.most_under_way, world.under_way)
        try:
            if poll_key in world.hang:
                await world.released.wait()
            await asyncio.sleep(0)
            answer = world.answer(poll_key)
        finally:
            world.under_way -= 1
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def close(self) -> None:
        _world.closed.append(self.key)


class PushTrigger(FakeTrigger, frozen=True, kw_only=True, tag="push"):
    @classmethod
    def make_source(cls, key: Hashable, world: Any) -> Any:
        _world.opened.append(key)
        source = FakePush(world)
        _world.sources[key] = source  # type: ignore[assignment]
        return source


class FakePush(PushSource):
    def __init__(self, host: Any) -> None:
        self.host = host
        self.waits: dict[int, Registration] = {}

    def add(self, registration: Registration) -> None:
        self.waits[registration.wait_id] = registration

    def remove(self, registration: Registration, reason: str) -> None:
        self.waits.pop(registration.wait_id, None)
        _world.removed.append((registration.wait_id, reason))

    async def look_now(self, registration: Registration) -> Any:
        return _world.answer("push")

    async def close(self) -> None:
        _world.closed.append("push")


class Bench:
    """A triggerer and what it posted."""

    def __init__(self, clock: ManualClock, world: World, **limits: Any) -> None:
        self.clock = clock
        self.world = world
        self.posted: list[Input] = []
        self.lines: list[tuple[int, str]] = []
        self.predicates: dict[tuple[str, str], Callable[..., Any]] = {}
        self.triggerer = Triggerer(
            clock,
            self.posted.append,
            predicates=lambda dag, task: self.predicates[dag, task],
            log=lambda attempt, line: self.lines.append((attempt, line)),
            **limits,
        )

    def arm(self, wait_id: int, trigger: Trigger, poll_us: int = 10 * SECOND, backoff: float = 1.0) -> None:
        data = encode_trigger(trigger)
        self.triggerer.arm(
            Arm(wait_id, wait_id + 1000, "d", "t", data, poll_us, backoff, self.clock.at + DAY)
        )

    async def look_once(self, wait_id: int, trigger: Trigger) -> Input:
        before = len(self.posted)
        await self.triggerer.look(LookOnce(wait_id, wait_id + 1000, "d", "t", encode_trigger(trigger)))
        assert len(self.posted) == before + 1
        return self.posted[-1]

    @property
    def fired(self) -> list[int]:
        return [one.wait_id for one in self.posted if isinstance(one, WaitFired)]

    @property
    def failed(self) -> dict[int, str]:
        return {one.wait_id: one.reason for one in self.posted if isinstance(one, WaitFailed)}

    @property
    def looked(self) -> list[WaitLooked]:
        return [one for one in self.posted if isinstance(one, WaitLooked)]

    def look_times(self, key: str = "a") -> list[float]:
        return [(at - START) / SECOND for at, looked, _ in self.world.looks if looked == key]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    global _world
    _world = World()
    for kind in (FakeTrigger, PushTrigger):
        monkeypatch.setitem(registry._loaded, str(kind.__struct_config__.tag), kind)
    return _world


@pytest.fixture
async def bench(clock: ManualClock, world: World) -> AsyncIterator[Bench]:
    bench = Bench(clock, world, max_in_flight=20, thread_limit=4)
    await bench.triggerer.start()
    yield bench
    world.released.set()
    await bench.triggerer.close()
    await settle()
    assert world.under_way == 0
    assert bench.triggerer.looking == 0
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("bide")]
    assert not left, "a task was left behind"
