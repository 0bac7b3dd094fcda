"""A copy of a database while it is in use: through SQLite's own backup, proved good before it has its name.

Never by copying the file: the log beside it would be missing, and closing it would drop SQLite's
locks. The copy is one snapshot, whatever is committed meanwhile, and one file that needs no log.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.errors import RefusedError, StoreError, StoreFullError
from bide.runtime.store import invariants
from bide.runtime.store.failure import READ_ERRORS
from bide.runtime.store.migrate import version_of
from bide.runtime.store.open import refusal, uri_of
from bide.runtime.store.reader import Reader
from bide.runtime.store.replay import Violation

Progress = Callable[[int, int], None]
"""Called with (pages that are left, pages in all)."""
_PAGES: Final = 512
"""Pages a step, 2 MiB: between two steps the progress is told, and a signal is heard."""
_ROOM: Final = 16 * 1024 * 1024
"""What must be left on the disk beside the copy."""


class Backup(msgspec.Struct, frozen=True):
    """A copy that was made, and what is in it."""

    path: Path
    bytes: int
    taken_us: int
    schema: int
    runs: int
    last_event: int
    wrong: tuple[Violation, ...]
    """Invariants that do not hold in the database, and so not in its copy"""


def dated(folder: Path, db: Path, now_us: int) -> Path:
    """The name of a copy within a folder: the database's, and when it was taken."""
    stamp = from_us(now_us).strftime("%Y%m%dT%H%M%S")
    fraction = now_us % 1_000_000 // 1000
    return folder / f"{db.stem}-{stamp}.{fraction:03d}Z{db.suffix or '.db'}"


def back_up(
    db: Path, target: Path, now_us: int, *, full: bool = True, progress: Progress | None = None
) -> Backup:
    """Copy `db` to the file `target`, prove the copy good, and only then give it its name.

    `full` proves all invariants, otherwise all but the journal's replay and the indexes. `RefusedError` when
    `target` is there already: nothing is written over. After an error nothing is left behind.
    """
    if target.exists() or target.is_symlink():
        raise RefusedError(
            f"{target} is there already, and a backup is never written over: name another file"
        )
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        _make(part)
        try:
            copy_snapshot(db, part, progress)
            found = _prove(db, part, target, now_us, full)
            _name(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"the backup {target} cannot be written ({error.strerror}): use a folder that can be"
        ) from None
    return found


def copy_snapshot(db: Path, part: Path, progress: Progress | None = None) -> None:
    """One snapshot of `db` into the empty file `part`, synced; the copy needs no log of its own.

    The snapshot is held from the first page to the last, so that a writer, however busy, never has
    it begin again: its log grows meanwhile.
    """
    with Reader(db) as reader:
        reader.read(lambda conn: _copy(conn, db, part, progress))


def _copy(source: sqlite3.Connection, db: Path, part: Path, progress: Progress | None) -> None:
    pages, size = (source.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
    free = shutil.disk_usage(part.parent).free
    if free < pages * size + _ROOM:
        raise StoreFullError(
            f"a copy of {db} takes {pages * size:,} bytes and {part.parent} has {free:,} free: "
            "free some, or use another folder"
        )
    copy = sqlite3.connect(uri_of(part, "rw"), uri=True, isolation_level=None)
    try:
        source.backup(
            copy,
            pages=_PAGES,
            progress=None if progress is None else lambda _, left, total: progress(left, total),
        )
        copy.execute("PRAGMA journal_mode = DELETE")
    except READ_ERRORS as error:
        raise refusal(error, part) from error
    finally:
        copy.close()


def _make(part: Path) -> None:
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))


def _prove(db: Path, part: Path, target: Path, now_us: int, full: bool) -> Backup:
    """Write into the copy when it was taken; `StoreError` when it is damaged."""
    conn = sqlite3.connect(uri_of(part, "rw"), uri=True, isolation_level=None)
    try:
        conn.execute("INSERT OR REPLACE INTO meta VALUES ('taken_us', ?)", (now_us,))
        wrong = proved(conn, full)
        if wrong and wrong[0].id == "I1":
            raise StoreError(
                f"the copy of {db} is damaged and was thrown away: {wrong[0].id}: {wrong[0].sentence}; "
                f"`bide db check --full --db {db}` says all that is wrong"
            )
        runs, last = conn.execute(
            "SELECT (SELECT count(*) FROM run), (SELECT coalesce(max(seq), 0) FROM event)"
        ).fetchone()
        return Backup(target, part.stat().st_size, now_us, version_of(conn), runs, last, tuple(wrong))
    except READ_ERRORS as error:
        raise refusal(error, part) from error
    finally:
        conn.close()


def proved(conn: sqlite3.Connection, full: bool) -> list[Violation]:
    """What is wrong, damage (I1) first; see `back_up` for `full`."""
    return invariants.check(conn) if full else invariants.quick(conn)


def _name(part: Path, target: Path) -> None:
    """Give the copy its name, unless somebody else took it; either way whole or not at all."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise RefusedError(f"{target} was made by somebody else meanwhile: name another file") from None
    except PermissionError:  # a file system without hard links
        if target.exists():
            raise RefusedError(f"{target} was made by somebody else meanwhile: name another file") from None
        part.rename(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were given or taken in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
