"""Puts a backup in the place of a database, whole or not at all, and keeps what stood there beside it.

The caller holds the database's lock. All that can fail is done on a staged copy beside the
database; the copy takes its place by one rename. A process that dies anywhere before that leaves
the old database, after it the new one. Only a database that SQLite cannot open any more has to be
moved out of the way first, with the log that belongs to it: between these two moves there is no
database, and `open_database` makes no new one while the staged copy waits.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.errors import NotFoundError, RefusedError, StoreError
from bide.runtime.store.backup import Progress, copy_snapshot, proved, sync_folder
from bide.runtime.store.batch import Hook
from bide.runtime.store.failure import READ_ERRORS
from bide.runtime.store.last_ids import LastIds, keep_last_ids, last_ids
from bide.runtime.store.migrate import migrate
from bide.runtime.store.open import check_ours, open_database, refusal, staged_of, uri_of

_LOGS: Final = ".logs"
_PARTS: Final = ("-wal", "-journal", "-shm")


class Since(msgspec.Struct, frozen=True):
    """What the database that was replaced had, and the backup has not. None where it cannot be read."""

    runs: int
    ended: int
    attempts: int
    delivered: int


class Restored(msgspec.Struct, frozen=True):
    """What was put back, where the old database went, and what is lost in time."""

    taken_us: int
    schema: int
    epoch: int
    runs: int
    unfinished: int
    kept: Path | None
    since: Since | None


class _Old(msgspec.Struct, frozen=True):
    epoch: int
    last: LastIds
    since: Since


class _Known(msgspec.Struct, frozen=True):
    """What the backup knows: the ids that were given, and the runs that were over."""

    last: LastIds
    ended: set[int]


def put_back(
    backup: Path,
    db: Path,
    now_us: int,
    *,
    anyway: bool = False,
    progress: Progress | None = None,
    at: Hook | None = None,
) -> Restored:
    """Make `db` what `backup` is; `anyway` though an invariant does not hold in it, never when it is damaged. `at` is called before each step, for tests that stop there.

    `StoreError` for a backup that is not whole, not ours, or newer than this bide; then, and after
    any other error before the last rename, the database is as it was.
    """
    step = at or (lambda _: None)
    if not backup.is_file():
        raise NotFoundError(f"there is no backup {backup}: `bide db backup` makes one")
    if db.exists() and backup.samefile(db):
        raise RefusedError(f"{backup} is the database itself: name a backup of it")
    staged, kept = staged_of(db), _kept_name(db, now_us)
    db.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        step("stage")
        _stage(backup, staged, progress)
        step("prove")
        taken = _proved(backup, staged, anyway)
        step("old")
        old, readable = _settle_old(db, taken, _known(staged))
        step("number")
        found = _numbered(staged, old, taken, now_us, kept if db.exists() else None)
    except BaseException:
        if db.exists():
            _forget(staged)
        raise
    step("logs")
    unknown = _keep_logs(db, kept, _last_attempt(staged))
    step("swap")
    _swap(db, staged, kept, readable, step)
    step("end")
    for file in unknown:
        file.unlink(missing_ok=True)
    return found


# --- the copy ------------------------------------------------------------------------------------


def _stage(backup: Path, staged: Path, progress: Progress | None) -> None:
    """Emptied, never removed: while the database has been moved away it stands for it."""
    try:
        os.close(os.open(staged, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise StoreError(f"{staged} cannot be written ({error.strerror}): make its folder writable") from None
    for name in _PARTS:
        staged.with_name(staged.name + name).unlink(missing_ok=True)
    copy_snapshot(backup, staged, progress)


def _proved(backup: Path, staged: Path, anyway: bool) -> int:
    """Bring the copy to this bide's schema and prove all invariants; when it was taken."""
    conn = _open(staged)
    try:
        check_ours(conn, backup)
        migrate(conn, staged, copies=False)
        wrong = proved(conn, full=True)
        if wrong and (wrong[0].id == "I1" or not anyway):
            raise StoreError(
                f"the backup {backup} does not hold ({wrong[0].id}: {wrong[0].sentence}): nothing was put "
                f"back; use another one, or see `bide db check --full --db {backup}` and say anyway"
            )
        taken = conn.execute("SELECT value FROM meta WHERE key = 'taken_us'").fetchone()
        if taken is None:  # a copy that a migration, or another program, has made
            taken = conn.execute("SELECT coalesce(max(at_us), 0) FROM event").fetchone()
        return int(taken[0])
    except READ_ERRORS as error:
        raise refusal(error, backup) from error
    finally:
        conn.close()


def _numbered(staged: Path, old: _Old | None, taken: int, now_us: int, kept: Path | None) -> Restored:
    """A new epoch above all that were, and no id twice: what the old one gave out is not given again."""
    conn = _open(staged)
    try:
        conn.execute("PRAGMA foreign_keys = ON")
        conn.execute("BEGIN IMMEDIATE")
        own = last_ids(conn)
        keep_last_ids(conn, own)
        if old is not None:
            keep_last_ids(conn, old.last)
        epoch = 1 + max(_meta(conn, "epoch"), old.epoch if old is not None else 0)
        conn.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (epoch,))
        conn.execute("DELETE FROM meta WHERE key = 'taken_us'")
        words = f"from a backup of {from_us(taken).isoformat()}" + (
            f"; before it: {kept.name}" if kept else ""
        )
        seq = 1 + max(own.event, old.last.event if old is not None else 0)
        conn.execute(
            "INSERT INTO event VALUES (?, ?, ?, 'database', 0, NULL, '', 'restored', ?)",
            (seq, now_us, epoch, words),
        )
        runs, unfinished, schema = (
            conn.execute(sql).fetchone()[0]
            for sql in (
                "SELECT count(*) FROM run",
                "SELECT count(*) FROM run WHERE ended_us IS NULL",
                "PRAGMA user_version",
            )
        )
        conn.execute("COMMIT")
        return Restored(taken, schema, epoch, runs, unfinished, kept, old.since if old is not None else None)
    finally:
        conn.close()


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(uri_of(path, "rw"), uri=True, isolation_level=None)


