"""What `doctor` sees of a database's place: who may read and write its files, its log, its backups, what was left behind.

No file that SQLite has open is opened here: closing it would drop SQLite's locks. What stands in the index of the
log is read through the descriptor that SQLite itself holds.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from bide.runtime.clock import DAY, SECOND
from bide.runtime.engine.explain import span_words
from bide.runtime.service.places import log_of, socket_of
from bide.runtime.service.shapes import Check
from bide.runtime.store.doctor_reads import journal_mode
from bide.runtime.store.file_traps import file_traps
from bide.runtime.store.lock import Holder
from bide.runtime.store.peeking import peeked
from bide.runtime.store.reader import Reader

_MANY: Final = 1_000
"""Logs of attempts that are looked at one by one."""
_PARTS: Final = ("", "-wal", "-shm", ".lock")
_LONG_LOG: Final = 64 * 1024 * 1024  # what the log is cut back to
_FAR_BEHIND: Final = 256 * 1024 * 1024
_OLD_BACKUP_US: Final = 7 * DAY
_STAMP: Final = re.compile(r"-(\d{8}T\d{6})\.\d{3}Z$")
_PART: Final = re.compile(r"\.part-(\d+)$")


def place(reader: Reader, holder: Holder | None, now_us: int) -> Iterator[Check]:
    """Everything about the files of the database that `reader` reads, which `holder` holds."""
    db = reader.path
    yield from rights(db)
    yield from _traps(db, holder)
    yield from log(reader, holder)
    yield from backups(db, now_us)
    yield from left_over(db, holder)


# --- who may ---------------------------------------------------------------------------------------


def rights(db: Path) -> Iterator[Check]:
    """Modes and owners by the rules of `private`: who may write may put in what it likes."""
    wrong: list[Check] = []
    looked = 0
    owner = db.stat().st_uid
    for path in _own(db):
        try:
            found = path.lstat()
        except OSError:
            continue
        looked += 1
        if not stat.S_ISLNK(found.st_mode):
            wrong += _file_rights(path, found, owner, db.parent)
    for folder in dict.fromkeys((db.parent, *db.parents, *socket_of(db).parents)):
        wrong += _folder_rights(folder, db, owner)
    if not any(not check.ok for check in wrong):
        found_all = f"{looked}, all of user {owner}; nobody else may write"
        yield Check(name="files", ok=True, found=found_all, advice="")
    yield from wrong[:50]


def _own(db: Path) -> Iterator[Path]:
    logs = log_of(db, 0).parent
    yield from (db.with_name(db.name + part) for part in _PARTS)
    yield socket_of(db)
    yield logs
    if logs.is_dir() and os.access(logs, os.R_OK | os.X_OK):
        with os.scandir(logs) as entries:
            yield from [Path(entry.path) for entry in islice(entries, _MANY)]


def _file_rights(path: Path, found: os.stat_result, owner: int, folder: Path) -> Iterator[Check]:
    mode, is_folder = stat.S_IMODE(found.st_mode), stat.S_ISDIR(found.st_mode)
    wanted = "700" if is_folder else "600"
    if found.st_uid != owner:
        said = f"{path} belongs to user {found.st_uid}, and the database to user {owner}"
        yield _bad("files", said, f"`chown {owner} {path}`")
    writable = mode & (0o022 if stat.S_ISSOCK(found.st_mode) else 0o002)
    if writable:
        said = f"others may write to {path} (mode {mode:o})"
        yield _bad("files", said, f"`chmod {wanted} {path}`")
    elif mode & 0o077 and folder.stat().st_mode & 0o011:
        said = f"others may read {path} (mode {mode:o})"
        yield Check(name="files", ok=True, found=said, advice=f"`chmod {wanted} {path}`")


def _folder_rights(folder: Path, db: Path, owner: int) -> Iterator[Check]:
    """Who may rename a folder above may put another in its place."""
    try:
        found = folder.stat()
    except OSError:
        return
    mode, own = stat.S_IMODE(found.st_mode), folder == db.parent
    if mode & stat.S_IWOTH and (own or not mode & stat.S_ISVTX):
        yield _bad(
            "files", f"anybody may write to the folder {folder} (mode {mode:o})", f"`chmod o-w {folder}`"
        )
    elif own and mode & stat.S_IWGRP:
        said = f"the group may write to the folder {folder} (mode {mode:o})"
        yield Check(name="files", ok=True, found=said, advice=f"`chmod g-w {folder}`, unless all of it may")
    if own and found.st_uid not in (0, owner):
        said = f"the folder {folder} belongs to user {found.st_uid}, and the database to user {owner}"
        yield _bad("files", said, f"`chown {owner} {folder}`")


def _traps(db: Path, holder: Holder | None) -> Iterator[Check]:
    """SQLite's own: another name, another database's log, a replaced file, a restore that was cut off."""
    for trap in file_traps(db, holder, rights=False, network=False):
        yield _bad("database file", f"{trap.file} {trap.found}", trap.advice)


# --- the write-ahead log ----------------------------------------------------------------------------


def log(reader: Reader, holder: Holder | None) -> Iterator[Check]:
    """Its mode, its size, and how much of it is not in the database yet."""
    name, mode = "write-ahead log", reader.read(journal_mode)
    if mode != "wal":
        found = f"not used, the journal mode is {mode}"
        if holder is not None and holder.kind == "runtime":
            yield _bad(
                name, found, "end what else uses the database, then start the service again: it sets it"
            )
        else:
            yield Check(name=name, ok=True, found=found, advice="the next start sets it: `bide serve`")
        return
    size = _size(reader.path.with_name(reader.path.name + "-wal"))
    found = f"{_bytes(size)} long"
    behind = _pages_behind(reader.path)
    lag = 0
    if behind is not None:
        lag = behind[0] * behind[1]
        found += (
            f", {behind[0]:,} {'page' if behind[0] == 1 else 'pages'} ({_bytes(lag)}) not in the database yet"
        )
    advice = (
        "something reads one old state for long, and the log grows until it ends (a backup, `sqlite3`): "
        f"`fuser -v {reader.path}` names it"
    )
    if max(size, lag) <= _LONG_LOG:
        yield Check(name=name, ok=True, found=found, advice="")
    else:
        yield Check(name=name, ok=lag < _FAR_BEHIND, found=found, advice=advice)


def _pages_behind(db: Path) -> tuple[int, int] | None:
    """(pages in the log that no checkpoint has written back, bytes a page); None where it cannot be seen.

    The index of the log (`-shm`): twice a header with `mxFrame` at 16 and the page size at 14, then `nBackfill`
    at 96, in the machine's byte order.
    """
    head = peeked(db.with_name(db.name + "-shm"), 100)
    if len(head) < 100:
        return None
    size, newest = struct.unpack_from("=HI", head, 14)
    (written,) = struct.unpack_from("=I", head, 96)
    return max(newest - written, 0), 65_536 if size == 1 else size


# --- backups and leftovers ---------------------------------------------------------------------------


def backups(db: Path, now_us: int) -> Iterator[Check]:
    """Those of `bide db backup` in its own folder: how old the newest is."""
    folder, keep = db.parent / "backups", f"`bide db backup --db {db}`"
    if not folder.is_dir():
        yield Check(name="backups", ok=True, found=f"none in {folder}", advice=f"{keep} makes one there")
        return
    found = sorted((_taken_us(path), path) for path in folder.glob(f"{db.stem}*") if _is_backup(path, db))
    if not found:
        yield _bad("backups", f"the folder {folder} holds none of this database", f"{keep} makes one")
        return
    taken, newest = found[-1]
    said = f"{len(found)} in {folder}, the newest {span_words(max(now_us - taken, 0))} old ({_bytes(_size(newest))})"
    if not _size(newest):
        yield _bad("backups", f"{newest} is empty", f"`rm {newest}`, then {keep}")
    elif now_us - taken > _OLD_BACKUP_US:
        yield Check(name="backups", ok=True, found=said, advice=f"{keep} makes a new one")
    else:
        yield Check(name="backups", ok=True, found=said, advice="")


def _is_backup(path: Path, db: Path) -> bool:
    return path.is_file() and path.suffix == (db.suffix or ".db")


def _taken_us(path: Path) -> int:
    """By its name when `bide db backup` gave it, else by the file's own date."""
    named = _STAMP.search(path.stem)
    if named is not None:
        try:
            return int(datetime.strptime(named[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()) * SECOND
        except ValueError:
            pass
    return path.stat().st_mtime_ns // 1_000


def left_over(db: Path, holder: Holder | None) -> Iterator[Check]:
    """Parts of copies whose maker is gone: room on the disk, and nothing else."""
    for path in sorted(_parts(db, holder)):
        size = sum(_size(each) for each in path.iterdir()) if path.is_dir() else _size(path)
        found = f"{path}, {_bytes(size)}, of work that was cut off"
        yield Check(name="left over", ok=True, found=found, advice=f"`rm -r {path}`: nobody needs it")


def _parts(db: Path, holder: Holder | None) -> Iterator[Path]:
    for folder in (db.parent, db.parent / "backups"):
        for path in folder.glob(".*.part-*"):
            pid = _PART.search(path.name)
            if path.name.startswith(f".{db.stem}") and pid is not None and not _lives(int(pid[1])):
                yield path
    if holder is None:
        yield from db.parent.glob(f"{db.name}*.part")  # of the copy that is made before a migration
    for path in db.parent.glob(".bide-dry-run-*"):
        if (path / db.name).exists() and not _open_somewhere(path):
            yield path
    socket = socket_of(db)
    for path in socket.parent.glob(f"{socket.name}.*"):
        if path.suffix[1:].isdigit() and not _lives(int(path.suffix[1:])):
            yield path


def _open_somewhere(folder: Path) -> bool:
    """Whether a process of ours works in it: a dry run has its copy open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink().is_relative_to(folder):
                return True
        except OSError:
            continue
    return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _bad(name: str, found: str, advice: str) -> Check:
    return Check(name=name, ok=False, found=found, advice=advice)


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
