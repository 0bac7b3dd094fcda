"""A proof that the one connection that writes still commits: an empty transaction, which syncs nothing."""

from __future__ import annotations

import sqlite3


def empty_commit(conn: sqlite3.Connection) -> None:
    """Take the writer's lock and commit nothing. Raises what a batch would meet before its first row.

    It stands in line behind a commit that hangs on its disk, and so does not return while that does.
    """
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("COMMIT")
