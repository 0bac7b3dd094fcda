"""Follows the journal of a database from another process, whoever holds it, for as long as one likes.

A service is listened to: its stream is taken up again where it broke off. Where none answers the database
itself is looked at, which costs a look at a counter five times a second, until a service is there again.
Everything blocks the calling thread, which ^C ends as any other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import SECOND, Clock
from bide.runtime.errors import GaveUpError, UnreachableError
from bide.runtime.service import events
from bide.runtime.service.client import Client
from bide.runtime.service.event_shapes import EventLine, event_line
from bide.runtime.service.operations import AtOnce
from bide.runtime.service.session import service_of
from bide.runtime.store.feed import last_line, lines_after, version_of_database
from bide.runtime.store.lock import Lock
from bide.runtime.store.reader import Reader

LOOK_S: Final = 0.2
AGAIN_S: Final = 1.0
_SERVICE_US: Final = SECOND
_QUIET_S: Final = 60.0
"""Longer than the feed is ever silent: it says that it is still there four times in it."""
_PAGE: Final = 500


class Told(msgspec.Struct, frozen=True):
    """What whoever follows should know of how it is followed."""

    text: str


class Following:
    """`for each in Following(...)`: the events as they come, and what there is to say beside them.

    `since`: an event's number, an instant, a span before now; news only without it. `run`, `dag` and `kind`
    narrow it. A run or a DAG that is not there is a `NotFoundError`.
    `elsewhere`: the service at an address, which alone is listened to then.
    """

    def __init__(
        self,
        db: Path,
        clock: Clock,
        since: str | None = None,
        run: str | None = None,
        dag: str | None = None,
        kind: str | None = None,
        elsewhere: Client | None = None,
    ) -> None:
        self._db, self._clock, self._elsewhere = db, clock, elsewhere
        self._place, self._asked = since, (run, dag, kind)
        self._rest = threading.Event()
        self._said = ""

    def close(self) -> None:
        """End it from another thread, at its next look."""
        self._rest.set()

    def __iter__(self) -> Iterator[EventLine | Told]:
        while not self._rest.is_set():
            client = self._service()
            if client is None:
                yield from self._database()
            else:
                yield from self._stream(client)

    def _service(self) -> Client | None:
        """The one at the address that is meant, else the one that holds the database."""
        return self._elsewhere or asyncio.run(service_of(self._db, self._clock))

    def _stream(self, client: Client) -> Iterator[EventLine | Told]:
        """Until it ends: the service stops, or has cut this reader."""
        run, dag, kind = self._asked
        query = {"since": self._place, "run": run, "dag": dag, "kind": kind}
        try:
            with client.stream("/api/v1/events", query, _QUIET_S) as lines:
                for place, data in _messages(lines):
                    self._said = ""
                    self._place = place or self._place
                    if data:
                        yield typed.decode(data, EventLine)
                    if self._rest.is_set():
                        return
        except (UnreachableError, GaveUpError) as error:
            if self._service() is not None:  # else the database is looked at
                yield from self._once(str(error))
                self._rest.wait(AGAIN_S)

    def _database(self) -> Iterator[EventLine | Told]:
        """Until a service is there."""
        yield from self._how()
        with Reader(self._db) as reader:
            which = asyncio.run(events.wanted(AtOnce(reader), *self._asked))
            if self._place is None:
                seq = reader.read(last_line)
            else:
                seq = asyncio.run(events.place(AtOnce(reader), self._place, self._clock.now()))
            seen, asked = -1, self._clock.elapsed()
            while not self._rest.is_set():
                if (now := reader.read(version_of_database)) != seen:
                    seen = now
                    while True:
                        page = reader.read(partial(lines_after, seq=seq, wanted=which, limit=_PAGE))
                        seq = max(seq, page.upto)
                        self._place = str(seq)
                        yield from map(event_line, page.lines)
                        if page.over:
                            break
                self._rest.wait(LOOK_S)
                if self._clock.elapsed() - asked > _SERVICE_US:
                    if self._service() is not None:
                        return
                    yield from self._how()
                    asked = self._clock.elapsed()

    def _how(self) -> Iterator[Told]:
        """Who holds the database, where that is another than was said last."""
        holder = Lock(self._db).holder()
        if holder is None or holder.kind != "runtime":
            said = (
                f"no runtime holds {self._db}, so nothing of it moves: start `bide serve`, or `bide run` a DAG; "
                "what comes then is shown here"
            )
        else:
            said = (
                f"process {holder.pid} holds {self._db} and offers no socket: its journal is looked at "
                f"{1 / LOOK_S:g} times a second"
            )
        yield from self._once(said)

    def _once(self, said: str) -> Iterator[Told]:
        if said != self._said:
            self._said = said
            yield Told(said)


def _messages(lines: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """(place, data) of each message: the blank line at its end makes it one, what is cut off before counts for nothing."""
    place, data = "", b""
    for line in lines:
        name, _, value = line.removesuffix(b"\n").partition(b": ")
        if line == b"\n":
            yield place, data
            place, data = "", b""
        elif name == b"id":
            place = value.decode()
        elif name == b"data":
            data = value
