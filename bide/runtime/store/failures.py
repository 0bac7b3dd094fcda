"""What a handler or a callback of a run is told: the failures that it is for, the first one first."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime.graph.failure import Failure
from bide.runtime.graph.spec import TaskSpec

MOST: Final = 1_000
"""More failures than these are not handed over: they are in the database."""

_COLUMNS: Final = (
    "SELECT i.task, i.reason, CASE WHEN f.at_us = i.since_us THEN f.error_type ELSE '' END, i.attempt, i.map_index"
    " FROM task_instance i LEFT JOIN failure f USING (instance_id) WHERE i.run_id = :run AND i.task <> :own"
)
_NO_SUM: Final = (  # a mapped task is told of by its instances, where one of these failed
    " AND NOT (i.map_index < 0 AND EXISTS (SELECT 1 FROM task_instance c"
    " WHERE c.run_id = i.run_id AND c.task = i.task AND c.map_index >= 0 AND c.state = 'failed'))"
)
_AMONG: Final = " AND (:names IS NULL OR i.task IN (SELECT value FROM json_each(:names)))"
_ORDER: Final = f" ORDER BY i.since_us, i.instance_id LIMIT {MOST}"
_QUESTIONS: Final = (
    f"{_COLUMNS}{_AMONG} AND i.state = 'failed'{_NO_SUM}{_ORDER}",
    # a task whose state was changed by hand since; a graph in which nothing failed itself
    f"{_COLUMNS}{_AMONG} AND i.state = 'upstream_failed'{_ORDER}",
    f"{_COLUMNS}{_AMONG} AND i.attempt > 0{_ORDER}",
    f"{_COLUMNS}{_AMONG}{_ORDER}",
)


def failures_of(conn: sqlite3.Connection, run_id: int, task: TaskSpec) -> list[Failure]:
    """What the attempt of a handler or callback `task` is told; never empty for one that handles a task."""
    names = msgspec.json.encode(task.handles).decode() if task.handles else None
    asked = {"run": run_id, "own": task.name, "names": names}
    for question in _QUESTIONS:
        if rows := conn.execute(question, asked).fetchall():
            return [Failure(*row) for row in rows]
    return []
