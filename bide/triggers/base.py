"""What is waited for, and what sees it: triggers judge, sources observe.

A `Trigger` is a small frozen struct of plain data. It names the source that can see it
(`source_key`), and judges what that source observed. It does no I/O and reads no clock. A
`Source` is one live connection to the outside, shared by all waits whose triggers name it.

Third parties bring both: a subclass of `Trigger` and of `PollSource` (or `PushSource`), and an
entry point in the group `bide.triggers` that names the trigger class.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import msgspec


class Fire(msgspec.Struct, frozen=True):
    """It is true: the wait ends with this event, plain JSON data."""

    event: Any = None


class Fail(msgspec.Struct, frozen=True):
    """It can never become true, or must not be waited for any longer: the wait fails."""

    reason: str


class NotYet(msgspec.Struct, frozen=True):
    """Go on waiting. `reason` is what `why` shows; `memo` is handed to the next judgement.

    `again_us`: look again no later than this instant (a file that must settle, a Retry-After);
    None leaves it to the poll interval. `at_least` makes it a bound from below as well.
    """

    reason: str = ""
    again_us: int | None = None
    at_least: bool = False
    memo: Any = None


Verdict = Fire | Fail | NotYet


class Trigger(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """The base of all triggers. A subclass sets `tag="..."`, its kind in listings and the store."""

    def source_key(self) -> Hashable:
        """Waits with the same key share one source: `("http", "https://example.org")`."""
        raise TypeError(f"{type(self).__name__} does not say which source sees it")

    def poll_key(self) -> Hashable:
        """Waits with the same key share one look. By default: identical triggers do."""
        return self

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        """Judge an observation of the source. Pure; `memo` is what the last `NotYet` left.

        `now` is epoch microseconds. May raise: the wait then fails with the exception's text.
        """
        raise TypeError(f"{type(self).__name__} does not say how it judges")

    def describe(self) -> str:
        """A few words for people: `file drops/2026-11-20.csv`."""
        return type(self).__name__

    make_source: ClassVar[Callable[..., Source]]
    """`make_source(key, world: SourceWorld) -> Source`, called once a key."""


class Registration(Protocol):
    """One armed wait, as a source sees it. Sources hold registrations; the triggerer makes them."""

    wait_id: int
    trigger: Trigger
    poll_every_us: int
    deadline_us: int
    memo: Any


class SourceWorld(Protocol):
    """What the triggerer gives to a source: time, a way to report, and limits."""

    def now(self) -> int: ...

    def observed(self, registration: Registration, seen: Any) -> None:
        """Have the trigger judge `seen`, and act on the verdict. Never raises."""
        ...

    def failed(self, registration: Registration, error: BaseException, reason: str) -> None:
        """A look that brought no observation: noted, and tried again; the wait goes on."""
        ...

    async def in_thread(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run a blocking function in the sources' own threads, with their own limit."""
        ...


class PollSource(Protocol):
    """Sees by asking. The triggerer decides when; the source never schedules its own looks."""

    max_in_flight: int
    """Looks of this source under way at once."""

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> Any:
        """One look for all of these waits. The observation; an exception is a look that failed.

        It is cut by the triggerer when it takes too long, and never overlaps itself.
        """
        ...

    async def close(self) -> None: ...


class PushSource(Protocol):
    """Is told by the outside (a heap of instants, inotify); reports through its `SourceWorld`."""

    def add(self, registration: Registration) -> None: ...

    def remove(self, registration: Registration) -> None: ...

    async def look_now(self, registration: Registration) -> Any:
        """One look for one wait: by hand, at the deadline, in reschedule mode."""
        ...

    async def close(self) -> None: ...


Source = PollSource | PushSource
Looker = Callable[[Trigger], Awaitable[Any]]
Event = Mapping[str, Any]
