"""What a test begins with is what a user begins with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bide.runtime.store.open import open_database
from tests.schema import made_once


def _told(db: Path) -> tuple[list[object], str]:
    """All there is to see of a new database, and its own name, which is another in each."""
    with closing(open_database(db, create=True)) as conn:
        asked = (
            "application_id",
            "user_version",
            "page_size",
            "auto_vacuum",
            "encoding",
            "synchronous",
            "foreign_keys",
        )
        said: list[object] = [conn.execute(f"PRAGMA {each}").fetchone() for each in asked]
        said += conn.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid").fetchall()
        [[name]] = conn.execute("SELECT value FROM meta WHERE key = 'database'").fetchall()
        said += [line.replace(name, "its name") for line in conn.iterdump()]
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    with closing(sqlite3.connect(db)) as conn:
        return [*said, conn.execute("PRAGMA journal_mode").fetchone()], name


def test_a_schema_that_is_copied_is_the_one_that_the_migrations_make(tmp_path: Path) -> None:
    made, first = _told(tmp_path / "made.db")
    with made_once():
        copied, second = _told(tmp_path / "copied.db")
        again, third = _told(tmp_path / "again.db")
    assert copied == made
    assert again == made
    assert len({first, second, third}) == 3
    assert len(made) > 300
