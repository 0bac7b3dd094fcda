"""Holds the open waits: gives each to the host of its source, judges what was seen, posts the ends.

It decides nothing about runs and writes nothing down. An end (`WaitFired`, `WaitFailed`) is posted
once; the wait is let go of at that moment, and the engine's `Disarm` after its commit finds it gone.
Deadlines are the engine's: they come as `Disarm`, or as a `LookOnce` when they passed unseen.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Hashable
from random import Random
from typing import Any, Final, Protocol

from bide.runtime.clock import Clock
from bide.runtime.engine.messages import Arm, Input, LookOnce, WaitFailed, WaitFired, WaitLooked
from bide.runtime.errors import NotFoundError, PayloadError, UsageError
from bide.runtime.executor.watchdog import doing
from bide.runtime.triggerer.host import Host
from bide.runtime.triggerer.polling import PollFeed
from bide.runtime.triggerer.registration import Looked, SourceSeen, Waiting
from bide.runtime.triggerer.threads import Threads
from bide.runtime.triggerer.timers import Timers
from bide.runtime.values import encode, redactor
from bide.triggers import decode_trigger
from bide.triggers.base import Fail, Fire, NotYet, Source, SourceWorld, Verdict, key_of

Predicates = Callable[[str, str], Callable[..., Any]]
Post = Callable[[Input], None]
Log = Callable[[int, str], None]

LINE_LIMIT: Final = 2_000
"""Characters of one log line; more is cut, with a mark."""
LINES_LIMIT: Final = 200
"""Log lines of one wait; the last says that there are no more."""
_LINES_AT_ONCE: Final = 50
_LINES_PAUSE_S: Final = 0.05
_MEMOS: Final = 10_000


class Watch(Protocol):
    """What watches the loop."""

    def enter(self) -> None: ...

    def leave(self) -> None: ...

    def touch(self) -> None: ...


class Triggerer:
    """All open waits of one runtime.

    `post` takes the ends of waits, `log` the lines of the waiting phase, `predicates(dag, task)`
    finds the function of a `PythonSensor` in the loaded DAG (`LookupError` when it is not loaded:
    the look fails and is tried again). `max_in_flight` bounds the looks under way over all poll
    sources, `thread_limit` the threads that blocking looks may use.
    """

    def __init__(
        self,
        clock: Clock,
        post: Post,
        *,
        predicates: Predicates,
        log: Log,
        max_in_flight: int = 100,
        thread_limit: int = 16,
        random: Random | None = None,
    ) -> None:
        self.clock = clock
        self.predicates = predicates
        self.timers = Timers(clock)
        self.threads = Threads(thread_limit)
        self.random = random or Random()
        self.makers: dict[str, Callable[[Hashable, SourceWorld], Source]] = {}
        """Kinds whose sources are made by others than the kind itself: the seam for tests."""
        self.watch: Watch | None = None
        """Told when code of others runs in the loop: the executor's watchdog."""
        self.looking = 0
        self.cuts = 0
        """Looks cut because they hung, since the start."""
        self.breakdowns = 0
        """Sources that broke, since the start."""
        self._post = post
        self._log = log
        self._max_in_flight = max_in_flight
        self._waits: dict[int, Waiting] = {}
        self._had: dict[int, dict[str, str]] = {}  # of schedules' waits: what is no news to them
        self._hosts: dict[Hashable, Host] = {}
        self._crowd: deque[PollFeed] = deque()
        self._memos: OrderedDict[int, tuple[Any, str, int]] = OrderedDict()  # of waits looked at one by one
        self._lines: deque[tuple[int, str]] = deque()
        self._unsaid: deque[Waiting] = deque()
        self._writing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._notes: deque[str] = deque(maxlen=100)
        self._closed = False

    # --- the doors --------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to keep time. Waits may be armed before; they are looked at from now on."""
        self.spawn(self.timers.run(), "timers")

    def arm(self, order: Arm) -> None:
        """Register a wait; its first look follows at once, by itself. Arming it twice is once.

        Never raises for what the order says: a trigger that cannot be read ends its wait.
        """
        if self._closed or order.wait_id in self._waits:
            return
        wait = self._welcome(order, order.poll_us, order.backoff, order.deadline_us)
        if wait is not None:
            if order.had is not None:
                self._had[order.wait_id] = order.had
            self._waits[order.wait_id] = wait
            wait.host.add(wait)

    def disarm(self, wait_id: int, reason: str) -> None:
        """Take a wait away; unknown ids are fine. `reason`: fired, timed_out, cancelled, ..."""
        self._memos.pop(wait_id, None)
        wait = self._waits.get(wait_id)
        if wait is not None:
            self._let_go(wait, reason)

    async def look(self, order: LookOnce) -> None:
        """One bounded look at a wait, armed or not; posts what came of it."""
        if order.wait_id in self._waits:
            await self.look_now(order.wait_id)
            return
        wait = self._welcome(order, 0, 1.0, 0)
        if wait is None:
            return
        if before := self._memos.pop(order.wait_id, None):
            wait.memo, wait.last_answer, wait.lines = before
        await wait.host.look(wait)
        if not wait.over:
            wait.over = True
            self._memos[wait.wait_id] = wait.memo, wait.last_answer, wait.lines
            while len(self._memos) > _MEMOS:
                self._memos.popitem(last=False)
            self._post(WaitLooked(wait.wait_id, wait.last_answer, wait.next_us, wait.failures > 0))

    async def look_now(self, wait_id: int) -> Looked | None:
        """Look at an armed wait now, as far as spacing and rests allow. None: it ended meanwhile."""
        wait = self._waits.get(wait_id)
        if wait is None:
            raise NotFoundError(f"there is no armed wait {wait_id}: list them with `bide waits`")
        if not wait.host.broken:
            await wait.host.look(wait)
        return None if wait.over else self.status(wait_id)

    def status(self, wait_id: int) -> Looked | None:
        """What is known about the looks at an armed wait; None when it is not armed."""
        wait = self._waits.get(wait_id)
        if wait is None:
            return None
        return Looked(
            wait.last_look_us,
            wait.last_answer,
            wait.host.next_look_us(wait),
            wait.looks,
            wait.host.name,
            wait.failures,
            0 if wait.group is None else len(wait.group.waits),
        )

    def source_of(self, wait_id: int) -> SourceSeen | None:
        """The source of an armed wait; None when it is not armed."""
        wait = self._waits.get(wait_id)
        return None if wait is None else wait.host.seen

    @property
    def armed(self) -> int:
        """How many waits are held."""
        return len(self._waits)

    @property
    def ids(self) -> frozenset[int]:
        """The waits that are held, by id."""
        return frozenset(self._waits)

    @property
    def sources(self) -> dict[str, int]:
        """Waits by source, for metrics."""
        return {host.name: len(host.waits) for host in self._hosts.values()}

    @property
    def notes(self) -> tuple[str, ...]:
        """The last things that went wrong outside of any wait."""
        return tuple(self._notes)

    def clock_stepped(self, step_us: int) -> None:
        """The wall clock was moved by `step_us`: spans move with it, instants stay."""
        self.timers.clock_stepped(step_us)
        for host in self._hosts.values():
            host.clock_stepped(step_us)

    async def close(self) -> None:
        """Let go of all waits (their rows stay open) and close every source. Bounded."""
        self._closed = True
        hosts = list(self._hosts.values())
        self._hosts.clear()
        for host in hosts:
            await host.close("shutdown")
        self._waits.clear()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)
        await self.threads.close()
        while self._lines:
            self._log(*self._lines.popleft())

    # --- judging: what hosts and feeds call ---------------------------------------------------

    def judge(self, wait: Waiting, seen: Any) -> NotYet | None:
        """Have the trigger judge what was seen, and act on it. None when the wait is over."""
        if wait.over:
            return None
        now = self.clock.now()
        wait.looks += 1
        wait.last_look_us = now
        wait.failures = 0
        try:
            if wait.host.foreign:
                verdict = self._judge_watched(wait, seen, now)
            else:
                verdict = wait.trigger.judge(seen, wait.memo, now)
            if type(verdict) is Fire and (had := self._had.get(wait.wait_id)) is not None:
                verdict = _news(wait, had, verdict)
        except Exception as error:  # noqa: BLE001 - a judgement that raises ends its own wait, nothing else
            verdict = Fail(f"{wait.trigger.describe()} could not be judged: {type(error).__name__}: {error}")
        match verdict:
            case NotYet():
                wait.misses += 1
                wait.memo = verdict.memo
                if verdict.at_least:
                    wait.next_us = verdict.again_us
                self._answer(wait, verdict.reason)
                return verdict
            case Fire():
                self._fire(wait, verdict)
            case Fail():
                self.fail(wait, verdict.reason)
        return None

    def note_failure(self, wait: Waiting, reason: str) -> None:
        """A look brought nothing: shown, and the wait goes on."""
        if wait.over:
            return
        wait.last_look_us = self.clock.now()
        wait.failures += 1
        wait.misses += 1
        self._answer(wait, reason)

    def fail(self, wait: Waiting, reason: str) -> None:
        """End the wait as failed."""
        if wait.over:
            return
        reason = redactor(reason)
        self._answer(wait, f"failed: {reason}")
        self._let_go(wait, "failed")
        self._post(WaitFailed(wait.wait_id, reason))

    def _fire(self, wait: Waiting, fire: Fire) -> None:
        try:
            data = encode(fire.event, "the event")
        except PayloadError as error:
            self.fail(wait, f"{wait.trigger.describe()}: {error}")
            return
        marks = fire.marks if wait.wait_id in self._had else {}
        self._let_go(wait, "fired")
        self._post(WaitFired(wait.wait_id, data, marks))
        if wait.last_answer:
            self._line(wait, "it is true", end=True)

    # --- code of others in the loop -------------------------------------------------------------

    def enter(self, wait: Waiting) -> None:
        """The current task runs code of others for `wait`, until `leave`: who blocks is named."""
        doing.set(f"bide:wait:{wait.wait_id}")
        if self.watch is not None:
            self.watch.enter()

    def leave(self) -> None:
        if self.watch is not None:
            self.watch.leave()

    def _judge_watched(self, wait: Waiting, seen: Any, now: int) -> Verdict:
        before = doing.set(f"bide:wait:{wait.wait_id}")
        if self.watch is not None:
            self.watch.touch()
        try:
            return wait.trigger.judge(seen, wait.memo, now)
        finally:
            doing.reset(before)

    # --- room for looks -----------------------------------------------------------------------

    def may_look(self, feed: PollFeed) -> bool:
        """Whether one more look may begin; when not, the feed is pumped as soon as one ends."""
        if self.looking < self._max_in_flight:
            return True
        if feed not in self._crowd:
            self._crowd.append(feed)
        return False

    def look_ended(self) -> None:
        """A look has ended or was cut: its room goes to whoever waits longest."""
        self.looking -= 1
        if self._crowd:
            self._crowd.popleft().pump()

    # --- within ---------------------------------------------------------------------------------

    def _welcome(
        self, order: Arm | LookOnce, poll_us: int, backoff: float, deadline_us: int
    ) -> Waiting | None:
        """The record of a wait at the host of its source; None when its trigger cannot be used."""
        try:
            trigger = decode_trigger(order.trigger)
            key = trigger.source_key()
            host = self._hosts.get(key)
        except Exception as error:  # noqa: BLE001 - a third party's trigger may raise anything: its wait ends
            reason = (
                str(error)
                if isinstance(error, UsageError)
                else f"its trigger: {type(error).__name__}: {error}"
            )
            self._post(WaitFailed(order.wait_id, redactor(reason)))
            return None
        if host is None:
            host = self._hosts[key] = Host(self, key, type(trigger))
        return Waiting(order.wait_id, order.attempt_id, trigger, poll_us, backoff, deadline_us, host)

    def _let_go(self, wait: Waiting, reason: str) -> None:
        wait.over = True
        self._waits.pop(wait.wait_id, None)
        self._had.pop(wait.wait_id, None)
        wait.host.remove(wait, reason)
        if wait.once is not None and not wait.once.done():
            wait.once.set_result(None)

    def drop_host(self, host: Host) -> None:
        """Its source is closing for want of waits."""
        if self._hosts.get(host.key) is host:
            del self._hosts[host.key]

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` beside, until it ends or the triggerer closes."""
        task = asyncio.get_running_loop().create_task(work, name=f"bide triggerer: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.note(f"{task.get_name()} ended: {type(error).__name__}: {error}")

    def note(self, text: str) -> None:
        self._notes.append(redactor(text))

    # --- the log of the waiting phase -----------------------------------------------------------

    def _answer(self, wait: Waiting, text: str) -> None:
        if text == wait.last_answer:
            return
        text = redactor(text)
        if len(text) > LINE_LIMIT:
            text = f"{text[:LINE_LIMIT]}… ({len(text):,} characters)"
        if text != wait.last_answer:
            wait.last_answer = text
            self._line(wait, text)

    def _line(self, wait: Waiting, text: str, *, end: bool = False) -> None:
        """Log what was seen. Of a great many waits the first lines are left for a quiet moment."""
        if not text or wait.lines > LINES_LIMIT or not wait.attempt_id:
            return  # what a schedule waits for has no attempt, and no log
        if wait.lines == 0 and not end and self._backlog:
            self._unsaid.append(wait)
            return
        wait.lines += 1
        if wait.lines > LINES_LIMIT:
            text = f"{LINES_LIMIT} answers were logged; further ones are shown by `bide why` only"
        elif wait.lines == 1:
            text = f"waiting for {redactor(wait.trigger.describe())}: {text}"
        self._lines.append((wait.attempt_id, text))
        if not self._writing:
            self._writing = True
            asyncio.get_running_loop().call_soon(self._write)

    @property
    def _backlog(self) -> bool:
        return len(self._lines) >= _LINES_AT_ONCE or bool(self._unsaid)

    def _write(self) -> None:
        """Hand a few lines to the log; a backlog is worked off at a pace that delays nothing else."""
        for _ in range(min(len(self._lines), _LINES_AT_ONCE)):
            self._log(*self._lines.popleft())
        while self._unsaid and len(self._lines) < _LINES_AT_ONCE:
            wait = self._unsaid.popleft()
            if not wait.over and wait.lines == 0:
                wait.lines = 1
                text = f"waiting for {redactor(wait.trigger.describe())}: {wait.last_answer}"
                self._lines.append((wait.attempt_id, text))
        self._writing = bool(self._lines)
        if self._writing:
            asyncio.get_running_loop().call_later(_LINES_PAUSE_S, self._write)


def _news(wait: Waiting, had: dict[str, str], fire: Fire) -> Fire | NotYet:
    """What of an event is new to the schedule that waits for it."""
    nothing = NotYet("nothing new since it last fired", memo=wait.memo)
    if not fire.marks:
        return nothing if had.get("") == key_of(wait.trigger, fire.event) else fire
    new = {name: mark for name, mark in fire.marks.items() if had.get(name) != mark}
    event = wait.trigger.only(fire.event, new) if new else None
    return nothing if event is None else Fire(event, new)
