"""Opens the database or says in one sentence why not; a refusal leaves the file as it was.

The file is looked at read-only first, always through SQLite: opening and closing it any other
way would drop the locks that this process holds on it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from bide.runtime.errors import NotFoundError, StoreError, StoreFullError
from bide.runtime.store.failure import READ_ERRORS, code_of, name_of
from bide.runtime.store.migrate import APPLICATION_ID, migrate, newest_number

Synchronous = Literal["FULL", "NORMAL", "EXTRA"]
Connect = Callable[..., sqlite3.Connection]
"""Called as `sqlite3.connect` is: `connect(uri, uri=True, timeout=..., isolation_level=None)`."""

_LEVELS: Final = {"NORMAL": 1, "FULL": 2, "EXTRA": 3}
_BUSY_S: Final = 2.0
_SETTINGS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -8192",  # 8 MiB
    "PRAGMA temp_store = MEMORY",  # no temporary file that a full disk could refuse
    "PRAGMA wal_autocheckpoint = 1000",  # pages: a checkpoint is a part of a commit, and 4,000 of them held it for 24 to 72 ms
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)


def uri_of(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


def open_database(
    path: str | os.PathLike[str],
    *,
    synchronous: Synchronous = "FULL",
    create: bool = False,
    connect: Connect = sqlite3.connect,
    migrating: bool = True,
) -> sqlite3.Connection:
    """A connection that may write, its schema up to date (unless `migrating` is False), its settings read back.

    `NotFoundError` when there is no database and `create` is False; `StoreError` for a path that
    is no database of ours or cannot be written. With `create` the folder is made with mode 0700
    and the file with 0600.
    """
    if synchronous not in _LEVELS:
        raise StoreError(f"synchronous={synchronous!r} is not known: use FULL, NORMAL or EXTRA")
    place = Path(os.path.realpath(path))
    exists = _look(place, create)
    if exists:
        _look_inside(place, create)
    else:
        _make(place)
    try:
        conn = connect(
            uri_of(place, "rw"), uri=True, timeout=_BUSY_S, isolation_level=None, cached_statements=256
        )
    except READ_ERRORS as error:
        raise refusal(error, place) from error
    try:
        _settle(conn, synchronous, place)
        if migrating:
            migrate(conn, place)
    except READ_ERRORS as error:
        conn.close()
        raise refusal(error, place) from error
    except StoreError:
        conn.close()
        raise
    return conn


def staged_of(place: Path) -> Path:
    """The copy of a backup that is about to take the place of a database."""
    return place.with_name(place.name + ".restoring")


def _look(place: Path, create: bool) -> bool:
    """Whether the file is there; refuses what can be refused without touching it."""
    try:
        found = place.stat()
    except FileNotFoundError:
        if (staged := staged_of(place)).exists():
            raise StoreError(
                f"a restore of {place} was cut off before its end: put the backup back once more "
                f"(`bide db restore`), or remove {staged} to begin with a new database"
            ) from None
        if not create:
            raise NotFoundError(
                f"there is no database at {place}: `bide serve` or `bide run` makes one, --db names another"
            ) from None
        return False
    except OSError as error:
        raise StoreError(
            f"the database {place} cannot be reached ({error.strerror}): use another path"
        ) from None
    if stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{place} is a folder, a database is a file: use {place / 'bide.db'}")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{place} is not an ordinary file: use a path on a local disk")
    if not os.access(place, os.R_OK):
        raise StoreError(f"the database {place} may not be read by this user: ask its owner")
    if not os.access(place, os.W_OK) or found.st_mode & 0o222 == 0:
        raise StoreError(f"the database {place} is read-only: `chmod u+w {place}`, or use another one")
    folder = place.parent
    if not os.access(folder, os.W_OK | os.X_OK) or folder.stat().st_mode & 0o222 == 0:
        raise StoreError(
            f"the folder {folder} is read-only, and SQLite keeps its log beside the database: make it writable"
        )
    return True


def _make(place: Path) -> None:
    """The folder and an empty file with nobody else's rights on them."""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(
            f"the database {place} cannot be made ({error.strerror}): use a folder that can be written"
        ) from None


