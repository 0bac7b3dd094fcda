"""Brings a database to this bide's schema: numbered files, forward only, each in one transaction.

A new database is made by all of them in one transaction.

`PRAGMA user_version` is the number of the last file applied and changes in the same transaction.
Before a database with data is migrated, it is copied beside itself (`<db>.before-0007`) through
SQLite's own backup, so that the migration can be undone by hand.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime.errors import StoreError, UsageError
from bide.runtime.store.batch import Hook, roll_back

APPLICATION_ID: Final = 0x62696465  # "bide", at byte 68 of the file


class Migration(msgspec.Struct, frozen=True):
    number: int
    name: str
    sql: str


def newest_number() -> int:
    """The number of this bide's last migration: the version of its schema."""
    return len(_files())


def shipped(after: int = 0) -> tuple[Migration, ...]:
    """The migrations of this bide above number `after`, in order."""
    return tuple(
        Migration(number, name, file.read_text(encoding="utf-8"))
        for number, (name, file) in enumerate(_files(), 1)
        if number > after
    )


def _files() -> list[tuple[str, Traversable]]:
    """(name, file) of every migration, numbered from 1 without a gap."""
    folder = resources.files("bide.runtime.store").joinpath("migrations")
    found = sorted(
        (int(match[1]), match[2], file)
        for file in folder.iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name))
    )
    if [number for number, _, _ in found] != list(range(1, len(found) + 1)):
        raise UsageError("the migrations of this installation have a gap: install bide again")
    return [(name, file) for _, name, file in found]


def statements(sql: str) -> Iterator[str]:
    r"""The statements of a script, one by one, comments within them kept.

    >>> list(statements("CREATE TABLE a (x); -- one\nINSERT INTO a VALUES (';');"))
    ['CREATE TABLE a (x);', "-- one\nINSERT INTO a VALUES (';');"]
    """
    pending = ""
    for part in re.split(r"(?<=;)", sql):
        pending += part
        if sqlite3.complete_statement(pending):
            if pending.strip() != ";":
                yield pending.strip()
            pending = ""


def version_of(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def migrate(
    conn: sqlite3.Connection,
    path: Path,
    migrations: tuple[Migration, ...] | None = None,
    at: Hook | None = None,
    copies: bool = True,
) -> int:
    """Apply what is missing; returns the schema's version. May be called again at any time.

    `copies=False` for a database that is itself a copy.

    A process that dies anywhere in it leaves the database at one version or the next, whole.
    `at` is called before each statement, for tests that stop there.
    """
    version = version_of(conn)
    todo = shipped(version) if migrations is None else [one for one in migrations if one.number > version]
    if version == 0:  # a database that is new: nothing to keep a copy of, and one commit for all
        _apply(conn, todo, at)
    else:
        for migration in todo:
            if copies:
                _copy(conn, path.with_name(f"{path.name}.before-{migration.number:04d}"))
            _apply(conn, [migration], at)
    return todo[-1].number if todo else version


def _apply(conn: sqlite3.Connection, migrations: Sequence[Migration], at: Hook | None) -> None:
    """In one transaction, whole or not at all."""
    last = migrations[-1]
    try:
        conn.execute("BEGIN EXCLUSIVE")
        for statement in (each for migration in migrations for each in statements(migration.sql)):
            if at:
                at(statement)
            conn.execute(statement)
        broken = conn.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise StoreError(
                f"migration {last.number} ({last.name}) would leave {len(broken)} rows without "
                "their parent: the database stays as it was; `bide doctor` of the bide that wrote it names them"
            )
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {last.number:d}")
        if at:
            at("COMMIT")
        conn.execute("COMMIT")
    finally:
        if conn.in_transaction:
            roll_back(conn)


def _copy(conn: sqlite3.Connection, target: Path) -> None:
    """An online copy, written under another name first: a half copy is never taken for one."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    copy = sqlite3.connect(part)
    try:
        conn.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()
    part.chmod(0o600)
    part.replace(target)
