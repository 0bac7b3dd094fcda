"""The live feed: what is committed, told at once to whoever listens, and never in the engine's way.

A commit wakes the feed; it reads the new lines of the journal once for all readers, and keeps the newest
in a ring. A reader is but a place in the journal: it is told out of the ring, or, when it is further
behind than that, out of the database, so that what waits for it has a bound and nothing is lost. Whoever
does not take what it is sent is cut, and comes back with the number of the last line it had. While nobody
listens there is no feed: no task, no hook, no line read.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from bide.runtime.clock import Clock
from bide.runtime.engine.changes import Changes
from bide.runtime.errors import BideError, UnreachableError
from bide.runtime.service.event_shapes import event_line
from bide.runtime.store.feed import ALL, FeedLine, Page, Wanted, last_line, lines_after
from bide.runtime.store.reader import AsyncReader, Reader

log = logging.getLogger("bide.feed")
READERS: Final = 1_000
"""At once, and of the files that the process may have open half at most."""
PAGE: Final = 500
RING_BYTES: Final = 4 * 1024 * 1024
PING_S: Final = 15.0
GATHER_S: Final = 0.01
"""Between two looks at the journal: what a busy runtime commits meanwhile is one message."""
AT_ONCE: Final = 16
"""Readers that are told between two turns of the loop."""
TOKEN_S: Final = 900.0
"""How long a token is taken for good without being shown again: it may have expired."""
_SHARE: Final = 3
"""The feed rests so many times as long as telling everybody took."""
_HOST_S: Final = 0.2
_AGAIN_S: Final = 1.0
_encoder = msgspec.json.Encoder()


def _host() -> Any:
    """A uvicorn that serves this process, known by its signal handler; it has no other way to tell of its end."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if hasattr(server, "should_exit") else None


def files() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1_000_000


def frame(line: FeedLine) -> bytes:
    """A line as a message of the stream: JSON has no line ends of its own."""
    return b"id: %d\ndata: %s\n\n" % (line.seq, _encoder.encode(event_line(line)))


class _Told:
    """A page of the journal as it is sent. What a filter leaves of it is made once for all who ask the same."""

    def __init__(self, page: Page) -> None:
        self.lines, self.upto = page.lines, page.upto
        self._frames = [frame(line) for line in page.lines]
        self.whole = b"".join(self._frames)
        self._left: dict[Wanted, bytes] = {ALL: self.whole}

    def after(self, seq: int, wanted: Wanted) -> bytes:
        if seq >= self.lines[0].seq:
            return self._fitting(wanted, seq)
        if wanted not in self._left:
            self._left[wanted] = self._fitting(wanted, seq)
        return self._left[wanted]

    def forget(self) -> None:
        """It is no longer the newest: whoever is late has its part made anew."""
        self._left = {ALL: self.whole}

    def _fitting(self, wanted: Wanted, seq: int) -> bytes:
        pairs = zip(self.lines, self._frames, strict=True)
        return b"".join(text for line, text in pairs if line.seq > seq and wanted.fits(line))


class FeedReader:
    """One who listens: a place in the journal, and what is wanted. Made by `Feed.open`."""

    def __init__(self, feed: Feed, wanted: Wanted, seq: int, token: bool) -> None:
        self._feed, self._wanted, self.seq, self.token = feed, wanted, seq, token
        self._wake = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self.ended = False

    def tell(self) -> None:
        self._wake.set()

    def end(self) -> None:
        """Nothing more is given, and what is being sent is given up."""
        self.ended = True
        self._wake.set()
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def sent(self, sending: Awaitable[None], limit_s: float) -> None:
        """Wait until it is taken: `TimeoutError` when it is not in time, or the feed ends before."""
        try:
            async with asyncio.timeout(limit_s) as self._limit:
                await sending
        finally:
            self._limit = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """What is to be sent, as it comes; a comment where nothing has for a while."""
        feed = self._feed
        loop = asyncio.get_running_loop()
        until = loop.time() + TOKEN_S if self.token else None
        yield b"retry: 2000\nid: %d\n\n" % self.seq
        while not self.ended and (until is None or loop.time() < until):
            self._wake.clear()
            if text := await self._next():
                yield text
            elif self.seq >= feed.seq and not await self._woken():
                yield b": still here\nid: %d\n\n" % self.seq

    async def _next(self) -> bytes:
        """The next piece, b"" where what was looked through has nothing that is wanted."""
        if self.seq >= self._feed.kept_after:
            told = self._feed.told_after(self.seq)
            if told is None:
                return b""
            text = told.after(self.seq, self._wanted)
            self.seq = told.upto
            return text
        told_to = self._feed.seq  # of one run the journal may end long before it
        page = await self._feed.page(self.seq, self._wanted)
        self.seq = max(self.seq, page.upto, told_to if page.over else 0)
        return await self._feed.asks.ask(lambda _: _frames(page.lines)) if page.lines else b""

    async def _woken(self) -> bool:
        try:
            async with asyncio.timeout(PING_S):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True


