"""Task instances as people and programs read them: one with its attempts and waits, and those of many runs."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from bide.runtime.engine.states import OVER, AttemptState, RunState, State, WaitState
from bide.runtime.store.rows import _Row, listed

RUNS: Final = 10_000
"""So many runs, the newest that match, are looked through for a listing."""
_OPEN: Final = frozenset(State) - OVER


class AttemptRead(_Row, frozen=True):
    """`metrics` is JSON."""

    attempt_id: int
    number: int
    state: AttemptState
    started_us: int
    ended_us: int | None
    queued_us: int
    active_us: int
    error: str | None
    metrics: str | None


class WaitRead(_Row, frozen=True):
    """`trigger` and `event` are JSON."""

    wait_id: int
    key: str
    kind: str
    trigger: str
    state: WaitState
    since_us: int
    deadline_us: int
    ended_us: int | None
    event: str | None
    reason: str


class NextTo(_Row, frozen=True):
    task: str
    state: State
    since_us: int
    reason: str
    output: str | None


class FoundRead(_Row, frozen=True):
    instance_id: int
    run_id: int
    dag: str
    task: str
    map_index: int
    state: State
    since_us: int
    attempts: int
    logical_us: int
    run_state: RunState
    reason: str


class TaskFilter(msgspec.Struct, frozen=True):
    """All of what is said holds. `dag` and `task` may have * and ?; logical dates from `since_us` on and before `until_us`."""

    run_id: int | None = None
    dag: str = ""
    task: str = ""
    states: tuple[str, ...] = ()
    since_us: int | None = None
    until_us: int | None = None


def attempts(conn: sqlite3.Connection, instance_id: int, limit: int) -> list[AttemptRead]:
    """The newest, oldest first."""
    return listed(
        conn,
        AttemptRead,
        "SELECT attempt_id, number, state, started_us, ended_us, queued_us, active_us, error, metrics FROM attempt"
        " WHERE instance_id = ? ORDER BY attempt_id DESC LIMIT ?",
        (instance_id, limit),
    )[::-1]


def waits(conn: sqlite3.Connection, instance_id: int, limit: int) -> list[WaitRead]:
    """The newest, oldest first."""
    return listed(
        conn,
        WaitRead,
        "SELECT wait_id, key, kind, trigger, state, created_us, deadline_us, ended_us, event, reason FROM wait"
        " WHERE instance_id = ? ORDER BY wait_id DESC LIMIT ?",
        (instance_id, limit),
    )[::-1]


def result(conn: sqlite3.Connection, instance_id: int, most: int) -> tuple[str | None, int | None]:
    """What it returned, JSON, and how many bytes that has; the text is None where they are more than `most`."""
    row = conn.execute(
        "SELECT CASE WHEN length(CAST(value AS BLOB)) <= ?2 THEN value END, length(CAST(value AS BLOB)) FROM output WHERE instance_id = ?1",
        (instance_id, most),
    ).fetchone()
    return (None, None) if row is None else (row[0], row[1])


def next_to(conn: sqlite3.Connection, run_id: int, names: list[str], most: int) -> dict[str, NextTo]:
    """Tasks of a run by name, with what they returned where that has no more bytes than `most`."""
    found = listed(
        conn,
        NextTo,
        "SELECT i.task, i.state, i.since_us, i.reason, CASE WHEN length(CAST(o.value AS BLOB)) <= ?3 THEN o.value END"
        " FROM json_each(?2) n CROSS JOIN task_instance i ON i.run_id = ?1 AND i.task = n.value AND i.map_index = -1"
        " LEFT JOIN output o USING (instance_id)",
        (run_id, msgspec.json.encode(names).decode(), most),
    )
    return {each.task: each for each in found}


def instances(conn: sqlite3.Connection, run_id: int, task: str) -> dict[str, int]:
    """State -> how many of the instances of a mapped task."""
    found = conn.execute(
        "SELECT state, count(*) FROM task_instance WHERE run_id = ? AND task = ? AND map_index >= 0 GROUP BY state",
        (run_id, task),
    )
    return dict(found.fetchall())


def found(conn: sqlite3.Connection, of: TaskFilter, limit: int, before: int | None) -> list[FoundRead]:
    """Those that match, of the newest run first, within a run by name backwards. `before`: behind that instance."""
    parts, values = ["1"], list[Any]()
    if of.run_id is not None:
        parts.append("run_id = ?")
        values.append(of.run_id)
    if of.dag:
        parts.append("dag_id IN (SELECT dag_id FROM dag WHERE name GLOB ?)")
        values.append(of.dag)
    if of.since_us is not None:
        parts.append("logical_us >= ?")
        values.append(of.since_us)
    if of.until_us is not None:
        parts.append("logical_us < ?")
        values.append(of.until_us)
    if (of.states and _OPEN.issuperset(of.states)) or of == TaskFilter():
        parts.append("ended_us IS NULL")  # what is not over is of a run that is not
    inner, inner_values = ["1"], list[Any]()
    if before is not None:
        last = conn.execute(
            "SELECT run_id, task, map_index FROM task_instance WHERE instance_id = ?", (before,)
        ).fetchone()
        if last is None:
            return []
        parts.append("run_id <= ?")
        values.append(last[0])
        inner.append("(i.run_id, i.task, i.map_index) < (?, ?, ?)")
        inner_values += last
    if of.states:
        inner.append("i.state IN (SELECT value FROM json_each(?))")
        inner_values.append(msgspec.json.encode(of.states).decode())
    if of.task:
        inner.append("i.task GLOB ?" if "*" in of.task or "?" in of.task else "i.task = ?")
        inner_values.append(of.task)
    return listed(
        conn,
        FoundRead,
        "SELECT i.instance_id, i.run_id, d.name, i.task, i.map_index, i.state, i.since_us, i.attempt, r.logical_us,"
        f" r.state, i.reason FROM (SELECT run_id, dag_id, logical_us, state FROM run WHERE {' AND '.join(parts)}"
        f" ORDER BY run_id DESC LIMIT {RUNS}) r CROSS JOIN task_instance i ON i.run_id = r.run_id"
        f" JOIN dag d USING (dag_id) WHERE {' AND '.join(inner)}"
        " ORDER BY i.run_id DESC, i.task DESC, i.map_index DESC LIMIT ?",
        (*values, *inner_values, limit),
    )
