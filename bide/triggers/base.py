"""What is waited for, and what sees it: triggers judge, sources observe.

A `Trigger` is a small frozen struct of plain data. It names the source that can see it
(`source_key`), and judges what that source observed. It does no I/O and reads no clock. A
`Source` is one live connection to the outside, shared by all waits whose triggers name it.

Third parties bring both: a subclass of `Trigger` and of `PollSource` (or `PushSource`), and an
entry point in the group `bide.triggers` whose name is the trigger's tag.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Protocol

import msgspec

from bide.runtime.clock import SECOND
from bide.runtime.values import Secret


class Fire(msgspec.Struct, frozen=True):
    """It is true: the wait ends with this event, plain JSON data.

    `marks` name the single things in it (files, objects), each with what changes when it does: where a
    schedule waits, a thing that was in an event before is not in the next one.
    """

    event: Any = None
    marks: dict[str, str] = {}


class Fail(msgspec.Struct, frozen=True):
    """It can never become true, or must not be waited for any longer: the wait fails."""

    reason: str


class NotYet(msgspec.Struct, frozen=True):
    """Go on waiting. `reason` is what `why` and the log show; `memo` goes to the next judgement.

    `again_us`: look again no later than this instant (a file that must settle); None leaves it to
    the poll interval. With `at_least` it is a bound from below instead: no look before it, by any
    wait that shares the look (a Retry-After). The triggerer's minimum spacing holds in any case.
    """

    reason: str = ""
    again_us: int | None = None
    at_least: bool = False
    memo: Any = None


Verdict = Fire | Fail | NotYet


class Trigger(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """The base of all triggers. A subclass sets `tag="..."`, its kind in listings and the store."""

    source_modules: ClassVar[tuple[str, ...]] = ()
    """Modules that `make_source` takes its source and the client library from: loaded in a thread before it is called."""

    def source_key(self) -> Hashable:
        """Waits with the same key share one source: `("http", "https://example.org")`."""
        raise TypeError(f"{type(self).__name__} does not say which source sees it")

    def poll_key(self) -> Hashable:
        """Waits with the same key share one look. By default: identical triggers do."""
        return msgspec.json.encode(self)

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        """Judge an observation of the source. Pure; `memo` is what the last `NotYet` left.

        `now` is epoch microseconds. May raise: the wait then fails with the exception's text.
        """
        raise TypeError(f"{type(self).__name__} does not say how it judges")

    def not_before(self) -> int | None:
        """The instant before which it cannot come true, epoch microseconds; None: at any time.

        Where its author names no time-out, the default one counts from this instant.
        """
        return None

    def event_key(self, event: Any) -> Any:
        """What of an event tells it from another: where it is held by a schedule, the same one
        makes no second run. Plain JSON data; all of the event unless a kind says less.
        """
        return event

    def only(self, event: Any, marks: dict[str, str]) -> Any:
        """The event with those of its things alone that `marks` names; None when they are too few."""
        return event

    def describe(self) -> str:
        """A few words for people: `file drops/2026-11-20.csv`. Never a secret's value."""
        return type(self).__name__

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        """Open the source of `key`. Called once a key while waits need it; must not block.

        Import the client library here, not with the trigger: decoding a trigger loads no client. It runs in the
        loop: what takes long to import stands in `source_modules` as well.
        """
        raise TypeError(f"{cls.__name__} brings no source")


class Registration(Protocol):
    """One wait, as a source sees it. The triggerer makes them, sources only read them."""

    @property
    def wait_id(self) -> int: ...

    @property
    def trigger(self) -> Any: ...

    @property
    def poll_us(self) -> int:
        """The poll interval its author asked for."""
        ...

    @property
    def memo(self) -> Any:
        """What the last `NotYet` left, None at first."""
        ...


class TimerHandle(Protocol):
    """A call that is due at an instant."""

    def cancel(self) -> None:
        """The call does not happen. May be called twice, and after it has happened."""
        ...


