"""The names that people know runs and task instances by, for ids that something just happened to."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec


class Named(msgspec.Struct, frozen=True):
    """What ids stand for; one that is gone is not in it."""

    runs: dict[int, str]
    """run -> its DAG"""
    tasks: dict[int, str]
    """task instance -> its task, `load[3]` of a mapped one"""


def names(conn: sqlite3.Connection, runs: Sequence[int], instances: Sequence[int]) -> Named:
    """Look them up, by their keys."""
    found = Named({}, {})
    for run_id in dict.fromkeys(runs):
        row = conn.execute(
            "SELECT dag.name FROM run JOIN dag USING (dag_id) WHERE run_id = ?", (run_id,)
        ).fetchone()
        if row is not None:
            found.runs[run_id] = row[0]
    for instance_id in dict.fromkeys(instances):
        row = conn.execute(
            "SELECT task, map_index FROM task_instance WHERE instance_id = ?", (instance_id,)
        ).fetchone()
        if row is not None:
            found.tasks[instance_id] = row[0] if row[1] < 0 else f"{row[0]}[{row[1]}]"
    return found
