"""A thread that notices when one callback holds the loop, and names the attempt or wait at fault.

It looks ten times a second while something of ours may run, five times when the loop has rested
for two seconds, and not at all while nothing may run: what a look costs is its waking (measured:
some 0.1 ms, 0.06 % of a core beside an idle loop). A look reads the stack of the loop's thread. A loop that rests in its selector is well. One that does
not is looked at again, every 20 ms, and asked to answer: a loop that answers, or that is found in
another callback each time, is merely busy. One callback found in every look for 0.1 s is reported,
with its stack, within 0.2 s of its beginning (0.3 s after a rest); an idle loop is never woken.

Its weak point: C code that keeps the interpreter's lock stops this thread as well, and is only
seen, if at all, in the moment it lets go.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Hashable
from contextvars import Context, ContextVar
from types import FrameType
from typing import Any, Final

import msgspec

from bide.runtime.clock import SECOND, Clock, SystemClock

EVERY_S: Final = 0.1
SELDOM_S: Final = 0.2
_RESTED: Final = 20
CLOSER_S: Final = 0.02
HELD_US: Final = SECOND // 10
_LINGER_US: Final = SECOND
_PREFIX: Final = "bide:"

doing: ContextVar[str] = ContextVar("bide_doing")
"""What the current task and the tasks it makes are about: `bide:attempt:12`, `bide:wait:5`."""


class Blocked(msgspec.Struct, frozen=True):
    """One callback holds the loop, and has for at least `for_s`.

    `what` is `attempt:12`, `wait:5`, or the callback's own name; `stack` where it stood, outermost
    call first.
    """

    what: str
    for_s: float
    stack: str

    @property
    def attempt_id(self) -> int | None:
        """The attempt at fault, None when it is none of ours."""
        kind, _, number = self.what.partition(":")
        return int(number) if kind == "attempt" and number.isdigit() else None


class _Look(msgspec.Struct, frozen=True):
    """One look at a loop that does not rest: `callback` is equal in two looks at the same callback."""

    callback: Hashable
    frame: FrameType
    handle: Any
    task: asyncio.Task[Any] | None


class Watchdog:
    """Watches the running loop. `on_blocked` is called in the watchdog's thread, once a callback.

    Installs no signal handler, starts its thread with the first `enter` or `touch`.
    """

    def __init__(
        self,
        on_blocked: Callable[[Blocked], None],
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._loop = loop if loop is not None else asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._on_blocked = on_blocked
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._inside = 0
        self._until_us = 0
        self._resting = True
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.last: Blocked | None = None
        """The latest report, for health."""
        self.reports = 0

    def enter(self) -> None:
        """Code of an author's may run in the loop from now on. Counted: as many `leave`s follow."""
        self._inside += 1
        if self._resting:
            self._rouse()

    def leave(self) -> None:
        self._inside -= 1

    def touch(self) -> None:
        """Code of an author's may run in the loop for a moment: watched for a second."""
        self._until_us = self._clock.elapsed() + _LINGER_US
        if self._resting:
            self._rouse()

    def close(self) -> None:
        """End the thread and wait for it: some 0.1 s at most, as it never blocks."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _rouse(self) -> None:
        self._resting = False
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._watch, name="bide-watchdog", daemon=True)
            self._thread.start()
        self._wake.set()

    # --- in the thread

    def _watch(self) -> None:
        rested = 0
        while not self._closed.is_set():
            if self._inside > 0:
                self._until_us = self._clock.elapsed() + _LINGER_US
            elif self._clock.elapsed() >= self._until_us:
                self._rest()
                continue
            self._closed.wait(EVERY_S if rested < _RESTED else SELDOM_S)
            look = None if self._closed.is_set() else self._look()
            rested = rested + 1 if look is None else 0
            if look is not None:
                self._watch_closely(look)

    def _rest(self) -> None:
        """Sleep until roused. Who enters after the flag is raised rouses; who entered before is seen here."""
        self._wake.clear()
        self._resting = True
        if self._quiet():
            self._wake.wait()
        self._resting = False

    def _quiet(self) -> bool:
        return self._inside <= 0 and self._clock.elapsed() >= self._until_us and not self._closed.is_set()

    def _watch_closely(self, first: _Look) -> None:
        """Follow one callback until the loop answers or moves on; report it once."""
        since = self._clock.elapsed()
        answered = threading.Event()
        try:
            self._loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # the loop is closed
            return
        reported = False
        while not self._closed.is_set():
            self._closed.wait(CLOSER_S)
            if answered.is_set():
                break
            look = self._look()
            if look is None or look.callback != first.callback:
                break
            held = self._clock.elapsed() - since
            if not reported and held >= HELD_US:
                reported = True
                self._report(look, held)

    def _report(self, look: _Look, held_us: int) -> None:
        blocked = Blocked(_culprit(look), held_us / SECOND, _stack(look.frame))
        self.last = blocked
        self.reports += 1
        self._on_blocked(blocked)

    def _look(self) -> _Look | None:
        """What the loop's thread does now; None when it rests, or is not in the loop at all."""
        top = sys._current_frames().get(self._thread_id)
        if top is None or _rests(top):
            return None
        frame: FrameType | None = top
        below: FrameType = top
        while frame is not None:
            name = frame.f_code.co_name
            if name == "_run" and frame.f_code.co_filename.endswith("events.py"):
                handle = frame.f_locals.get("self")
                return _Look(_Same(frame), top, handle, asyncio.current_task(self._loop))
            if name in {"run_forever", "_run_once", "run_until_complete"}:
                # a loop of C: no frame stands for the callback, its task has to do
                task = asyncio.current_task(self._loop)
                if below is frame or frame is top:
                    return None
                return _Look(_Same(task if task is not None else below), top, None, task)
            below, frame = frame, frame.f_back
        return None


class _Same:
    """Equal to another when both hold the very same object; keeps it alive, so that this is sound."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.held is self.held

    def __hash__(self) -> int:
        return id(self.held)


def _rests(top: FrameType) -> bool:
    code = top.f_code
    return code.co_name == "select" and code.co_filename.endswith("selectors.py")


def _culprit(look: _Look) -> str:
    """The attempt or wait that the callback belongs to, by its context, else by its task's name."""
    context: Context | None = getattr(look.handle, "_context", None)
    if context is not None and (what := context.get(doing)) is not None:
        return what.removeprefix(_PREFIX)
    if look.task is not None:
        return look.task.get_name().removeprefix(_PREFIX)
    callback = getattr(look.handle, "_callback", None)
    return str(getattr(callback, "__qualname__", None) or repr(callback or "the loop"))


def _stack(top: FrameType) -> str:
    """The author's side of the stack: from the callback on, the machinery of the loop cut off."""
    entries = [
        entry
        for entry in traceback.extract_stack(top, limit=60)
        if not entry.filename.endswith(("asyncio/events.py", "asyncio/base_events.py", "asyncio/runners.py"))
    ]
    return "".join(traceback.format_list(entries)).rstrip()
