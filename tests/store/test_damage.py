"""T14: a damaged store ends in a clear error or does no harm: no traceback of another kind, no hang.

2,000 of them in CI, most by a seed; BIDE_SOAK=n damages n times as many, and BIDE_SEED draws others.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
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

SOAK = int(os.environ.get("BIDE_SOAK") or 1)
SEED = int(os.environ.get("BIDE_SEED", "20260615"))
DAMAGED = 1_710 * SOAK
PAGE = 4096
LONGEST_S = 5.0
"""For what takes 10 ms: a hang, and not a machine that is busy."""
Files = dict[str, bytes]
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


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A database and its log, as a process that was killed has left them: most of the run is in the log alone."""
    db = tmp_path_factory.mktemp("logged") / "bide.db"
    writer = InlineWriter.open_here(db, create=True)
    writer._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for changes, batch in whole_run(Book()):
        writer.commit_here(changes, batch)
    files = {each: Path(f"{db}{each}").read_bytes() for each in ("", "-wal")}
    writer.close_here()
    return files


def put(db: Path, files: Files) -> None:
    """Nothing but these is there."""
    for rest in db.parent.glob(f"{db.name}*"):
        rest.unlink()
    for suffix, content in files.items():
        Path(f"{db}{suffix}").write_bytes(content)


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
    put(tmp_path / "bide.db", {"": bytes(data)})
    use(tmp_path / "bide.db")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@example(page=4, garbage=b"\0", at=4)  # a run whose graph is gone
@given(page=st.integers(0, 200), garbage=st.binary(min_size=1, max_size=4096), at=st.integers(0, 4095))
def test_t14_a_page_of_garbage_ends_in_words(
    tmp_path: Path, sound: Path, page: int, garbage: bytes, at: int
) -> None:
    data = bytearray(sound.read_bytes())
    start = page % (len(data) // 4096) * 4096 + at
    data[start : start + len(garbage)] = garbage
    put(tmp_path / "bide.db", {"": bytes(data[: sound.stat().st_size])})
    use(tmp_path / "bide.db")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@given(cut=st.floats(0, 1), flips=flips)
def test_t14_a_damaged_log_loses_only_its_tail(
    tmp_path: Path, logged: Files, cut: float, flips: list[tuple[int, int]]
) -> None:
    """SQLite's own checksums end the log at the first bad frame: what is left is a whole batch."""
    wal = bytearray(logged["-wal"])
    start = int(cut * (len(wal) - 1))
    for at, bit in flips:
        wal[start + at % (len(wal) - start)] ^= 1 << bit
    copy = tmp_path / "copy.db"
    put(copy, {"": logged[""], "-wal": bytes(wal)})
    use(copy)
    if not use(copy):
        again = InlineWriter.open_here(copy)
        assert again.read_here(check) == []
        again.close_here()


# --- very many, by a seed ------------------------------------------------------------------------------


def flipped(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 60)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def overwritten(data: bytearray, dice: random.Random) -> None:
    start, length = dice.randrange(len(data)), dice.choice((1, 8, 100, PAGE, 3 * PAGE))
    data[start : start + length] = dice.choice((bytes, dice.randbytes))(len(data[start : start + length]))


def cut_off(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[dice.choice((at, at // PAGE * PAGE)) :]


def longer(data: bytearray, dice: random.Random) -> None:
    data += dice.randbytes(dice.choice((1, PAGE, 5 * PAGE)))


def swapped(data: bytearray, dice: random.Random) -> None:
    """Two pages change places, or one is there twice: a disk that wrote to another address."""
    one, two = (dice.randrange(len(data) // PAGE) * PAGE for _ in range(2))
    first, second = data[one : one + PAGE], data[two : two + PAGE]
    data[two : two + PAGE] = first
    if dice.random() < 0.5:
        data[one : one + PAGE] = second


def in_a_cell(data: bytearray, dice: random.Random) -> None:
    """One byte near the head of a page or among its cells: what SQLite follows."""
    start = dice.randrange(len(data) // PAGE) * PAGE
    data[start + dice.choice((dice.randrange(100), PAGE - 1 - dice.randrange(1000)))] = dice.randrange(256)


KINDS = (flipped, overwritten, cut_off, longer, swapped, in_a_cell)


@pytest.mark.soak
def test_t14_of_so_many_damaged_stores_each_is_refused_in_words_or_used(
    tmp_path: Path, sound: Path, logged: Files
) -> None:
    dice, ends = random.Random(SEED), {True: 0, False: 0}
    whole = {"": sound.read_bytes()}
    for number in range(DAMAGED):
        files = dict(dice.choice((whole, whole, logged)))
        which = dice.choice(sorted(files))
        data = bytearray(files[which])
        kind = dice.choice(KINDS)
        kind(data, dice)
        files[which] = bytes(data)
        db = tmp_path / "bide.db"
        put(db, files)
        begun = time.monotonic()
        try:
            said = use(db)
        except Exception as error:
            error.add_note(f"store {number}, {kind.__name__}: BIDE_SEED={SEED} BIDE_SOAK={SOAK}")
            raise
        assert time.monotonic() - begun < LONGEST_S, (number, kind.__name__)
        ends[bool(said)] += 1
    assert min(ends.values()) > DAMAGED // 10, ends
