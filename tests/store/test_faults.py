"""P1, P2, P13: killed anywhere, out of room, held by another: nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.runtime.engine.changes import Changes
from bide.runtime.errors import StoreError, StoreFullError, StoreLostError
from bide.runtime.store.batch import STATEMENTS
from bide.runtime.store.failure import BatchRejected
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.invariants import check
from bide.runtime.store.load import load_world, meta
from bide.runtime.store.writer import Writer
from tests.store.rows import Book, whole_run


def run_python(script: str, *args: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        check=False,
        capture_output=True,
        timeout=60,
    )


def sound(db: Path) -> int:
    """Reopen as recovery does; every invariant holds; the number of the last batch that landed."""
    writer = InlineWriter.open_here(db)
    try:
        assert writer.read_here(check) == []
        writer.read_here(load_world)
        return writer.read_here(lambda conn: meta(conn, "batch"))
    finally:
        writer.close_here()


KILLED_AT_A_STEP = """
import os, signal, sys
from tests.store.rows import Book, whole_run
from bide.runtime.store.inline import InlineWriter
path, batch_no, step = sys.argv[1], int(sys.argv[2]), sys.argv[3]
writer = InlineWriter.open_here(path, create=True)
def stop(at):
    if at == step:
        os.kill(os.getpid(), signal.SIGKILL)
for changes, batch in whole_run(Book()):
    if batch == batch_no:
        writer.hook = stop
    writer.commit_here(changes, batch)
"""


@pytest.mark.parametrize(
    ("batch", "step"),
    [
        (1, "begin"),
        (1, "versions_new"),
        (1, "events"),
        (1, "commit"),
        (3, "attempts_new"),
        (3, "waits_set"),
        (3, "meta"),
        (7, "outputs"),
        (7, "processes_gone"),
        (7, "commit"),
    ],
)
def test_p2_killed_between_statements_the_store_reopens_whole(db: Path, batch: int, step: str) -> None:
    assert step in {"begin", "meta", "commit", *(name for name, _ in STATEMENTS)}
    done = run_python(KILLED_AT_A_STEP, db, batch, step)
    landed = sound(db)
    if done.returncode == -signal.SIGKILL:
        assert landed == batch - 1
    else:  # this batch has no such rows: the whole run was written
        assert (done.returncode, landed) == (0, 7), done.stderr.decode()


ACKNOWLEDGES = """
import asyncio, sys
from tests.store.rows import Book, whole_run
from bide.runtime.store.writer import Writer
from bide.runtime.store.load import load_world
async def main():
    writer = await Writer.open(sys.argv[1], create=True)
    epoch = await writer.begin_epoch()
    world = await writer.read(load_world)
    book = Book()
    book.seq, book.batch = world.last.event, world.batch
    run_id = world.last.run
    while True:
        run_id += 1
        for changes, batch in whole_run(book, run_id):
            await writer.commit(changes, batch)
            print(batch, flush=True)
