"""What `decide` asks about edits: how an entity stands, whom an action on many is of, and how far it has come."""

from __future__ import annotations

import sqlite3
from typing import Any

from bide.runtime.store import bulk_reads
from bide.runtime.store.revisions import revision


def edit_fact(conn: sqlite3.Connection, key: tuple[Any, ...]) -> Any:
    match key:
        case ("revision", str(kind), name):
            return revision(conn, kind, name)
        case ("bulk_targets", str(action), str(of), bool(whole)):
            return bulk_reads.targets(conn, action, of, whole, bulk_reads.MOST + 1)
        case ("bulk", int(bulk_id)):
            return bulk_reads.slice_of(conn, bulk_id)
        case _:
            raise AssertionError(f"decide asked for {key!r}, which nobody knows how to answer")