def _meta(conn: sqlite3.Connection, key: str) -> int:
    return int(conn.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])


def _forget(staged: Path) -> None:
    for name in ("", *_PARTS):
        staged.with_name(staged.name + name).unlink(missing_ok=True)


# --- what stood there ----------------------------------------------------------------------------


def _known(staged: Path) -> _Known:
    conn = _open(staged)
    try:
        ended = {run for (run,) in conn.execute("SELECT run_id FROM run WHERE ended_us IS NOT NULL")}
        return _Known(last_ids(conn), ended)
    finally:
        conn.close()


def _settle_old(db: Path, taken: int, known: _Known) -> tuple[_Old | None, bool]:
    """What the old database gave out, and its log emptied into it. None, False when it cannot be read."""
    if not db.exists():
        return None, False
    try:
        conn = open_database(db, migrating=False)
    except StoreError:
        return None, False
    try:
        old = _read_old(conn, taken, known)
        busy = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except READ_ERRORS:
        return None, False
    finally:
        conn.close()
    wal = db.with_name(db.name + "-wal")
    if busy or (wal.exists() and wal.stat().st_size):
        raise RefusedError(f"another program reads the database {db}: end it, then put the backup back again")
    return old, True


def _read_old(conn: sqlite3.Connection, taken: int, known: _Known) -> _Old | None:
    try:
        over = {run for (run,) in conn.execute("SELECT run_id FROM run WHERE ended_us IS NOT NULL")}
        since = Since(
            runs=conn.execute("SELECT count(*) FROM run WHERE run_id > ?", (known.last.run,)).fetchone()[0],
            ended=len(over - known.ended),
            attempts=conn.execute(
                "SELECT count(*) FROM attempt WHERE attempt_id > ?", (known.last.attempt,)
            ).fetchone()[0],
            delivered=conn.execute(
                "SELECT count(*) FROM delivery WHERE delivered_us > ?", (taken,)
            ).fetchone()[0],
        )
        return _Old(_meta(conn, "epoch"), last_ids(conn), since)
    except sqlite3.OperationalError:  # of an older schema, without all of its tables
        return None


def _last_attempt(staged: Path) -> int:
    """The newest attempt that the backup has a row of."""
    conn = _open(staged)
    try:
        return int(conn.execute("SELECT coalesce(max(attempt_id), 0) FROM attempt").fetchone()[0])
    finally:
        conn.close()


def _keep_logs(db: Path, kept: Path, last: int) -> list[Path]:
    """Logs of attempts that the backup does not know go with the old database: by a second name at first."""
    folder, beside = db.with_name(db.name + _LOGS), kept.with_name(kept.name + _LOGS)
    if not folder.is_dir():
        return []
    unknown = [
        file
        for file in sorted(folder.iterdir())
        if file.suffix == ".log" and file.stem.isascii() and file.stem.isdigit() and int(file.stem) > last
    ]
    if unknown:
        beside.mkdir(mode=0o700, exist_ok=True)
    for file in unknown:
        with contextlib.suppress(FileExistsError):
            os.link(file, beside / file.name)
    return unknown


def _kept_name(db: Path, now_us: int) -> Path:
    """A name that nothing has. Names that an attempt at this, cut off, gave the database itself are taken back."""
    for name in sorted(db.parent.glob(db.name + ".replaced-*"), reverse=True):
        if not name.is_file():  # the folder of its logs
            continue
        if not db.exists() and not name.name.endswith(_PARTS):
            return name  # it was moved there, and its log goes after it
        if db.exists() and name.samefile(db):
            name.unlink()
    stamp = from_us(now_us).strftime("%Y%m%dT%H%M%SZ")
    names = [f"{db.name}.replaced-{stamp}", *(f"{db.name}.replaced-{stamp}-{n}" for n in range(2, 1000))]
    return next(path for name in names if not (path := db.with_name(name)).exists())


# --- the swap ------------------------------------------------------------------------------------


def _swap(db: Path, staged: Path, kept: Path, readable: bool, step: Hook) -> None:
    """One rename; before it the old file has a second name, so that none is without one."""
    if not readable:
        _move_away(db, kept, step)
    else:
        os.link(db, kept)
        db.with_name(db.name + "-shm").unlink(missing_ok=True)
        db.with_name(db.name + "-wal").unlink(missing_ok=True)  # empty: all of it is in the file
    sync_folder(db.parent)
    step("rename")
    staged.replace(db)
    sync_folder(db.parent)


def _move_away(db: Path, kept: Path, step: Hook) -> None:
    """A database that cannot be opened, with its log: the database first, and nothing opens what is left."""
    if db.exists():
        db.rename(kept)
    for name in _PARTS:
        part = db.with_name(db.name + name)
        step(f"move{name}")
        if name == "-shm":  # made anew from the log by whoever opens it
            part.unlink(missing_ok=True)
        elif part.exists():
            part.rename(kept.with_name(kept.name + name))