class SourceWorld(Protocol):
    """What the triggerer gives to one source: time, threads, and a way to report."""

    def now(self) -> int:
        """Wall time, epoch microseconds UTC."""
        ...

    def observed(self, registration: Registration, seen: Any) -> NotYet | None:
        """Have the trigger judge `seen`, and act on it; never raises.

        None when the wait is over: the source has been told to `remove` it, and forgets it.
        """
        ...

    def failed(self, registration: Registration, reason: str) -> None:
        """A look that brought no observation: noted and shown; the wait goes on."""
        ...

    def rest_until(self, at_us: int) -> None:
        """No look of this poll source begins before `at_us` (a Retry-After of the whole origin)."""
        ...

    def timer(self, at_us: int, call: Callable[[], None], *, instant: bool = False) -> TimerHandle:
        """Call `call` once `now()` has reached `at_us`.

        A step of the wall clock moves the timer with it, unless it is an `instant` of the calendar.
        """
        ...

    async def in_thread(self, fn: Callable[..., Any], *args: Any, limit_us: int | None = None) -> Any:
        """Run a blocking function in the sources' own threads, with their own limit.

        After `limit_us` (default 30 s) it raises `LookFailed`; the thread is written off until it
        returns, and does not count against the limit.
        """
        ...

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` beside; it ends when the source is closed. If it raises, the source is broken:
        its waits note the error, and it is opened again after a back-off.
        """
        ...

    def predicate(self, dag: str, task: str) -> Callable[..., Any]:
        """The function of a `PythonSensor`, through its loaded DAG; `LookupError` says why not."""
        ...


class LookFailed(Exception):  # noqa: N818 - an outcome of a look, not an error of bide
    """A look brought no observation: unreachable, refused, too slow. The wait goes on.

    Any other exception of a look is treated the same, with its class named; this one shows only
    its message.
    """


class PollSource:
    """Sees by asking. The triggerer decides when; the source never schedules its own looks."""

    max_in_flight: int = 10
    """Looks of this source under way at once."""
    spacing_us: int = 0
    """Least time between the beginnings of two looks of this source (a rate limit). Read each time."""
    floor_us: int = SECOND
    """Least time between two looks at one poll key, whatever a verdict asks; never more than the
    poll interval."""
    limit_us: int = 30 * SECOND
    """A look that takes longer is cut and counted as failed."""

    def add(self, registration: Registration) -> None:
        """A wait has come; its first look follows by itself."""

    def remove(self, registration: Registration, reason: str) -> None:
        """A wait is over: fired, failed, timed_out, cancelled, paused or shutdown."""

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> Any:
        """One look for all of these waits: the observation, or an exception (see `LookFailed`).

        It never overlaps another look at the same key.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of everything. No look is under way any more; called once."""


class PushSource:
    """Is told by the outside (a heap of instants, inotify); reports through its `SourceWorld`.

    `add` must lead to one `observed` or `failed` soon, by itself: arming begins with a look, and
    watching begins before that look.
    """

    def add(self, registration: Registration) -> None:
        """A wait has come. Cheap: no I/O here."""
        raise NotImplementedError

    def remove(self, registration: Registration, reason: str) -> None:
        """A wait is over: fired, failed, timed_out, cancelled, paused or shutdown."""
        raise NotImplementedError

    async def look_now(self, registration: Registration) -> Any:
        """One look for one wait, added or not: by hand, at the deadline, between reschedules."""
        raise NotImplementedError

    def next_look_us(self, registration: Registration) -> int | None:
        """When this wait is looked at next, if that is known; for people."""
        return None

    def clock_stepped(self, step_us: int) -> None:
        """The wall clock was moved; `timer`s have been shifted already."""

    async def close(self) -> None:
        """Let go of everything; called once, after the last `remove`."""


Source = PollSource | PushSource

REASONS: tuple[str, ...] = ("fired", "failed", "timed_out", "cancelled", "paused", "shutdown")


def reveal(value: Any) -> Any:
    """`value` with each `{"$secret": ref}` in it resolved, now. For use at the wire, never to keep.

    >>> reveal({"Authorization": "plain"})
    {'Authorization': 'plain'}
    """
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(ref := value.get("$secret"), str):
            return Secret(ref).resolve()
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(item) for item in value]
    return value


def key_of(trigger: Trigger, event: Any) -> str:
    """The key of an event that fired a trigger: the same for the same event, in few letters."""
    return sha256(msgspec.json.encode(trigger.event_key(event), order="sorted")).hexdigest()[:32]


ENGINE: Hashable = ("engine",)
"""The source key of what the engine itself sees: such a wait is never armed here."""

__all__ = [
    "ENGINE",
    "REASONS",
    "Fail",
    "Fire",
    "LookFailed",
    "NotYet",
    "PollSource",
    "PushSource",
    "Registration",
    "Source",
    "SourceWorld",
    "TimerHandle",
    "Trigger",
    "Verdict",
    "key_of",
    "reveal",
]