def _look_inside(place: Path, create: bool) -> None:
    """Refuse, through a read-only connection, what is not ours, is newer, or is damaged."""
    if place.stat().st_size == 0:
        if not create and not _has_wal(place):
            raise StoreError(f"{place} is empty, not a database: `bide serve` or `bide run` makes it one")
        return
    try:
        try:
            _ask_inside(place, "ro", create)
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
            _ask_inside(place, "rw", create)  # a first start died on its way to WAL: SQLite rolls that back
    except READ_ERRORS as error:
        raise refusal(error, place) from error


def _ask_inside(place: Path, mode: str, create: bool) -> None:
    conn = sqlite3.connect(uri_of(place, mode), uri=True, timeout=_BUSY_S, isolation_level=None)
    try:
        check_ours(conn, place, may_be_empty=create)
    finally:
        conn.close()


def _has_wal(place: Path) -> bool:
    wal = place.with_name(place.name + "-wal")
    return wal.exists() and wal.stat().st_size > 0


def check_ours(conn: sqlite3.Connection, place: Path, may_be_empty: bool = False) -> int:
    """The schema's version, or `StoreError`: another program's, a newer bide's, an empty one."""
    application = conn.execute("PRAGMA application_id").fetchone()[0]
    version = int(conn.execute("PRAGMA user_version").fetchone()[0])
    tables = conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if version == 0 and tables == 0 and application in (0, APPLICATION_ID):
        if may_be_empty:
            return 0
        raise StoreError(
            f"{place} is an empty database: `bide serve` or `bide run` with --db {place} prepares it"
        )
    if application != APPLICATION_ID:
        raise StoreError(f"{place} is a database of another program, not bide's: use another path")
    newest = newest_number()
    if version > newest:
        raise StoreError(
            f"the database {place} is from a newer bide (schema {version}, this one knows {newest}): "
            "install that version, or use another database"
        )
    return version


def _settle(conn: sqlite3.Connection, synchronous: Synchronous, place: Path) -> None:
    """Set what durability rests on, and read it back: an I/O error while switching is silent."""
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute(f"PRAGMA synchronous = {synchronous}")
    for setting in _SETTINGS:
        conn.execute(setting)
    journal = conn.execute("PRAGMA journal_mode").fetchone()[0]
    level = conn.execute("PRAGMA synchronous").fetchone()[0]
    if journal != "wal":
        raise StoreError(
            f"the database {place} cannot use a write-ahead log (journal_mode is {journal}): "
            "use a local disk, and close other programs that hold it"
        )
    if level != _LEVELS[synchronous]:
        raise StoreError(
            f"synchronous={synchronous} was asked for {place} and {level} is set: "
            "this SQLite cannot promise durability"
        )
    if conn.execute("PRAGMA foreign_keys").fetchone()[0] != 1:
        raise StoreError("this SQLite was built without foreign keys: use another Python")


def refusal(error: BaseException, place: Path) -> StoreError:
    """The one sentence for an SQLite error met while opening."""
    primary = code_of(error) & 0xFF
    if primary == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{place} is not a database: use another path, or restore a backup over it")
    if primary == sqlite3.SQLITE_FULL or code_of(error) == sqlite3.SQLITE_IOERR_SHMSIZE:
        return StoreFullError(f"there is no room on the disk of {place}: free some, then try again")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreFullError(f"another program holds the database {place}: end it, then try again")
    if primary == sqlite3.SQLITE_READONLY:
        return StoreError(f"the database {place} or its folder is read-only: make both writable")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"the database {place} cannot be opened ({error}): check its folder's rights")
    if primary == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"the disk failed while opening {place} ({name_of(error)}): check it, then try again"
        )
    return StoreError(f"the database {place} is damaged ({name_of(error)}: {error}): put a backup of it back")
