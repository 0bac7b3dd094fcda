"""What cannot be opened is refused in one sentence and left as it was."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bide.runtime.errors import NotFoundError, StoreError
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.open import open_database
from bide.runtime.store.reader import Reader
from tests.store.rows import Book, whole_run


def filled(db: Path) -> None:
    writer = InlineWriter.open_here(db, create=True)
    for changes, batch in whole_run(Book()):
        writer.commit_here(changes, batch)
    writer.close_here()


def text_file(db: Path) -> None:
    db.write_text("this is a shopping list\n" * 100)


def short_file(db: Path) -> None:
    db.write_bytes(b"SQLite format 3\0")


def other_program(db: Path) -> None:
    conn = sqlite3.connect(db)
    conn.execute("CREATE TABLE recipe (name TEXT)")
    conn.commit()
    conn.close()


def newer_schema(db: Path) -> None:
    filled(db)
    conn = sqlite3.connect(db)
    conn.execute("PRAGMA user_version = 4711")
    conn.execute("PRAGMA journal_mode = DELETE")
    conn.close()


def empty_file(db: Path) -> None:
    db.touch()


def truncated(db: Path) -> None:
    filled(db)
    os.truncate(db, db.stat().st_size // 2)


def scrambled_schema(db: Path) -> None:
    filled(db)
    data = bytearray(db.read_bytes())
    data[100:140] = b"\xff" * 40
    db.write_bytes(data)


def folder(db: Path) -> None:
    db.mkdir()


def pipe(db: Path) -> None:
    os.mkfifo(db)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (text_file, "is not a database"),
        (short_file, "not a database|damaged"),
        (other_program, "of another program"),
        (newer_schema, "newer bide"),
        (empty_file, "is empty"),
        (truncated, "damaged"),
        (scrambled_schema, "damaged"),
        (folder, "is a folder"),
        (pipe, "not an ordinary file"),
    ],
)
def test_what_is_no_database_of_ours_is_refused_and_untouched(
    tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    db = tmp_path / "bide.db"
    make(db)
    ordinary = db.is_file()
    before = db.read_bytes() if ordinary else b""
    with pytest.raises(StoreError, match=says) as caught:
        open_database(db)
    assert "\n" not in str(caught.value)
    assert str(db) in str(caught.value)
    if ordinary:
        assert db.read_bytes() == before
        with pytest.raises(StoreError):
            Reader(db)
        assert db.read_bytes() == before


def test_create_does_not_take_over_another_programs_database(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    other_program(db)
    with pytest.raises(StoreError, match="of another program"):
        open_database(db, create=True)


def test_only_create_creates_and_nobody_else_may_look(db: Path) -> None:
    with pytest.raises(NotFoundError, match="bide serve"):
        open_database(db)
    with pytest.raises(NotFoundError):
        Reader(db)
    assert not db.parent.exists()
    conn = open_database(db, create=True)
    conn.execute("UPDATE meta SET value = 1 WHERE key = 'batch'")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (db.parent, *db.parent.iterdir())}
    conn.close()
    assert modes.pop("state") == 0o700
    assert set(modes.values()) == {0o600}


def test_an_empty_file_becomes_a_database_when_asked(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    db.touch()
    open_database(db, create=True).close()
    with Reader(db) as reader:
        assert reader.dags() == []


@pytest.mark.parametrize("what", ["file", "folder"])
def test_read_only_places_are_refused_with_words(db: Path, what: str) -> None:
    filled(db)
    place = db if what == "file" else db.parent
    mode = stat.S_IMODE(place.stat().st_mode)
    place.chmod(mode & ~0o222)
    try:
        with pytest.raises(StoreError, match="read-only"):
            open_database(db)
    finally:
        place.chmod(mode)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(StoreError, match="cannot be reached"):
        open_database(tmp_path / "x" / "bide.db", create=True)


def test_a_connection_that_did_not_take_its_settings_is_refused(db: Path) -> None:
    """An I/O error while switching to the log is silent in SQLite: the setting is read back."""

    class Deaf(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            if sql == "PRAGMA synchronous = FULL":
                sql = "PRAGMA synchronous = OFF"
            return super().execute(sql, *args)  # type: ignore[arg-type]

    def connect(*args: object, **options: object) -> sqlite3.Connection:
        return sqlite3.connect(*args, factory=Deaf, **options)  # type: ignore[call-overload,no-any-return]

    with pytest.raises(StoreError, match="cannot promise durability"):
        open_database(db, create=True, connect=connect)


def test_an_unknown_level_is_refused(db: Path) -> None:
    with pytest.raises(StoreError, match="OFF"):
        open_database(db, create=True, synchronous="OFF")  # type: ignore[arg-type]


def test_a_link_to_a_database_is_that_database(tmp_path: Path, db: Path) -> None:
    filled(db)
    link = tmp_path / "link.db"
    link.symlink_to(db)
    writer = InlineWriter.open_here(link)
    assert writer.path == db
    writer.close_here()


def test_a_name_with_a_question_mark_is_only_a_name(tmp_path: Path) -> None:
    db = tmp_path / "what?mode=memory#%41.db"
    open_database(db, create=True).close()
    assert db.stat().st_size > 0
