"""SQLite's own traps, each set: the check names the file, what was found, and what to do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bide.runtime.clock import SystemClock
from bide.runtime.service import keeping
from bide.runtime.store.file_traps import Trap, file_traps
from bide.runtime.store.lock import Holder
from bide.runtime.store.open import staged_of
from tests.store.rows import three_runs


@pytest.fixture
def db(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return three_runs(folder / "bide.db")


def only(found: list[Trap]) -> Trap:
    assert len(found) == 1, found
    return found[0]


def test_t18_a_sound_database_is_in_no_trap(db: Path) -> None:
    assert file_traps(db, None) == []
    assert keeping.check(db, full=True).ok


def test_t17_a_file_that_others_may_read_and_a_folder_that_they_may_write(db: Path) -> None:
    db.chmod(0o644)
    trap = only(file_traps(db, None))
    assert "0644" in trap.found
    assert f"chmod 600 {db}" in trap.advice
    db.chmod(0o600)
    db.parent.chmod(0o777)
    assert "chmod 700" in only(file_traps(db, None)).advice
    assert not keeping.check(db).ok


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: no root, who alone may give files away")
def test_t17_a_file_of_another_user(db: Path) -> None:
    os.chown(db, 12345, -1)
    assert any("belongs to the user 12345" in trap.found for trap in file_traps(db, None))


def test_t18_a_second_name(db: Path) -> None:
    os.link(db, db.with_name("other.db"))
    assert "has 2 names" in only(file_traps(db, None)).found


def test_t18_a_log_of_another_database(db: Path) -> None:
    wal = db.with_name("bide.db-wal")
    with closing(sqlite3.connect(db.with_name("other.db"), isolation_level=None)) as other:
        other.execute("PRAGMA page_size = 8192")
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE t (x)")
        wal.write_bytes(db.with_name("other.db-wal").read_bytes())
    wal.chmod(0o600)
    assert "pages of 8192 bytes and the database of 4096" in only(file_traps(db, None)).found
    wal.write_bytes(b"x" * 64)
    assert "no write-ahead log" in only(file_traps(db, None)).found


def test_t18_a_database_in_use_is_in_no_trap_and_a_log_beside_one_without_a_log_is(db: Path) -> None:
    with closing(sqlite3.connect(db, isolation_level=None)) as used:
        used.execute("PRAGMA journal_mode = WAL")
        used.execute("CREATE TABLE t (x)")
        wal = db.with_name("bide.db-wal")
        for path in (wal, db.with_name("bide.db-shm")):
            path.chmod(0o600)
        assert wal.stat().st_size > 32
        assert file_traps(db, None) == []
        assert keeping.check(db).ok
        kept = wal.read_bytes()
    with closing(sqlite3.connect(db, isolation_level=None)) as plain:
        plain.execute("PRAGMA journal_mode = DELETE")
    wal.write_bytes(kept)
    wal.chmod(0o600)
    assert "uses no log" in only(file_traps(db, None)).found


def test_t18_a_journal_and_a_restore_left_behind(db: Path) -> None:
    db.with_name("bide.db-journal").write_bytes(b"x" * 512)
    assert "left behind" in only(file_traps(db, None)).found
    db.with_name("bide.db-journal").unlink()
    staged_of(db).touch()
    assert "cut off" in only(file_traps(db, None)).found


def test_t18_a_file_that_was_replaced_under_a_living_service(db: Path) -> None:
    holds = subprocess.Popen(
        [sys.executable, "-c", f"f = open({str(db)!r}); print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holds.stdout is not None
    holds.stdout.readline()
    holder = Holder(holds.pid, "runtime", SystemClock().now())
    assert file_traps(db, holder) == []
    db.rename(db.with_name("moved.db"))
    three_runs(db)
    assert file_traps(db, holder) == []  # it has the file under the name it moved to: not this one's
    db.with_name("moved.db").unlink()
    holds.communicate(b"\n")
