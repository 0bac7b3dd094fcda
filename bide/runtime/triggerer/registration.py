"""One wait as the triggerer holds it, and what is told about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from bide.triggers.base import Trigger

if TYPE_CHECKING:
    from bide.runtime.triggerer.host import Host
    from bide.runtime.triggerer.polling import Group


class Looked(msgspec.Struct, frozen=True):
    """What is known about the looks at a wait; instants in epoch microseconds, None: not yet."""

    last_look_us: int | None
    last_answer: str
    next_look_us: int | None
    looks: int
    source: str
    failures: int = 0
    """Looks in a row that brought no observation."""
    shared: int = 0
    """Waits that one look serves, this one among them; 0 where no look is needed."""


class SourceSeen(msgspec.Struct, frozen=True):
    """A source as it stands."""

    name: str
    waits: int
    looks: int | None
    """How many looks see all of its waits; None: the outside tells it."""
    broken: str
    """Why it is closed and opened again; "" while it goes."""
    rest_us: int | None
    """No look begins before this instant, because the other side asked for it."""


class Waiting:
    """One wait. Kept small: there may be 100,000 of them; no task, future or closure each."""

    __slots__ = (
        "attempt_id",
        "backoff",
        "deadline_us",
        "failures",
        "group",
        "host",
        "last_answer",
        "last_look_us",
        "lines",
        "looks",
        "memo",
        "misses",
        "next_us",
        "once",
        "over",
        "poll_us",
        "trigger",
        "wait_id",
    )

    def __init__(
        self,
        wait_id: int,
        attempt_id: int,
        trigger: Trigger,
        poll_us: int,
        backoff: float,
        deadline_us: int,
        host: Host,
    ) -> None:
        self.wait_id = wait_id
        self.attempt_id = attempt_id
        self.trigger = trigger
        self.poll_us = poll_us
        self.backoff = backoff
        self.deadline_us = deadline_us
        self.host = host
        self.group: Group | None = None
        self.memo: Any = None
        self.over = False
        self.looks = 0
        self.misses = 0  # looks in a row that saw and said not yet, or saw nothing
        self.failures = 0  # looks in a row that saw nothing
        self.last_look_us: int | None = None
        self.last_answer = ""
        self.next_us: int | None = None
        self.lines = 0
        self.once: asyncio.Future[None] | None = None
