"""`SimClock`: time that stands still until a test moves it.

It moves from sleeper to sleeper, in due order, and only when everything that follows from the last
one has been done: the mailbox is empty, the commit has landed, no body or source has a step to
take. Its weak point: real work (threads, processes, sockets) is seen only through `busy` probes,
and is waited for in real time, at most `patience` seconds; then time moves on without it. A look is
such work: a predicate that sleeps on the clock inside of a look makes each move of the clock wait
`patience` real seconds. Let it return a falsy value, and the poll interval do the sleeping.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Final

from bide.runtime.clock import SECOND, from_us, span_us, to_us
from bide.runtime.errors import UsageError

_SPINS: Final = 3
_BREATH_S: Final = 0.001

Span = timedelta | float
"""A timedelta, or seconds."""


class Call:
    """A call that is due at an instant of the clock."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def done(self) -> bool:
        """Whether it was made, or taken back."""
        return self._call is None

    def cancel(self) -> None:
        """Take it back; nothing happens when it was made."""
        self._call = None

    def set_result(self, _: None) -> None:
        """Make it: what wakes sleepers calls this, too."""
        call, self._call = self._call, None
        if call is not None:
            call()


class SimClock:
    """A `Clock` for tests: `now()`, `elapsed()`, `sleep_until()`, and `advance` to move it.

    >>> clock = SimClock("2026-06-15T00:00")
    >>> clock.time.isoformat()
    '2026-06-15T00:00:00+00:00'
    >>> import asyncio
    >>> asyncio.run(clock.advance(timedelta(hours=1)))
    >>> clock.time.isoformat()
    '2026-06-15T01:00:00+00:00'

    A naive start is UTC. `patience` bounds, in real seconds, how long a move waits for threads,
    processes and sockets that are at work. Those of one instant wake in the order in which they fell
    asleep, or with `order` in one that it draws.
    """

    def __init__(
        self, start: datetime | str | int = "2026-01-01T00:00", *, patience: float = 5.0,
        order: Random | None = None,
    ) -> None:  # fmt: skip
        self._elapsed = 0
        self._wall = _instant(start)
        self.patience = patience
        self.moves = 0
        """How often time has moved."""
        self._order = order
        self._sleepers: list[tuple[int, float, int, asyncio.Future[None] | Call]] = []
        self._number = 0
        self._probes: list[Callable[[], bool]] = []
        self._stepped: list[Callable[[int], None]] = []
        self._moving = False

    def __repr__(self) -> str:
        return f"<SimClock {self.time.isoformat()}>"

    # --- the clock ------------------------------------------------------------------------------

    def now(self) -> int:
        """Wall time, epoch microseconds UTC."""
        return self._wall

    def elapsed(self) -> int:
        """Microseconds that were advanced over; a step of the wall clock is no part of them."""
        return self._elapsed

    @property
    def time(self) -> datetime:
        """`now()` as an aware datetime, UTC."""
        return from_us(self._wall)

    async def sleep_until(self, at_us: int) -> None:
        """Return once the clock has been moved to `at_us`; at once when it is there already."""
        while self._wall < at_us:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._push(at_us, waiter)
            await waiter

    async def sleep(self, span: Span) -> None:
        """Sleep for a span of this clock's time: what a body under test does to take its time."""
        await self.sleep_until(self._wall + _us(span))

    def call_at(self, at_us: int, call: Callable[[], None]) -> Call:
        """Have `call` made once the clock has been moved to `at_us`, among the sleepers of that instant."""
        due = Call(call)
        self._push(at_us, due)
        return due

    def _push(self, at_us: int, sleeper: asyncio.Future[None] | Call) -> None:
        self._number += 1
        tie = 0.0 if self._order is None else self._order.random()
        heappush(self._sleepers, (at_us, tie, self._number, sleeper))

    @property
    def next_due(self) -> int | None:
        """When the next sleeper is due, None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][3].done():
            heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    # --- moving it --------------------------------------------------------------------------------

    async def advance(self, by: Span) -> None:
        """Move by a span, waking every sleeper on the way at its own instant, in due order.

        Returns when all that is due by then has been done and is durable. `UsageError` when two
        moves run at once: one test moves the clock.
        """
        await self.advance_to(self._wall + _us(by))

    async def advance_to(self, when: datetime | str | int) -> None:
        """Move to an instant; does nothing but settle when it has passed."""
        if self._moving:
            raise UsageError("the clock is being moved already: one mover at a time")
        target = _instant(when)
        self._moving = True
        try:
            while True:
                await self.settle()
                due = self.next_due
                if due is None or due > target:
                    break
                self._move(due)
            self._move(target)
            await self.settle()
        finally:
            self._moving = False

    def step(self, by: Span) -> None:
        """Step the wall clock, as an operator or NTP does; no time elapses. Runtimes are told."""
        step_us = _us(by)
        self._wall += step_us
        for tell in list(self._stepped):
            tell(step_us)
        self._wake()

    def _move(self, to_us: int) -> None:
        if to_us > self._wall:
            self._elapsed += to_us - self._wall
            self._wall = to_us
            self.moves += 1
        self._wake()

    def _wake(self) -> None:
        """Wake who is due."""
        while self._sleepers and self._sleepers[0][0] <= self._wall:
            waiter = heappop(self._sleepers)[3]
            if not waiter.done():
                waiter.set_result(None)

    # --- quiet ------------------------------------------------------------------------------------

    def attach(self, busy: Callable[[], bool], stepped: Callable[[int], None] | None = None) -> None:
        """Have `busy()` asked before each move, and `stepped(step_us)` told of steps."""
        self._probes.append(busy)
        if stepped is not None:
            self._stepped.append(stepped)

    def detach(self, busy: Callable[[], bool], stepped: Callable[[int], None] | None = None) -> None:
        """Undo `attach`; unknown ones are fine."""
        with contextlib.suppress(ValueError):
            self._probes.remove(busy)
        if stepped is not None:
            with contextlib.suppress(ValueError):
                self._stepped.remove(stepped)

    async def settle(self) -> None:
        """Return when nothing more happens at this instant. Real work is waited for with patience."""
        loop = asyncio.get_running_loop()
        ready = getattr(loop, "_ready", None)
        give_up = loop.time() + self.patience
        quiet = 0
        while quiet < _SPINS:
            await asyncio.sleep(0)
            if ready:
                quiet = 0
            elif any(busy() for busy in self._probes):
                if loop.time() >= give_up:
                    return
                quiet = 0
                await asyncio.sleep(_BREATH_S)
            else:
                quiet += 1


def _us(span: Span) -> int:
    return span_us(span) if isinstance(span, timedelta) else round(span * SECOND)


def _instant(when: datetime | str | int) -> int:
    if isinstance(when, int):
        return when
    at = datetime.fromisoformat(when) if isinstance(when, str) else when
    return to_us(at.replace(tzinfo=UTC) if at.tzinfo is None else at)
