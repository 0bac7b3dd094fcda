"""What can be wrong with the files of a database beside what is in them, found without opening any but by SQLite.

The traps are SQLite's own (how to corrupt a database): a log of another database beside it, a log left
behind, a file that was replaced under a living service, a second name; and rights that let others in.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime.store.lock import Holder, network_file_system
from bide.runtime.store.open import staged_of, uri_of
from bide.runtime.store.peeking import peeked

_WAL_MAGIC: Final = (0x377F0682, 0x377F0683)
_MODES: Final = {b"\x01": "delete", b"\x02": "wal"}
"""The format's version for writers, at 18 of the file."""


class Trap(msgspec.Struct, frozen=True):
    """Something wrong with a file: which file, what was found, what to do."""

    file: str
    found: str
    advice: str


def file_traps(db: Path, holder: Holder | None, *, rights: bool = True, network: bool = True) -> list[Trap]:
    """Every trap there is; `holder` is who holds the lock of the database now."""
    return [
        *(_rights(db) if rights else ()),
        *_names(db),
        *_log(db),
        *_journal(db),
        *_held_file(db, holder),
        *_left_over(db),
        *(_network(db) if network else ()),
    ]


def _rights(db: Path) -> Iterator[Trap]:
    for path in (db, *(db.with_name(db.name + part) for part in ("-wal", "-shm", ".lock")), db.parent):
        try:
            found = path.stat()
        except OSError:
            continue
        folder = stat.S_ISDIR(found.st_mode)
        if found.st_uid not in (os.geteuid(), 0) or (not folder and found.st_uid != db.stat().st_uid):
            yield Trap(
                path.name if not folder else str(path),
                f"belongs to the user {found.st_uid}, the database to {db.stat().st_uid}, and this is {os.geteuid()}",
                f"give it its owner back: `chown {db.stat().st_uid} {path}`",
            )
        others = found.st_mode & (0o022 if folder else 0o077)
        if folder and found.st_mode & stat.S_ISVTX:
            others = 0
        if others:
            yield Trap(
                path.name if not folder else str(path),
                f"may be {'written' if folder else 'read or written'} by others (mode {found.st_mode & 0o7777:04o})",
                f"`chmod {'700' if folder else '600'} {path}`",
            )


def _names(db: Path) -> Iterator[Trap]:
    links = db.stat().st_nlink
    if links > 1:
        yield Trap(
            db.name,
            f"has {links} names: opened by another one it would be written without this lock and this log",
            f"remove the other names: `find -inum {db.stat().st_ino}` finds them",
        )


def _log(db: Path) -> Iterator[Trap]:
    """A write-ahead log that is not this database's: it would be played into it."""
    wal = db.with_name(db.name + "-wal")
    try:
        with wal.open("rb") as file:  # SQLite keeps no locks on this one: closing it drops none
            head = file.read(32)
    except OSError:
        return
    if len(head) < 32:
        return
    advice = f"end what uses the database, keep a copy of both files, then restore a backup; never delete {wal.name} alone"
    if int.from_bytes(head[:4]) not in _WAL_MAGIC:
        yield Trap(wal.name, "is no write-ahead log of SQLite", advice)
        return
    page, mode = _as_it_is(db)
    if page and int.from_bytes(head[8:12]) != page:
        found = f"has pages of {int.from_bytes(head[8:12])} bytes and the database of {page}: it is another's"
        yield Trap(wal.name, found, advice)
    elif mode not in ("wal", ""):
        yield Trap(
            wal.name, f"stands beside a database that uses no log (its journal mode is {mode})", advice
        )


def _as_it_is(db: Path) -> tuple[int, str]:
    """Page size and journal mode of the file alone, as if it had no log; zeros when it cannot be read."""
    try:
        conn = sqlite3.connect(f"{uri_of(db, 'ro')}&immutable=1", uri=True)
        try:
            page = int(conn.execute("PRAGMA page_size").fetchone()[0])
            conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            # An immutable database has no log for SQLite, whatever its header says: the header is asked.
            mode = _MODES.get(peeked(db, 19)[18:], "")
        finally:
            conn.close()
    except (sqlite3.Error, UnicodeDecodeError):
        return 0, ""
    return page, mode


def _journal(db: Path) -> Iterator[Trap]:
    journal = db.with_name(db.name + "-journal")
    if journal.exists() and journal.stat().st_size:
        yield Trap(
            journal.name,
            "a rollback journal was left behind: what was being written was never finished",
            f"do not remove it: the next start rolls it back; `bide serve --db {db}`",
        )


def _held_file(db: Path, holder: Holder | None) -> Iterator[Trap]:
    """The file at the path is not the one that the living service has open."""
    if holder is None or holder.kind != "runtime" or not holder.pid:
        return
    here = db.stat()
    opened = list(_opened(holder.pid, db))
    if opened and (here.st_dev, here.st_ino) not in opened:
        yield Trap(
            db.name,
            f"was replaced: the service of process {holder.pid} has another file open, which has no name any more",
            "end that service (it stops of itself within a second), then start it again on what stands here",
        )


def _opened(pid: int, db: Path) -> Iterator[tuple[int, int]]:
    """Files that a process has open under the name of the database, one that is deleted included."""
    folder = Path("/proc", str(pid), "fd")
    try:
        links = list(folder.iterdir())
    except OSError:  # another user's, or no such file system
        return
    for link in links:
        try:
            if link.readlink().as_posix().removesuffix(" (deleted)") == str(db):
                found = link.stat()
                yield found.st_dev, found.st_ino
        except OSError:
            continue


def _left_over(db: Path) -> Iterator[Trap]:
    staged = staged_of(db)
    if staged.exists():
        yield Trap(
            staged.name,
            "a restore was cut off before its end; the database is as it was",
            f"put the backup back once more, or remove {staged}",
        )


def _network(db: Path) -> Iterator[Trap]:
    kind = network_file_system(db.parent)
    if kind:
        yield Trap(
            db.name, f"is on a network file system ({kind})", "move it to a local disk, by backup and restore"
        )