def _frames(lines: Sequence[FeedLine]) -> bytes:
    return b"".join(frame(line) for line in lines)


class Feed:
    """The feed of an open runtime; `hooks` are told of each commit. All of it in the runtime's loop."""

    def __init__(self, reader: AsyncReader, hooks: list[Callable[[Changes], None]], clock: Clock) -> None:
        self.asks, self.now, self._hooks = reader, clock.now, hooks
        self._readers: dict[FeedReader, None] = {}
        self._ring: deque[_Told] = deque()
        self.kept_bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._hosted: asyncio.Task[None] | None = None
        self._closed = False
        self.seq = 0
        self.kept_after = 0
        """The ring has every line behind this one, up to `seq`."""

    @property
    def readers(self) -> int:
        return len(self._readers)

    async def open(self, wanted: Wanted = ALL, after: int | None = None, token: bool = False) -> FeedReader:
        """A reader of what comes after line `after`, of news only without it. `leave` takes it away.

        One that a `token` let in has to come again from time to time, and at once when any is revoked.
        """
        self._raise_without_room()
        newest = await self.asks.ask(Reader.read, last_line)
        self._raise_without_room()  # others have come meanwhile, or the end has
        reader = FeedReader(self, wanted, newest if after is None else min(after, newest), token)
        self._readers[reader] = None
        if self._task is None:
            self.seq = self.kept_after = newest
            self._hooks.append(self.committed)
            self._wake.set()
            self._task = asyncio.create_task(self._run(), name="bide:feed")
            if (host := _host()) is not None:
                self._hosted = asyncio.create_task(self._end_with(host), name="bide:feed host")
        return reader

    def _raise_without_room(self) -> None:
        if self._closed:
            raise UnreachableError("the runtime is stopping: ask again when it is back")
        if len(self._readers) >= (most := min(READERS, files() // 2)):
            raise UnreachableError(f"{most} follow the feed already: end one of them, or ask later")

    def leave(self, reader: FeedReader) -> None:
        """It listens no more; with the last one the feed is gone. May be called twice."""
        reader.end()
        self._readers.pop(reader, None)
        if not self._readers and self._task is not None:
            self._task.cancel()
            self._task = None
            if self._hosted is not None:
                self._hosted.cancel()
            self._hooks.remove(self.committed)
            self._ring.clear()
            self.kept_bytes = 0

    def close(self) -> None:
        """End every stream, now: the runtime, or the server before it, stops."""
        self._closed = True
        for reader in list(self._readers):
            reader.end()
        for task in (self._task, self._hosted):
            if task is not None:
                task.cancel()
        self.asks.close()

    async def _end_with(self, host: Any) -> None:
        """A host's server waits for its connections before it tells anybody: end the streams when it is to exit."""
        while not host.should_exit:
            await asyncio.sleep(_HOST_S)
        self._hosted = None
        self.close()

    def committed(self, changes: Changes) -> None:
        """A batch has landed: there may be something to tell, or nothing more for who has lost a token."""
        if changes.tokens_over:
            for reader in self._readers:
                if reader.token:
                    reader.end()
        if changes.events:
            self._wake.set()

    async def page(self, seq: int, wanted: Wanted = ALL) -> Page:
        """What the database has behind line `seq`."""
        return await self.asks.ask(Reader.read, lambda conn: lines_after(conn, seq, wanted, PAGE))

    def told_after(self, seq: int) -> _Told | None:
        """The first page of the ring that has lines behind `seq`; None when that is the end of it."""
        found = None
        for told in reversed(self._ring):
            if told.upto <= seq:
                break
            found = told
        return found

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                rest_s = await self._tell()
            except Exception as error:  # readers are there, and nobody else would tell them anything
                trace = None if isinstance(error, BideError) else error
                log.warning("the feed could not read the journal, and tries again: %s", error, exc_info=trace)
                self._wake.set()
                rest_s = _AGAIN_S
            await asyncio.sleep(rest_s)

    async def _tell(self) -> float:
        """Read what is new, wake who waits for it; how long to rest after that."""
        page = await self.page(self.seq)
        if not page.over:
            self._wake.set()
        if not page.lines:
            return GATHER_S
        self._keep(await self.asks.ask(lambda _: _Told(page)))
        loop = asyncio.get_running_loop()
        began, turn = loop.time(), 0
        for turn, reader in enumerate(list(self._readers), 1):
            reader.tell()
            if turn % AT_ONCE == 0:
                await asyncio.sleep(0)
        if turn > AT_ONCE:
            return max(GATHER_S, _SHARE * (loop.time() - began))
        return GATHER_S

    def _keep(self, told: _Told) -> None:
        if self._ring:
            self._ring[-1].forget()
        self._ring.append(told)
        self.kept_bytes += len(told.whole)
        self.seq = told.upto
        while self.kept_bytes > RING_BYTES and len(self._ring) > 1:
            gone = self._ring.popleft()
            self.kept_bytes -= len(gone.whole)
            self.kept_after = gone.upto
