"""T16: forward only, each in one transaction, a copy before; killed anywhere it is old or new, whole."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bide.runtime.errors import StoreError
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.migrate import Migration, migrate, newest_number, shipped, statements, version_of
from bide.runtime.store.open import open_database
from tests.store.rows import Book, whole_run

NEXT = newest_number() + 1
EXTRA = (
    Migration(
        NEXT,
        "colour",
        "ALTER TABLE dag ADD COLUMN colour TEXT NOT NULL DEFAULT 'red; green';\n"
        "CREATE TABLE shade (dag_id INTEGER PRIMARY KEY REFERENCES dag (dag_id)) STRICT;\n"
        "INSERT INTO shade SELECT dag_id FROM dag;",
    ),
    Migration(NEXT + 1, "hue", "ALTER TABLE shade ADD COLUMN hue INTEGER; -- the end"),
)
ALL = (*shipped(), *EXTRA)


@pytest.fixture
def old(db: Path) -> Path:
    """A database of today's schema with a run in it."""
    writer = InlineWriter.open_here(db, create=True)
    for changes, batch in whole_run(Book()):
        writer.commit_here(changes, batch)
    writer.close_here()
    return db


def raw(db: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(db, isolation_level=None)
    conn.execute("PRAGMA foreign_keys = ON")
    return conn


def test_the_shipped_files_make_the_schema_that_a_new_database_has(db: Path) -> None:
    conn = open_database(db, create=True)
    assert version_of(conn) == newest_number()
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {"dag", "run", "task_instance", "attempt", "wait", "event", "meta"} <= tables
    strict = conn.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0"
    ).fetchall()
    assert {name for (name,) in strict} <= {"sqlite_schema"}
    conn.close()


def test_a_new_database_is_made_by_one_commit_or_not_at_all(db: Path) -> None:
    """Each commit is a sync of the disk, and a script of three tasks waits for it."""
    said: list[str] = []

    def dies(statement: str) -> None:
        said.append(statement)
        if statement == "COMMIT":
            raise KeyboardInterrupt

    db.parent.mkdir(parents=True, exist_ok=True)
    conn = raw(db)
    with pytest.raises(KeyboardInterrupt):
        migrate(conn, db, at=dies)
    assert said.count("COMMIT") == 1
    assert (version_of(conn), conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()) == (0, (0,))
    assert migrate(conn, db) == newest_number()
    assert migrate(conn, db) == newest_number()
    assert not list(db.parent.glob("*.before-*"))
    conn.close()


def test_data_survives_and_a_copy_of_each_step_stands_beside(old: Path) -> None:
    conn = raw(old)
    before = [line for line in conn.iterdump() if line.startswith("INSERT") and '"dag"' not in line]
    assert migrate(conn, old, ALL) == NEXT + 1
    after = list(conn.iterdump())
    assert set(before) <= set(after)
    assert conn.execute("SELECT name, colour FROM dag").fetchall() == [("etl", "red; green")]
    assert migrate(conn, old, ALL) == NEXT + 1
    conn.close()
    copy = raw(old.with_name(f"bide.db.before-{NEXT:04d}"))
    assert version_of(copy) == NEXT - 1
    assert [line for line in copy.iterdump() if line in before] == before
    copy.close()
    assert not list(old.parent.glob("*.part"))


@pytest.mark.parametrize("at", range(1, 8))
def test_t16_killed_at_each_statement_it_is_old_or_new_and_goes_on(old: Path, at: int) -> None:
    script = textwrap.dedent(
        f"""
        import os, signal, sqlite3, sys
        from pathlib import Path
        from bide.runtime.store.migrate import migrate
        from tests.store.test_migrations import ALL, raw
        left = {at}
        def stop(statement):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        migrate(raw(Path(sys.argv[1])), Path(sys.argv[1]), ALL, stop)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(old)], check=False, capture_output=True)
    assert done.returncode == (-9 if at <= 6 else 0), done.stderr.decode()
    conn = raw(old)
    version = version_of(conn)
    assert version == (NEXT - 1 if at <= 4 else NEXT if at <= 6 else NEXT + 1)
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema")}
    assert ("shade" in tables) == (version >= NEXT)
    assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert migrate(conn, old, ALL) == NEXT + 1
    conn.close()


def test_a_migration_that_fails_leaves_the_old_schema(old: Path) -> None:
    bad = Migration(NEXT, "bad", "CREATE TABLE half (x); SELECT * FROM nowhere;")
    conn = raw(old)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(conn, old, (*shipped(), bad))
    assert version_of(conn) == NEXT - 1
    assert not conn.in_transaction
    assert conn.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    conn.close()


def test_a_migration_that_would_orphan_rows_is_refused(old: Path) -> None:
    orphan = Migration(NEXT, "orphan", "DROP INDEX run_of_dag; INSERT INTO output VALUES (999, '1');")
    conn = raw(old)
    conn.execute("PRAGMA foreign_keys = OFF")
    with pytest.raises(StoreError, match="without"):
        migrate(conn, old, (*shipped(), orphan))
    assert version_of(conn) == NEXT - 1
    conn.close()


def test_semicolons_in_texts_comments_and_triggers_end_no_statement() -> None:
    script = (
        "-- a; b\nCREATE TABLE t (x TEXT); /* c; */\n"
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; SELECT 1; END;\n"
        "INSERT INTO t VALUES ('d;e');\n-- the end; of it\n"
    )
    found = list(statements(script))
    assert [one.split("(")[0].split()[-2:] for one in found] == [
        ["TABLE", "t"],
        ["1;", "END;"],
        ["t", "VALUES"],
    ]
