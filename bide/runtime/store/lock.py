"""One runtime per database: an operating-system lock, the epoch of each start, the file's identity.

The lock is on `<db>.lock`, never on the database itself: closing any descriptor of that would
drop SQLite's own locks. It dies with the process; the file stays, and says who holds it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bide.runtime.store.batch import roll_back
from bide.runtime.store.failure import judge


class FileIdentity:
    """Which file a path was when it was opened. Looks at names only, opens nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was = self._now()

    def _now(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def same(self) -> bool:
        return self._was is not None and self._now() == self._was


def begin_epoch(conn: sqlite3.Connection) -> int:
    """Count a start, in a transaction of its own; what is running under an older epoch is lost."""
    step = "begin"
    try:
        conn.execute("BEGIN IMMEDIATE")
        rows = conn.execute(
            "UPDATE meta SET value = value + 1 WHERE key = 'epoch' RETURNING value"
        ).fetchall()
        step = "commit"
        conn.execute("COMMIT")
    except sqlite3.Error as error:
        raise judge(error, "meta", committing=step == "commit") from error
    finally:
        if conn.in_transaction:
            roll_back(conn)
    return int(rows[0][0])
