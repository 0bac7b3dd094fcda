"""The rows of mapped tasks: their instances, what they are mapped over, what they have returned."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from bide.runtime.errors import NotFoundError, PayloadError
from bide.runtime.store.rows import rows
from bide.runtime.store.world_rows import INSTANCE, InstanceRow
from bide.runtime.values import OUTPUT_LIMIT

_SUMMARY: Final = "task_instance i JOIN expansion e USING (instance_id) WHERE i.run_id = ? AND i.task = ?"


def children(conn: sqlite3.Connection, run_id: int, task: str) -> list[InstanceRow]:
    """The instances of a mapped task in a run, by map index, also those of a longer list before."""
    return rows(
        conn,
        InstanceRow,
        f"SELECT {INSTANCE} FROM task_instance i WHERE i.run_id = ? AND i.task = ? AND i.map_index >= 0"
        " ORDER BY i.map_index",
        (run_id, task),
    )


def child(conn: sqlite3.Connection, run_id: int, task: str, index: int) -> InstanceRow:
    """One of them."""
    found = rows(
        conn,
        InstanceRow,
        f"SELECT {INSTANCE} FROM task_instance i WHERE i.run_id = ? AND i.task = ? AND i.map_index = ?",
        (run_id, task, index),
    )
    if not found:
        raise NotFoundError(f"the task {task!r} of run {run_id} has no instance [{index}]")
    return found[0]


def manifest(conn: sqlite3.Connection, run_id: int, task: str) -> bytes:
    """The lists that a task is mapped over, as other tasks returned them: JSON, argument -> list."""
    row = conn.execute(
        f"SELECT m.value FROM {_SUMMARY.replace('WHERE', 'JOIN manifest m USING (instance_id) WHERE')}",
        (run_id, task),
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"the lists that {task!r} of run {run_id} is mapped over are not stored: rerun it"
        )
    value: str = row[0]
    return value.encode()


def tasks_of(conn: sqlite3.Connection, run_id: int) -> list[str]:
    """The tasks of a run that have become instances."""
    sql = "SELECT i.task FROM task_instance i JOIN expansion USING (instance_id) WHERE i.run_id = ? AND i.map_index = -1"
    return [task for (task,) in conn.execute(sql, (run_id,))]


def outputs_of(conn: sqlite3.Connection, run_id: int, task: str, limit: int = OUTPUT_LIMIT) -> str | None:
    """What the instances of a mapped task returned, as a JSON list in order; null where there is nothing.

    None when it has no instances. `PayloadError` when the list is longer than an output may be.
    """
    found = conn.execute(f"SELECT e.items FROM {_SUMMARY}", (run_id, task)).fetchone()
    if found is None or not found[0]:
        return None
    of: tuple[Any, ...] = (run_id, task, found[0])
    where = "FROM task_instance i LEFT JOIN output o USING (instance_id) WHERE i.run_id = ? AND i.task = ?"
    where += " AND i.map_index >= 0 AND i.map_index < ?"
    size = conn.execute(
        f"SELECT coalesce(sum(coalesce(length(CAST(o.value AS BLOB)), 4) + 1), 0) {where}", of
    ).fetchone()[0]
    if size > limit:
        raise PayloadError(
            f"what the {found[0]:,} instances of {task!r} returned is a list of {size:,} bytes of JSON, and the limit "
            f"is {limit:,}: return less from each (a count, a key), more items an instance with map(..., shard=...), "
            "or write to files or a table and read from there"
        )
    values = conn.execute(f"SELECT o.value {where} ORDER BY i.map_index", of)
    return "[" + ",".join([value if value is not None else "null" for (value,) in values]) + "]"
