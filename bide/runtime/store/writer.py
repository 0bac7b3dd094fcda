"""The one connection that writes: batches go to aiosqlite's thread whole, one hop each.

Everything between two batches (facts for `decide`, the new epoch) runs on the same connection,
in order. Nothing here decides what is written.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import aiosqlite

from bide.runtime.engine.changes import Changes
from bide.runtime.errors import StoreError, StoreFullError, StoreLostError
from bide.runtime.store.batch import Hook, roll_back, write
from bide.runtime.store.failure import READ_ERRORS, judge, lost, unreadable
from bide.runtime.store.lock import FileIdentity, begin_epoch
from bide.runtime.store.open import Connect, Synchronous, open_database

T = TypeVar("T")


class StorePort(Protocol):
    """What the engine's loop knows of the store; `Writer` and `InlineWriter` are both."""

    async def commit(self, changes: Changes, batch: int) -> None: ...

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T: ...

    async def begin_epoch(self) -> int: ...

    def same_file(self) -> bool: ...

    async def close(self) -> None: ...


async def hop(connection: aiosqlite.Connection, fn: Callable[[], T]) -> T:
    """Run `fn` in the connection's thread, after everything asked before.

    The only use of aiosqlite's `_execute`: its public methods are one hop a statement, and a
    batch must be one hop. `fn` always runs to its end, also when the caller is cancelled.
    """
    result: T = await connection._execute(fn)  # type: ignore[no-untyped-call]
    return result


async def uncut(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` to its end; a cancellation of the caller counts when it is done."""
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await doing
        raise


class Writer:
    """All writes and checkpoints of one database. Made by `open`, ended by `close`."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        raw: sqlite3.Connection,
        thread: threading.Thread,
        path: Path,
    ) -> None:
        self.path = path
        self._connection = connection
        self._raw = raw
        self._thread = thread
        self._file = FileIdentity(path)
        self._closed = False
        self.hook: Hook | None = None
        """Called in the writing thread before each step of a batch; for tests that stop there."""

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "FULL",
        create: bool = False,
        connect: Connect = sqlite3.connect,
    ) -> Self:
        """Open or create, check, migrate; see `open_database` for what it refuses.

        Cancelling it leaves neither a thread nor an open file.
        """
        opening = asyncio.ensure_future(cls._open(path, synchronous, create, connect))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            writer = await opening
            await writer.close()
            raise

    @classmethod
    async def _open(
        cls, path: str | os.PathLike[str], synchronous: Synchronous, create: bool, connect: Connect
    ) -> Self:
        place = Path(os.path.realpath(path))  # noqa: ASYNC240 - names only, before anything runs
        refused: list[StoreError | LookupError] = []

        def connector() -> sqlite3.Connection:
            # aiosqlite lets the thread of a failed open end on its own, and its last word may
            # come after the loop's: a refusal is carried out by hand and the thread ended in order.
            try:
                return open_database(place, synchronous=synchronous, create=create, connect=connect)
            except (StoreError, LookupError) as error:
                refused.append(error)
                return sqlite3.connect(":memory:")

        connection = await aiosqlite.Connection(connector, iter_chunk_size=64)
        thread = await hop(connection, threading.current_thread)
        raw: sqlite3.Connection = connection._conn
        if refused:
            await connection.close()
            thread.join()
            raise refused[0]
        return cls(connection, raw, thread, place)

    async def commit(self, changes: Changes, batch: int) -> None:
        """Write a batch whole or not at all; see `batch.write` for what it raises.

        A cancelled caller does not stop it: the batch lands or is rolled back in its thread.
        """
        self._check_open()
        raw, hook = self._raw, self.hook
        await hop(self._connection, lambda: write(raw, changes, batch, hook))

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """`fn(conn)` on the writer's connection, between batches. It must not write."""
        self._check_open()
        raw = self._raw
        return await hop(self._connection, lambda: read_on(raw, fn))

    async def begin_epoch(self) -> int:
        """Count this start; the new epoch is durable when it returns."""
        self._check_open()
        raw = self._raw
        return await hop(self._connection, lambda: begin_epoch(raw))

    def same_file(self) -> bool:
        """Whether the path still is the file that was opened. False: stop, it was replaced."""
        return self._file.same()

    async def close(self) -> None:
        """Checkpoint, close, end the thread. May be called twice; is not cut by a cancellation."""
        if self._closed:
            return
        self._closed = True
        await uncut(self._close())

    async def _close(self) -> None:
        raw = self._raw
        try:
            await hop(self._connection, lambda: checkpoint(raw))
        finally:
            await self._connection.close()
            self._thread.join()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreLostError("the database is closed: open it again")


def read_on(conn: sqlite3.Connection, fn: Callable[[sqlite3.Connection], T]) -> T:
    """`fn(conn)`, its errors in our words, no transaction left open."""
    try:
        return fn(conn)
    except READ_ERRORS as error:
        raise unreadable(error, "the database") from error
    finally:
        if conn.in_transaction:
            roll_back(conn)


def checkpoint(conn: sqlite3.Connection) -> None:
    """Move the log into the file and empty it; said aloud, since SQLite's close does it silently.

    No room for it, or a reader that is still open, is no error: the log stays beside the file with
    all that was acknowledged in it, and the next start reads it. `StoreLostError` for a failed disk.
    """
    try:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except READ_ERRORS as error:
        if not isinstance(judge(error, "checkpoint", committing=False), StoreFullError):
            raise lost(error) from error
