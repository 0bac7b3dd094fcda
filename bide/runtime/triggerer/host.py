"""What a source lives in: it judges what the source saw, and bears the source's breakdown.

A host opens its source when the first wait comes, keeps the records of its waits, and closes the
source when the last has gone. A source that breaks is opened again after a back-off; meanwhile
only its own waits are blind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import TYPE_CHECKING, Any, Final

from bide.runtime.clock import SECOND
from bide.runtime.errors import UsageError
from bide.runtime.loading import load, missing
from bide.runtime.triggerer.feeds import LOOK_LIMIT_US, Feed, PushFeed, look_error
from bide.runtime.triggerer.polling import PollFeed
from bide.runtime.triggerer.registration import SourceSeen
from bide.triggers.base import NotYet, PollSource, Registration, Source, SourceWorld, Trigger

if TYPE_CHECKING:
    from bide.runtime.triggerer.registration import Waiting
    from bide.runtime.triggerer.timers import Timer
    from bide.runtime.triggerer.triggerer import Triggerer

LINGER_US: Final = 10 * SECOND
"""A source with no waits is kept this long: a sensor that looks again and again reuses it."""
REOPEN_US: Final = SECOND
REOPEN_MOST_US: Final = 60 * SECOND


class Host:
    """One source and its waits: the `SourceWorld` of the source."""

    def __init__(self, triggerer: Triggerer, key: Hashable, kind: type[Trigger]) -> None:
        self.triggerer = triggerer
        self.key = key
        self.kind = kind
        self.foreign = kind.__struct_config__.tag == "python" or not kind.__module__.startswith("bide.")
        """Its looks or judgements run code of others in the loop: they are watched."""
        self.name = " ".join(str(part) for part in key) if isinstance(key, tuple) else str(key)
        self.waits: dict[int, Waiting] = {}
        self.breakdowns = 0  # in a row
        self.broken: str = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: list[Timer] = []
        self._prune_at = 64
        self._idle: Timer | None = None
        self._reopen: Timer | None = None
        self.closed = False
        self._feed: Feed | None = None
        self._loads: asyncio.Task[None] | None = None
        self._tried: set[str] = set()

    # --- what the triggerer asks ----------------------------------------------------------

    def add(self, wait: Waiting) -> None:
        """Take a wait; it will be looked at soon, by itself."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self.waits[wait.wait_id] = wait
        if self.broken:
            self.triggerer.note_failure(wait, self.broken)
        else:
            self._hand_over(wait)

    def remove(self, wait: Waiting, reason: str) -> None:
        """Let a wait go, and the source with the last one."""
        if self.waits.pop(wait.wait_id, None) is None:
            return
        if self._feed is not None:
            try:
                self._feed.remove(wait, reason)
            except Exception as error:  # noqa: BLE001 - a source that breaks while it forgets a wait
                self.break_down(error)
        self.rest_if_idle()

    def rest_if_idle(self) -> None:
        """Close the source after a while when no wait needs it."""
        if not self.waits and not self.closed and self._idle is None:
            self._idle = self.triggerer.timers.at(self.now() + LINGER_US, self._close_idle)

    async def look(self, wait: Waiting) -> None:
        """One look at `wait`, armed or not; ends when it has been judged or has failed."""
        try:
            await self._loaded()
            feed = self._opened()
        except Exception as error:  # noqa: BLE001 - a source that does not open is an answer, too
            if isinstance(error, UsageError | ImportError):
                self.triggerer.fail(wait, f"{self.name} cannot be watched: {error}")
            else:
                self.failed(wait, look_error(error))
            return
        await feed.look(wait, armed=wait.wait_id in self.waits)
        self.rest_if_idle()

    def next_look_us(self, wait: Waiting) -> int | None:
        return wait.next_us if self._feed is None else self._feed.next_look_us(wait)

    @property
    def seen(self) -> SourceSeen:
        """How it stands, for people."""
        looks, rest_us = (None, None) if self._feed is None else self._feed.pace
        return SourceSeen(self.name, len(self.waits), looks, self.broken, rest_us)

    def clock_stepped(self, step_us: int) -> None:
        if self._feed is not None:
            self._feed.clock_stepped(step_us)

    async def close(self, reason: str) -> None:
        """Close the source. Every wait that is left is taken from it first, with `reason`."""
        self.closed = True
        for timer in (self._idle, self._reopen):
            if timer is not None:
                timer.cancel()
        for wait in list(self.waits.values()):
            self.remove(wait, reason)
        await self._close_source(*self._detach())

    # --- what the source asks: SourceWorld ------------------------------------------------

    def now(self) -> int:
        return self.triggerer.clock.now()

    def observed(self, registration: Registration, seen: Any) -> NotYet | None:
        self.breakdowns = 0
        return self.triggerer.judge(registration, seen)  # type: ignore[arg-type]  # we made it

    def failed(self, registration: Registration, reason: str) -> None:
        self.triggerer.note_failure(registration, reason)  # type: ignore[arg-type]  # we made it

    def rest_until(self, at_us: int) -> None:
        if isinstance(self._feed, PollFeed):
            self._feed.rest_until(at_us)

    def timer(self, at_us: int, call: Callable[[], None], *, instant: bool = False) -> Timer:
        timer = self.triggerer.timers.at(at_us, lambda: self._guard(call), instant=instant)
        self._timers.append(timer)
        if len(self._timers) > self._prune_at:
            self._timers = [known for known in self._timers if known.call is not None]
            self._prune_at = max(64, 2 * len(self._timers))
        return timer

    async def in_thread(self, fn: Callable[..., Any], *args: Any, limit_us: int | None = None) -> Any:
        return await self.triggerer.threads.call(fn, *args, limit_us=limit_us or LOOK_LIMIT_US)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._begun(work, name)

    def _begun(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._run(work), name=f"bide {self.name}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # one cancelled before its first step never began it
        return task

    def predicate(self, dag: str, task: str) -> Callable[..., Any]:
        return self.triggerer.predicates(dag, task)

    # --- within ---------------------------------------------------------------------------

    @property
    def _make(self) -> Callable[[Hashable, SourceWorld], Source]:
        """The kind's own way to make its source, or that of a simulation."""
        return self.triggerer.makers.get(str(self.kind.__struct_config__.tag), self.kind.make_source)

    def _opened(self) -> Feed:
        """The feed of the source, which is opened when it is not yet."""
        if self._feed is None:
            source = self._make(self.key, self)
            self._feed = PollFeed(self, source) if isinstance(source, PollSource) else PushFeed(self, source)
        return self._feed

    def _unloaded(self) -> list[str]:
        """What has to be loaded before the source can be opened."""
        if self._feed is not None or self._make != self.kind.make_source:
            return []
        return [name for name in missing(self.kind.source_modules) if name not in self._tried]

    async def _loaded(self) -> None:
        """When the source can be opened without loading anything in the loop."""
        if self._loads is not None:
            await asyncio.wait((self._loads,))
        elif names := self._unloaded():
            await self._load(names)

    async def _load(self, names: list[str]) -> None:
        loading = asyncio.ensure_future(self.in_thread(load, names))
        try:
            await asyncio.shield(loading)
        finally:  # a thread in the midst of it cannot be cut off, and none is left behind
            await asyncio.wait((loading,))
        self._tried.update(names)  # what is not installed now is for the source to speak of

    async def _begin(self, names: list[str]) -> None:
        try:
            await self._load(names)
        finally:
            self._loads = None
        for wait in list(self.waits.values()):
            if not self.broken:
                self._hand_over(wait)

    def _hand_over(self, wait: Waiting) -> None:
        if self._loads is not None:
            return  # with all others, when what the source needs is loaded
        if names := self._unloaded():
            self._loads = self._begun(self._begin(names), "load")
            return
        try:
            self._opened().add(wait)
        except Exception as error:  # noqa: BLE001 - an open or an add that raises is a breakdown of the source
            self.break_down(error)

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the one place where a source's task ends and is recorded
            self.break_down(error)

    def _guard(self, call: Callable[[], None]) -> None:
        if self.closed:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a source's timer, recorded the same way
            self.break_down(error)

    def break_down(self, error: BaseException) -> None:
        """The source raised where it must not: its waits are told, and it is opened again."""
        if self.broken or self.closed:
            return
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(error, UsageError | ImportError):
            self._refuse(f"{self.name} cannot be watched: {error}")
            return
        self.broken = f"the source {self.name} broke ({text}) and is opened again"
        self.breakdowns += 1
        self.triggerer.breakdowns += 1
        wait_us = min(REOPEN_US << min(self.breakdowns - 1, 10), REOPEN_MOST_US)
        self._reopen = self.triggerer.timers.at(self.now() + wait_us, self._open_again)
        for wait in list(self.waits.values()):
            self.triggerer.note_failure(wait, self.broken)
        self.triggerer.spawn(self._close_source(*self._detach()), f"close {self.name}")

    def _refuse(self, reason: str) -> None:
        """It can never work here (a missing library, a wrong address): its waits fail."""
        for wait in list(self.waits.values()):
            self.triggerer.fail(wait, reason)

    def _open_again(self) -> None:
        self._reopen = None
        self.broken = ""
        for wait in list(self.waits.values()):
            if not self.broken:
                self._hand_over(wait)

    def _detach(self) -> tuple[Feed | None, list[asyncio.Task[None]]]:
        """Cut the source off at once: nothing it still says counts. Returns what is to be closed."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        feed, self._feed = self._feed, None
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        return feed, tasks

    async def _close_source(self, feed: Feed | None, tasks: list[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)
        if feed is None:
            return
        try:
            async with asyncio.timeout(5.0):
                await feed.close()
        except Exception as error:  # noqa: BLE001 - closing is the last thing it does: noted, nobody waits for it
            self.triggerer.note(f"closing {self.name}: {type(error).__name__}: {error}")

    def _close_idle(self) -> None:
        self._idle = None
        if not self.waits and not (self._feed is not None and self._feed.busy):
            self.closed = True
            self.triggerer.drop_host(self)
            self.triggerer.spawn(self._close_source(*self._detach()), f"close {self.name}")