asyncio.run(main())
"""


def test_p1_what_was_acknowledged_survives_kill_9_in_twenty_rounds(db: Path) -> None:
    chance = random.Random(20_26)
    last = 0
    for round_no in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", ACKNOWLEDGES, str(db)], stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                last = int(worker.stdout.readline())
            worker.kill()
            said = worker.stdout.read().split("\n")[:-1]  # a line that was cut says nothing
        last = int(said[-1]) if said else last
        landed = sound(db)
        assert last <= landed <= last + 1, f"round {round_no}: {last} was acknowledged, {landed} is stored"


@contextlib.contextmanager
def small_disk(at: Path) -> Iterator[None]:
    at.mkdir()
    if os.geteuid() != 0:
        pytest.skip("no root: a small tmpfs cannot be mounted")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", str(at)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip(f"no tmpfs: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


def make_room(at: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=4m", str(at)], check=True)


def large(batch: int) -> Changes:
    changes = Changes()
    changes.answered += [("", f"key-{batch}-{n}", "trigger", "x" * 900, 0, "") for n in range(20)]
    return changes


@pytest.mark.parametrize("kind", [Writer, InlineWriter])
async def test_p13_c61_a_full_disk_refuses_the_batch_and_takes_the_same_one_when_there_is_room(
    tmp_path: Path, kind: type[Writer | InlineWriter]
) -> None:
    with small_disk(tmp_path / "disk"):
        db = tmp_path / "disk" / "bide.db"
        writer = await kind.open(db, create=True)
        batch = 0
        changes = large(0)
        full = None
        while full is None and batch < 200:
            batch += 1
            changes = large(batch)
            try:
                await writer.commit(changes, batch)
            except StoreFullError as error:
                full = error
        assert "SQLITE_FULL" in str(full)
        assert await writer.read(lambda conn: meta(conn, "batch")) == batch - 1
        with pytest.raises(StoreFullError):
            await writer.commit(changes, batch)
        make_room(tmp_path / "disk")
        await writer.commit(changes, batch)
        await writer.close()
        assert sound(db) == batch


async def test_closing_on_a_full_disk_keeps_the_log_and_the_next_start_reads_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        db = tmp_path / "disk" / "bide.db"
        writer = await Writer.open(db, create=True)
        batch = 0
        with contextlib.suppress(StoreFullError):
            while batch < 200:
                await writer.commit(large(batch + 1), batch + 1)
                batch += 1
        await writer.close()
        make_room(tmp_path / "disk")
        assert 0 < batch == sound(db)


def test_a_new_database_on_a_full_disk_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        (tmp_path / "disk" / "ballast").write_bytes(b"x" * 960_000)
        with pytest.raises(StoreFullError, match="no room"):
            InlineWriter.open_here(tmp_path / "disk" / "bide.db", create=True)
        (tmp_path / "disk" / "ballast").unlink()
        InlineWriter.open_here(tmp_path / "disk" / "bide.db", create=True).close_here()


FILE_LIMIT = """
import resource, sys
from tests.store.test_faults import large
from bide.runtime.errors import StoreLostError
from bide.runtime.store.inline import InlineWriter
writer = InlineWriter.open_here(sys.argv[1], create=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
batch = 0
try:
    while batch < 200:
        batch += 1
        writer.commit_here(large(batch), batch)
        print(batch, flush=True)
except StoreLostError as error:
    assert "SQLITE_IOERR" in str(error), error
    sys.exit(7)
"""


def test_p13_an_io_error_stops_the_runtime_and_what_was_acknowledged_is_there(db: Path) -> None:
    done = run_python(FILE_LIMIT, db)
    assert done.returncode == 7, done.stderr.decode()
    assert sound(db) == int(done.stdout.split()[-1])


async def test_c73_another_programs_lock_is_busy_and_passes(db: Path) -> None:
    def impatient(*args: object, **options: object) -> sqlite3.Connection:
        options["timeout"] = 0.01
        return sqlite3.connect(*args, **options)  # type: ignore[call-overload,no-any-return]

    writer = await Writer.open(db, create=True, connect=impatient)
    other = sqlite3.connect(db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    changes, batch = next(whole_run(Book()))
    with pytest.raises(StoreFullError, match="SQLITE_BUSY"):
        await writer.commit(changes, batch)
    other.execute("ROLLBACK")
    other.close()
    await writer.commit(changes, batch)
    await writer.close()


def test_faults_around_a_commit_are_before_or_after_it_never_within(db: Path) -> None:
    class FaultError(Exception):
        pass

    def fail(changes: Changes, batch: int) -> None:
        raise FaultError

    writer = InlineWriter.open_here(db, create=True)
    batches = whole_run(Book())
    first, second = next(batches), next(batches)
    writer.before = fail
    with pytest.raises(FaultError):
        writer.commit_here(*first)
    assert writer.read_here(lambda conn: meta(conn, "batch")) == 0
    writer.before, writer.after = None, fail
    with pytest.raises(FaultError):
        writer.commit_here(*first)
    assert writer.read_here(lambda conn: meta(conn, "batch")) == 1
    writer.after = None
    with pytest.raises(BatchRejected):
        writer.commit_here(*first)
    writer.commit_here(*second)
    writer.close_here()


def test_an_interrupt_within_a_batch_leaves_no_transaction(db: Path) -> None:
    def interrupt(step: str) -> None:
        if step == "events":
            raise KeyboardInterrupt

    writer = InlineWriter.open_here(db, create=True)
    writer.hook = interrupt
    with pytest.raises(KeyboardInterrupt):
        writer.commit_here(*next(whole_run(Book())))
    assert writer.read_here(lambda conn: conn.in_transaction) is False
    writer.hook = None
    writer.commit_here(*next(whole_run(Book())))
    writer.close_here()


def test_errors_of_the_three_kinds_are_errors_of_the_store() -> None:
    assert issubclass(BatchRejected, StoreError)
    assert not issubclass(BatchRejected, (StoreFullError, StoreLostError))
