"""T14: flipped bits end in a clear error or do no harm: no traceback of another kind, no hang."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bide.runtime.engine.changes import Changes
from bide.runtime.errors import BideError
from bide.runtime.store import facts
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.invariants import check
from bide.runtime.store.load import load_run, load_world, meta
from bide.runtime.store.lock import begin_epoch
from bide.runtime.store.reader import Reader
from tests.store.rows import T0, Book, whole_run

flips = st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 7)), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run that is over and one that waits."""
    db = tmp_path_factory.mktemp("sound") / "bide.db"
    writer = InlineWriter.open_here(db, create=True)
    book = Book()
    for changes, batch in whole_run(book):
        writer.commit_here(changes, batch)
    second = whole_run(book, 2)
    for _ in range(2):
        writer.commit_here(*next(second))
    writer.close_here()
    return db


def ask_everything(conn: sqlite3.Connection) -> None:
    load_world(conn)
    load_run(conn, 1)
    facts.run_at(conn, 1, T0 + 1, "load")
    facts.outputs(conn, [11, 12])
    facts.recorded(conn, 22)


def use(db: Path) -> str:
    """Open, recover, check, list: as a start would. Every end is in words."""
    with_words = []
    for one in (recover, listings):
        try:
            one(db)
        except BideError as error:
            with_words.append(str(error))
    return "; ".join(with_words)


def recover(db: Path) -> None:
    writer = InlineWriter.open_here(db)
    try:
        for violation in writer.read_here(check):
            assert violation.id.startswith("I")
        writer.read_here(ask_everything)
        begin_epoch(writer._raw)
        batch = writer.read_here(lambda conn: meta(conn, "batch"))
        if batch < 2**62:
            writer.commit_here(Changes(), batch + 1)
    finally:
        writer.close_here()


def listings(db: Path) -> None:
    with Reader(db) as reader:
        reader.dags(), reader.runs(), reader.tasks(1, outputs=True), reader.waits(), reader.events()
        reader.counts()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@given(flips=flips)
@example(flips=[(100, 1)])
@example(flips=[(28, 7)])
@example(flips=[(185285, 7)])  # a name in the schema that is no UTF-8: not even SQLite's message is
def test_t14_flipped_bits_end_in_words(tmp_path: Path, sound: Path, flips: list[tuple[int, int]]) -> None:
    data = bytearray(sound.read_bytes())
    for at, bit in flips:
        data[at % len(data)] ^= 1 << bit
    db = tmp_path / "bide.db"
    for rest in tmp_path.iterdir():
        rest.unlink()
    db.write_bytes(data)
    use(db)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@example(page=4, garbage=b"\0", at=4)  # a run whose graph is gone
@given(page=st.integers(0, 200), garbage=st.binary(min_size=1, max_size=4096), at=st.integers(0, 4095))
def test_t14_a_page_of_garbage_ends_in_words(
    tmp_path: Path, sound: Path, page: int, garbage: bytes, at: int
) -> None:
    data = bytearray(sound.read_bytes())
    start = page % (len(data) // 4096) * 4096 + at
    data[start : start + len(garbage)] = garbage
    db = tmp_path / "bide.db"
    for rest in tmp_path.iterdir():
        rest.unlink()
    db.write_bytes(data[: sound.stat().st_size])
    use(db)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@given(cut=st.floats(0, 1), flips=flips)
def test_t14_a_damaged_log_loses_only_its_tail(
    tmp_path: Path, cut: float, flips: list[tuple[int, int]]
) -> None:
    """SQLite's own checksums end the log at the first bad frame: what is left is a whole batch."""
    db = tmp_path / "bide.db"
    for rest in tmp_path.iterdir():
        rest.unlink()
    writer = InlineWriter.open_here(db, create=True)
    for changes, batch in whole_run(Book()):
        writer.commit_here(changes, batch)
    copy = tmp_path / "copy.db"
    wal = bytearray((tmp_path / "bide.db-wal").read_bytes())
    start = int(cut * (len(wal) - 1))
    for at, bit in flips:
        wal[start + at % (len(wal) - start)] ^= 1 << bit
    copy.write_bytes(db.read_bytes())
    (tmp_path / "copy.db-wal").write_bytes(wal)
    writer.close_here()
    use(copy)
    if not use(copy):
        again = InlineWriter.open_here(copy)
        assert again.read_here(check) == []
        again.close_here()
