"""T18: copies of a database in use are whole, proved, never written over; and are put back whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bide.runtime.errors import NotFoundError, RefusedError, StoreError, StoreFullError
from bide.runtime.store import backup as backups
from bide.runtime.store import putting_back
from bide.runtime.store.backup import back_up
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.invariants import check
from bide.runtime.store.load import load_world
from bide.runtime.store.open import open_database, staged_of
from bide.runtime.store.putting_back import put_back
from tests.store.rows import T0, Book, three_runs, whole_run

NOW = T0 + 3_600_000_000


def facts(db: Path) -> tuple[int, int, int]:
    with closing(sqlite3.connect(db)) as conn:
        row = conn.execute(
            "SELECT (SELECT value FROM meta WHERE key = 'epoch'), (SELECT count(*) FROM run), (SELECT max(seq) FROM event)"
        ).fetchone()
        return (int(row[0]), int(row[1]), int(row[2]))


def sound(db: Path) -> bool:
    with closing(sqlite3.connect(db)) as conn:
        return check(conn) == []


# --- backup --------------------------------------------------------------------------------------


def test_t18_a_backup_every_few_commits_holds_all_that_was_committed_and_can_be_put_back(
    tmp_path: Path,
) -> None:
    """I1 to I12 of each copy, taken between any two commits with the log full of them."""
    db = tmp_path / "bide.db"
    store = InlineWriter.open_here(db, synchronous="NORMAL", create=True)
    book, taken = Book(), 0
    for run_id in range(1, 21):
        for n, (changes, batch) in enumerate(whole_run(book, run_id)):
            store.commit_here(changes, batch)
            if n == run_id % 5:
                made = back_up(db, tmp_path / f"copy-{run_id}.db", NOW)
                assert made.last_event == book.seq
                back = put_back(made.path, tmp_path / f"again-{run_id}.db", NOW + 1)
                assert back.runs == run_id == made.runs
                restored = InlineWriter.open_here(tmp_path / f"again-{run_id}.db")
                assert restored.read_here(check) == []
                assert restored.read_here(load_world).last.event >= book.seq
                restored.close_here()
                taken += 1
    store.close_here()
    assert taken == 20


def test_t18_a_writer_that_never_rests_neither_spoils_a_copy_nor_makes_it_begin_again(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    book = Book()
    store = InlineWriter.open_here(db, synchronous="NORMAL", create=True)
    batches = (each for run_id in range(1, 100_000) for each in whole_run(book, run_id))
    for _ in range(400):
        store.commit_here(*next(batches))
    store.close_here()
    stop, begun, written = threading.Event(), threading.Event(), []

    def write() -> None:
        writer = InlineWriter.open_here(db, synchronous="NORMAL")
        while not stop.is_set():
            writer.commit_here(*next(batches))
            written.append(book.seq)
            begun.set()
        writer.close_here()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        begun.wait(10)
        lefts: list[int] = []
        before = written[-1]
        made = back_up(db, tmp_path / "copy.db", NOW, progress=lambda left, _: lefts.append(left))
    finally:
        stop.set()
        thread.join()
    assert lefts == sorted(lefts, reverse=True), "it never began again"
    assert before <= made.last_event <= book.seq
    assert sound(made.path)
    assert sound(db)


def test_t18_a_copy_is_one_private_file_that_says_when_it_was_taken(tmp_path: Path) -> None:
    db = three_runs(tmp_path / "bide.db")
    made = back_up(db, tmp_path / "out" / "copy.db", NOW)
    assert [p.name for p in made.path.parent.iterdir()] == ["copy.db"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    with closing(sqlite3.connect(f"file:{made.path}?mode=ro", uri=True)) as conn:
        assert conn.execute("SELECT value FROM meta WHERE key = 'taken_us'").fetchone() == (NOW,)
        assert conn.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_t18_nothing_is_written_over(tmp_path: Path) -> None:
    db = three_runs(tmp_path / "bide.db")
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(RefusedError, match="is there already"):
        back_up(db, tmp_path / "copy.db", NOW)
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RefusedError, match="is there already"):
        back_up(db, tmp_path / "link.db", NOW)
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_t18_a_broken_invariant_is_told_and_the_copy_kept_a_damaged_file_is_no_backup(tmp_path: Path) -> None:
    """What the database says wrongly it says in every copy: better that one than none."""
    db = three_runs(tmp_path / "bide.db")
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("UPDATE task_instance SET state = 'pending' WHERE instance_id = 13")
    made = back_up(db, tmp_path / "out" / "copy.db", NOW)
    assert {one.id for one in made.wrong} == {"I2"}
    with pytest.raises(StoreError, match="does not hold"):
        put_back(made.path, tmp_path / "again.db", NOW)
    assert put_back(made.path, tmp_path / "again.db", NOW, anyway=True).runs == 3
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("PRAGMA writable_schema = ON")
        conn.execute("UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'event_of_run'")
    with pytest.raises(StoreError, match="was thrown away: I1"):
        back_up(db, tmp_path / "out" / "second.db", NOW)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["copy.db"]


def test_t18_no_room_is_said_before_a_byte_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = three_runs(tmp_path / "bide.db")
    monkeypatch.setattr(backups, "_ROOM", 1 << 60)
    with pytest.raises(StoreFullError, match="free some, or use another folder"):
        back_up(db, tmp_path / "out" / "copy.db", NOW)
    assert list((tmp_path / "out").iterdir()) == []


# --- restore -------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A database with four runs, and a backup of it from when it had three."""
    db = three_runs(tmp_path / "bide.db")
    made = back_up(db, tmp_path / "copy.db", T0)
    store = InlineWriter.open_here(db)
    rows = store.read_here(load_world)
    book = Book()
    book.seq, book.batch = rows.last.event, rows.batch
    book.run(4)
    store.commit_here(*book.take())
    store._raw.execute("UPDATE meta SET value = 7 WHERE key = 'epoch'")
    store.close_here()
    logs = tmp_path / "bide.db.logs"
    logs.mkdir()
    for attempt in (1, 999):
        (logs / f"{attempt}.log").write_text("said\n")
    return db, made.path


