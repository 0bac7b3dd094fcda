"""What SQLite's errors mean for a batch: try it again, refuse it, or stop the runtime.

Memory is only trusted again after a rollback, so the three answers differ in what is known:
nothing was applied and it may pass later (`StoreFullError`), nothing was applied and it never
will (`BatchRejected`), or the outcome is unknown (`StoreLostError`).
"""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime.errors import StoreError, StoreFullError, StoreLostError

_PASSES: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Known not to have been applied, wherever in the transaction it is said."""
_PASSES_BEFORE_COMMIT: Final = _PASSES | {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
"""Out of file descriptors, or mounted read-only: safe to try again as long as COMMIT was not said."""
_NEVER_PASSES: Final = frozenset(
    {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE}
)
_REPLACED: Final = sqlite3.SQLITE_READONLY_DBMOVED
READ_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, MemoryError, msgspec.MsgspecError)
"""What reading a damaged file raises: Python cannot even decode some of SQLite's messages about it."""
ROW_ERRORS: Final = (OverflowError, ValueError, TypeError)
"""What Python's sqlite3 raises for a value that no column can hold."""


class BatchRejected(StoreError):  # noqa: N818 - it says what happened to the batch
    """A row of the batch can never be written; nothing of the batch was. The engine bisects.

    `table` is the list of `Changes` it stood in, `constraint` SQLite's name of what forbids it.
    """

    def __init__(self, table: str, constraint: str, detail: str) -> None:
        super().__init__(
            f"the batch was refused at {table} ({constraint}): {detail}; nothing of it was written"
        )
        self.table = table
        self.constraint = constraint
        self.detail = detail


def code_of(error: BaseException) -> int:
    """SQLite's extended error code, 0 when the error is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) or 0


def name_of(error: BaseException) -> str:
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


def judge(error: BaseException, table: str, committing: bool) -> StoreError:
    """The error that a failed batch ends in. `table` is what was being written."""
    code = code_of(error)
    primary = code & 0xFF
    if isinstance(error, MemoryError):
        return StoreFullError("the batch was not written, memory ran out: it will be tried again")
    if code == _REPLACED:
        return StoreLostError(
            "the database file was replaced or moved while it was in use: put it back, or start again"
        )
    if primary in (_PASSES if committing else _PASSES_BEFORE_COMMIT):
        return StoreFullError(
            f"the batch was not written ({name_of(error)}: {error}): it will be tried again; "
            "free disk space, or end the program that holds the database"
        )
    if primary in _NEVER_PASSES:
        return BatchRejected(table, name_of(error), str(error))
    if (
        not code
        and not isinstance(error, UnicodeDecodeError)
        and isinstance(error, (*ROW_ERRORS, sqlite3.InterfaceError, sqlite3.ProgrammingError))
    ):
        return BatchRejected(table, type(error).__name__, str(error))
    return lost(error)


def lost(error: BaseException) -> StoreLostError:
    """After this nobody knows what is on the disk: never retried."""
    return StoreLostError(
        f"the database failed ({name_of(error)}: {error}) and the runtime stops: "
        "what was acknowledged is kept; check the disk, then start again"
    )


def unreadable(error: BaseException, what: str) -> StoreError:
    """The error that a failed read ends in."""
    if isinstance(error, MemoryError) or (code_of(error) & 0xFF) in _PASSES_BEFORE_COMMIT:
        return StoreFullError(f"{what} could not be read just now ({name_of(error)}: {error}): try again")
    if isinstance(error, sqlite3.ProgrammingError) or (code_of(error) & 0xFF) == sqlite3.SQLITE_ERROR:
        return StoreError(
            f"{what} cannot answer what it was asked ({error}): it was changed by another program"
        )
    return StoreLostError(
        f"{what} could not be read ({name_of(error)}: {error}): the database is damaged; "
        "`bide doctor` says where; put a backup of it back"
    )
