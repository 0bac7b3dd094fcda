"""Looks of a source that sees by asking: shared, spread, bounded, cut when they hang.

Waits with the same poll key form a `Group`: one look serves them all, at the shortest of their
periods. A group never has two looks under way. Looks begin only while the source and the
triggerer have room, and no closer together than the source's spacing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

from bide.runtime.clock import SECOND
from bide.runtime.triggerer.feeds import look_error
from bide.runtime.triggerer.pace import period_us
from bide.triggers.base import PollSource

if TYPE_CHECKING:
    from bide.runtime.triggerer.host import Host
    from bide.runtime.triggerer.registration import Waiting
    from bide.runtime.triggerer.timers import Timer

LEAST_US: Final = 10_000
"""No two looks at one key are closer than this, whatever anybody asks."""
SPREAD: Final = 0.25
"""The second look comes up to this share of a period late, so that waits armed together part."""
_JUDGED_AT_ONCE: Final = 500


class Group:
    """Waits that share one look. `due_us` is None while a look is under way."""

    __slots__ = ("cut", "due_us", "key", "look", "looked_us", "not_before_us", "queued", "timer", "waits")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.waits: dict[int, Waiting] = {}
        self.due_us: int | None = None
        self.timer: Timer | None = None
        self.look: asyncio.Task[None] | None = None
        self.looked_us: int | None = None  # the last look began
        self.not_before_us = 0
        self.queued = False
        self.cut: Timer | None = None


class PollFeed:
    """Decides when a poll source looks."""

    def __init__(self, host: Host, source: PollSource) -> None:
        self._host = host
        self._source = source
        self._triggerer = host.triggerer
        self._groups: dict[Hashable, Group] = {}
        self._ready: deque[Group] = deque()
        self._looking = 0
        self._next_start_us = 0
        self._rest_us = 0
        self._spacing: Timer | None = None
        self._pumping = False
        self._closed = False
        self._once = 0

    @property
    def busy(self) -> bool:
        return self._once > 0

    @property
    def pace(self) -> tuple[int | None, int | None]:
        return len(self._groups), self._rest_us if self._rest_us > self._host.now() else None

    # --- waits come and go ------------------------------------------------------------------

    def add(self, wait: Waiting) -> None:
        group = self._group_of(wait)
        if group is None:
            return
        self._source.add(wait)
        self._groups[group.key] = wait.group = group
        group.waits[wait.wait_id] = wait
        wait.next_us = self._host.now()
        self._want(group, wait.next_us)

    def _group_of(self, wait: Waiting) -> Group | None:
        """The group of its poll key, a new one if there is none. None: the key raises, the wait has failed."""
        try:
            key = wait.trigger.poll_key()
            return self._groups.get(key) or Group(key)
        except Exception as error:  # noqa: BLE001 - a third party's trigger ends its own wait only
            self._triggerer.fail(wait, f"its poll key: {type(error).__name__}: {error}")
            return None

    def remove(self, wait: Waiting, reason: str) -> None:
        group, wait.group = wait.group, None
        if group is None:
            return  # it never came in
        if group.waits.pop(wait.wait_id, None) is not None and not group.waits:
            self._unschedule(group)
            if group.look is not None:
                group.look.cancel()
            elif not group.queued:
                del self._groups[group.key]
        self._source.remove(wait, reason)

    def next_look_us(self, wait: Waiting) -> int | None:
        return wait.next_us if wait.group is None else wait.group.due_us

    def rest_until(self, at_us: int) -> None:
        self._rest_us = max(self._rest_us, at_us)

    async def look(self, wait: Waiting, *, armed: bool) -> None:
        """Look as soon as the rules allow. A rest that was asked for is an answer, not a delay."""
        group = wait.group or self._group_of(wait)
        if group is None:
            return
        now = self._host.now()
        rest_us = max(self._rest_us, group.not_before_us)
        if rest_us > now:
            wait.next_us = rest_us
            self._host.failed(wait, "the other side asked for a rest")
            return
        if wait.once is None:
            wait.once = asyncio.get_running_loop().create_future()
        once = wait.once
        self._once += 1
        try:
            if wait.group is not None:
                self._want(group, now)
            elif not armed:
                self.add(wait)
            done, _ = await asyncio.wait((once,), timeout=(self._source.limit_us + 10 * SECOND) / SECOND)
            if not done:
                self._host.failed(wait, "the look took too long and was cut")
        finally:
            if wait.once is once:
                wait.once = None
            self._once -= 1
            if not armed:
                self.remove(wait, "fired" if wait.over else "cancelled")

    def clock_stepped(self, step_us: int) -> None:
        self._rest_us += step_us
        self._next_start_us += step_us
        for group in self._groups.values():
            group.not_before_us += step_us
            if group.due_us is not None:
                group.due_us += step_us
            if group.looked_us is not None:
                group.looked_us += step_us
            for wait in group.waits.values():
                if wait.next_us is not None:
                    wait.next_us += step_us

    async def close(self) -> None:
        self._closed = True
        looks = [group.look for group in self._groups.values() if group.look is not None]
        for group in self._groups.values():
            self._unschedule(group)
        for look in looks:
            look.cancel()
        if self._spacing is not None:
            self._spacing.cancel()
        if looks:
            await asyncio.wait(looks, timeout=2.0)
        await self._source.close()

    # --- when ---------------------------------------------------------------------------------

    def _floor(self, group: Group) -> int:
        shortest = min((wait.poll_us for wait in group.waits.values() if wait.poll_us), default=SECOND)
        return max(LEAST_US, min(self._source.floor_us, shortest))

    def _want(self, group: Group, at_us: int) -> None:
        """Have the group looked at no later than `at_us`, as far as the rules allow."""
        if group.look is not None or group.queued:
            return  # the end of the look asks again
        if group.due_us is not None and group.due_us <= at_us:
            return
        at_us = max(at_us, group.not_before_us)
        if group.looked_us is not None:
            at_us = max(at_us, group.looked_us + self._floor(group))
        if group.due_us is not None and group.due_us <= at_us:
            return
        self._unschedule(group)
        group.due_us = at_us
        if at_us <= self._host.now():
            self._enqueue(group)
        else:
            group.timer = self._triggerer.timers.at(at_us, lambda: self._enqueue(group))

    def _unschedule(self, group: Group) -> None:
        if group.timer is not None:
            group.timer.cancel()
            group.timer = None
        group.due_us = None

    def _enqueue(self, group: Group) -> None:
        group.timer = None
        group.queued = True
        self._ready.append(group)
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        """Begin what may begin."""
        self._pumping = False
        while self._ready and not self._closed:
            if not self._ready[0].waits:
                self._discard(self._ready.popleft())
                continue
            if self._looking >= self._source.max_in_flight:
                return  # the end of a look pumps again
            if not self._triggerer.may_look(self):
                return  # the triggerer pumps when there is room
            now = self._host.now()
            start_us = max(self._next_start_us, self._rest_us)
            if start_us > now:
                if self._spacing is None:
                    self._spacing = self._triggerer.timers.at(start_us, self._spaced)
                return
            group = self._ready.popleft()
            self._next_start_us = now + self._source.spacing_us
            self._begin(group, now)

    def _spaced(self) -> None:
        self._spacing = None
        self.pump()

    def _discard(self, group: Group) -> None:
        group.queued = False
        group.due_us = None
        if self._groups.get(group.key) is group:
            del self._groups[group.key]

    def _begin(self, group: Group, now: int) -> None:
        group.queued = False
        group.due_us = None
        group.looked_us = now
        self._looking += 1
        self._triggerer.looking += 1
        group.cut = self._triggerer.timers.at(now + self._source.limit_us, lambda: self._cut(group))
        loop = asyncio.get_running_loop()
        look = group.look = loop.create_task(self._look(group), name=f"bide look {self._host.name}")
        look.add_done_callback(lambda look: self._never_began(group, look, now))

    def _cut(self, group: Group) -> None:
        """The look hangs: cancel it. Its waits are told; room for others is made at once."""
        group.cut = None
        if group.look is None:
            return
        self._triggerer.cuts += 1
        text = f"the look hung and was cut after {self._source.limit_us / SECOND:g} s"
        for wait in list(group.waits.values()):
            self._host.failed(wait, text)
            self._answered(wait)
        group.look.cancel()
        self._triggerer.look_ended()

    async def _look(self, group: Group) -> None:
        waits = list(group.waits.values())
        began_us = self._host.now()
        foreign = self._host.foreign and bool(waits)
        if foreign:
            self._triggerer.enter(waits[0])
        try:
            try:
                seen = await self._source.look(group.key, waits)
            except asyncio.CancelledError:
                if not self._cut_or_left(group):
                    raise
            except Exception as error:  # noqa: BLE001 - the one place where a look ends and is recorded
                for wait in waits:
                    self._miss(wait, look_error(error))
            else:
                await self._judge(group, waits, seen)
        finally:
            if foreign:
                self._triggerer.leave()
            self._ended(group, waits, began_us)

    def _never_began(self, group: Group, look: asyncio.Task[None], began_us: int) -> None:
        """A look that was cancelled before its first step has to give its room back, too."""
        if group.look is look:
            self._ended(group, list(group.waits.values()), began_us)

    @staticmethod
    def _cut_or_left(group: Group) -> bool:
        """Cancelled by us, for a reason that ends only this look."""
        return group.cut is None or not group.waits

    def _miss(self, wait: Waiting, reason: str) -> None:
        if not wait.over:
            wait.next_us = None
            self._host.failed(wait, reason)
            self._answered(wait)

    async def _judge(self, group: Group, waits: list[Waiting], seen: Any) -> None:
        for number, wait in enumerate(waits, 1):
            if number % _JUDGED_AT_ONCE == 0:
                await asyncio.sleep(0)
            if wait.over or wait.wait_id not in group.waits:
                continue
            verdict = self._host.observed(wait, seen)
            wait.next_us = None
            if verdict is not None and verdict.again_us is not None:
                wait.next_us = verdict.again_us
                if verdict.at_least:
                    group.not_before_us = max(group.not_before_us, verdict.again_us)
            self._answered(wait)

    @staticmethod
    def _answered(wait: Waiting) -> None:
        if wait.once is not None and not wait.once.done():
            wait.once.set_result(None)

    def _ended(self, group: Group, waits: list[Waiting], began_us: int) -> None:
        self._looking -= 1
        if group.cut is not None:
            group.cut.cancel()
            group.cut = None
            self._triggerer.look_ended()
        group.look = None
        if self._closed:
            return
        for wait in waits:
            if not wait.over:
                self._plan(group, wait, began_us)
        if not group.waits:
            self._discard(group)
        else:
            soonest = min(began_us if wait.next_us is None else wait.next_us for wait in group.waits.values())
            self._want(group, soonest)
        self.pump()

    def _plan(self, group: Group, wait: Waiting, began_us: int) -> None:
        """When this wait wants the next look: its period, backed off, or sooner if it asked."""
        if not wait.poll_us:
            return  # looked at once, and not armed
        due_us = began_us + period_us(wait.poll_us, wait.backoff, wait.misses, wait.failures)
        if wait.failures == 0 and wait.looks == 1:
            due_us += int(wait.poll_us * SPREAD * self._triggerer.random.random())
        wait.next_us = due_us if wait.next_us is None else min(wait.next_us, due_us)
