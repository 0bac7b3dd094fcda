"""The schema of a new database, made by the migrations once in a process and copied page by page from then on.

Some thousand tests begin with a database of their own. To run every migration since the first takes 25 ms, to copy
what they made 1 ms; tests/store/test_schema_made_once.py holds the two to be the same. The tests of the migrations themselves call them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bide.runtime.store import open as opening
from bide.runtime.store.migrate import migrate, version_of

_made: list[bytes] = []


def make() -> bytes:
    """A database with the schema and nothing else, as a file holds it."""
    if not _made:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
            migrate(conn, Path())
            _made.append(conn.serialize())
    return _made[0]


def _copied(conn: sqlite3.Connection, path: Path) -> int:
    """In place of `migrate`, when a database is opened; a connection that a test breaks on purpose does it itself."""
    if type(conn) is sqlite3.Connection and version_of(conn) == 0:
        with closing(sqlite3.connect(":memory:")) as made:
            made.deserialize(make())
            made.backup(conn)
        conn.execute(
            "UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'database'"
        )  # its own name
    return migrate(conn, path)


@contextmanager
def made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "migrate", _copied)
        yield


def made_always() -> None:
    """From now on to the end of this process, which runs cases for a test."""
    setattr(opening, "migrate", _copied)  # noqa: B010 - a module's name, which its users look up anew