def test_t18_a_restore_keeps_the_old_one_bumps_the_epoch_and_gives_no_id_twice(
    two: tuple[Path, Path],
) -> None:
    db, copy = two
    before, last = facts(db), InlineWriter.open_here(db)
    given = last.read_here(load_world).last
    last.close_here()
    done = put_back(copy, db, NOW)
    assert done.epoch == 8 > before[0]
    assert (done.runs, done.unfinished) == (3, 2)
    assert done.since is not None
    assert done.since.runs >= 1
    assert done.kept is not None
    assert facts(done.kept) == before
    assert [p.name for p in (db.parent / "bide.db.logs").iterdir()] == ["1.log"]
    assert [p.name for p in done.kept.with_name(done.kept.name + ".logs").iterdir()] == ["999.log"]
    store = InlineWriter.open_here(db)
    rows = store.read_here(load_world)
    assert store.read_here(check) == []
    assert rows.last.run == given.run == 4
    assert rows.last.event == given.event + 1  # the line that says so
    store.close_here()
    assert not staged_of(db).exists()


STEPS = ("stage", "prove", "old", "number", "logs", "swap", "rename", "end")


def dies_at(where: str, backup: Path, db: Path) -> None:
    """In a process of its own, killed there."""
    pid = os.fork()
    if not pid:

        def at(step: str) -> None:
            if step == where:
                os.kill(os.getpid(), 9)

        try:
            put_back(backup, db, NOW, at=at)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9, f"{where} was not reached"


@pytest.mark.parametrize("where", STEPS)
def test_t18_a_restore_that_is_killed_leaves_the_old_or_the_new_and_can_be_done_again(
    two: tuple[Path, Path], where: str
) -> None:
    db, copy = two
    before = facts(db)
    dies_at(where, copy, db)
    assert facts(db)[1] == (3 if where == "end" else before[1])
    assert sound(db)
    open_database(db).close()
    done = put_back(copy, db, NOW + 5)
    assert facts(db)[1] == 3
    assert sound(db)
    assert done.kept is not None
    assert not staged_of(db).exists()
    assert db.stat().st_nlink == 1
    assert done.kept.stat().st_nlink == 1


@pytest.mark.parametrize("where", ["move-wal", "move-shm", "move-journal", "rename", "end"])
def test_t18_a_damaged_database_is_moved_away_with_its_log_and_no_new_one_is_made_meanwhile(
    two: tuple[Path, Path], where: str
) -> None:
    db, copy = two
    db.write_bytes(b"this is no database at all" * 1000)
    wal = db.with_name("bide.db-wal")
    wal.write_bytes(b"its log")
    dies_at(where, copy, db)
    if where != "end":
        with pytest.raises(StoreError, match="was cut off before its end"):
            open_database(db, create=True)
        assert not db.exists()
        put_back(copy, db, NOW + 5)
    assert facts(db)[1] == 3
    assert sound(db)
    assert not wal.exists()
    kept = sorted(p.name for p in db.parent.glob("bide.db.replaced-*") if p.is_file())
    assert len(kept) == 2, kept
    assert kept[1] == kept[0] + "-wal"


def test_t18_what_is_no_whole_backup_of_ours_changes_nothing(two: tuple[Path, Path], tmp_path: Path) -> None:
    db, copy = two
    before = facts(db)
    with closing(sqlite3.connect(copy)) as conn, conn:
        conn.execute("UPDATE run SET state = 'failed' WHERE run_id = 1")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as conn, conn:
        conn.execute("CREATE TABLE theirs (x)")
    noise = tmp_path / "noise.db"
    noise.write_bytes(b"noise" * 5000)
    for wrong, says in ((copy, "does not hold"), (other, "another program"), (noise, "not a database")):
        with pytest.raises(StoreError, match=says):
            put_back(wrong, db, NOW)
    with pytest.raises(NotFoundError, match="there is no backup"):
        put_back(tmp_path / "none.db", db, NOW)
    with pytest.raises(RefusedError, match="is the database itself"):
        put_back(db, db, NOW)
    assert facts(db) == before
    assert not staged_of(db).exists()


def test_t18_a_reader_that_holds_the_log_is_named_and_nothing_is_changed(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bide.runtime.store.open._BUSY_S", 0.05)
    db, copy = two
    before = facts(db)
    store = InlineWriter.open_here(db)
    with closing(sqlite3.connect(db, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM run").fetchone()
        store._raw.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
        store._raw.close()
        with pytest.raises(RefusedError, match="another program reads the database"):
            put_back(copy, db, NOW)
    assert facts(db) == (before[0] + 1, *before[1:])


def test_t18_a_backup_comes_to_where_nothing_stood(two: tuple[Path, Path], tmp_path: Path) -> None:
    done = put_back(two[1], tmp_path / "new" / "bide.db", NOW)
    assert (done.kept, done.since, done.runs) == (None, None, 3)
    assert facts(tmp_path / "new" / "bide.db")[1] == 3


def test_p15_a_backup_of_an_earlier_schema_is_brought_up_to_date_before_it_takes_the_place(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    db, copy = two
    called = []
    monkeypatch.setattr(
        putting_back, "migrate", lambda conn, path, copies: called.append((path.name, copies))
    )
    put_back(copy, db, NOW)
    assert called == [("bide.db.restoring", False)]
