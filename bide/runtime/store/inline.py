"""The writer without a thread: plain sqlite3 where it is called, for simulation and command sessions.

Same port and same results as `Writer`. `before` and `after` are called around each commit and may
raise an injected fault: before it nothing is applied, after it everything is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from bide.runtime.engine.changes import Changes
from bide.runtime.errors import StoreLostError
from bide.runtime.store.batch import Hook, write
from bide.runtime.store.lock import FileIdentity, begin_epoch
from bide.runtime.store.open import Connect, Synchronous, open_database
from bide.runtime.store.writer import checkpoint, read_on

T = TypeVar("T")
Fault = Callable[[Changes, int], None]


class InlineWriter:
    """All writes of one database, done in the calling thread; its methods never wait."""

    def __init__(
        self, conn: sqlite3.Connection, path: Path, before: Fault | None = None, after: Fault | None = None
    ) -> None:
        self.path = path
        self.before = before
        self.after = after
        self.hook: Hook | None = None
        self._raw = conn
        self._file = FileIdentity(path)
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "FULL",
        create: bool = False,
        connect: Connect = sqlite3.connect,
        before: Fault | None = None,
        after: Fault | None = None,
    ) -> Self:
        """As `Writer.open`; `before` and `after` are the faults to inject."""
        return cls.open_here(
            path, synchronous=synchronous, create=create, connect=connect, before=before, after=after
        )

    @classmethod
    def open_here(
        cls,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "FULL",
        create: bool = False,
        connect: Connect = sqlite3.connect,
        before: Fault | None = None,
        after: Fault | None = None,
        lasting: bool = True,
    ) -> Self:
        """`open` for code without a loop. `lasting=False`: no commit is ever synced, for scratch databases."""
        conn = open_database(path, synchronous=synchronous, create=create, connect=connect)
        if not lasting:
            conn.execute("PRAGMA synchronous = OFF")
        return cls(conn, Path(os.path.realpath(path)), before, after)

    async def commit(self, changes: Changes, batch: int) -> None:
        self.commit_here(changes, batch)

    def commit_here(self, changes: Changes, batch: int) -> None:
        """Write a batch whole or not at all; see `batch.write` for what it raises."""
        self._check_open()
        if self.before:
            self.before(changes, batch)
        write(self._raw, changes, batch, self.hook)
        if self.after:
            self.after(changes, batch)

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        return self.read_here(fn)

    def read_here(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """`fn(conn)` between batches. It must not write."""
        self._check_open()
        return read_on(self._raw, fn)

    async def begin_epoch(self) -> int:
        """Count this start; the new epoch is durable when it returns."""
        self._check_open()
        return begin_epoch(self._raw)

    def same_file(self) -> bool:
        return self._file.same()

    async def close(self) -> None:
        self.close_here()

    def close_here(self) -> None:
        """Checkpoint and close. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            checkpoint(self._raw)
        finally:
            self._raw.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreLostError("the database is closed: open it again")
