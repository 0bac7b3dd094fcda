"""A database with one run at each stage, written as the engine writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bide.runtime.store.inline import InlineWriter
from tests.store.rows import Book, whole_run


def write_world(db: Path) -> Path:
    """Run 1 succeeded, run 2 waits in its sensor, run 3's `load` failed and `send` could not start."""
    store = InlineWriter.open_here(db, create=True)
    book = Book()
    for changes, number in whole_run(book):
        store.commit_here(changes, number)
    book.run(2)
    book.move(21, "ready")
    book.wait(2, book.start(21, "deferred"))
    store.commit_here(*book.take())
    book.run(3)
    book.move(31, "success", "marked by hand")
    book.move(32, "ready")
    attempt = book.start(32)
    book.changes.attempts_set[attempt] = ("failed", 0, 0, "OSError: no route", None, attempt)
    book.move(32, "failed", "OSError: no route", failures=2)
    book.move(33, "upstream_failed", "load failed")
    book.set_run(3, "running", "failed")
    store.commit_here(*book.take())
    store.close_here()
    return db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Path]:
    path = write_world(tmp_path / "bide.db")
    before = _content(path)
    yield path
    assert _content(path) == before, "a question or a refused command must leave the database as it was"


AUDITED = ('INSERT INTO "audit"', "INSERT INTO \"meta\" VALUES('batch'")
"""What a refused command leaves: a line of the audit log, and the number of its commit."""


def _content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return [line for line in conn.iterdump() if not line.startswith(AUDITED)]
