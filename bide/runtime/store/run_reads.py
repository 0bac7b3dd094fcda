"""What a run is drawn from, asked on a connection that may be read-only."""

from __future__ import annotations

import sqlite3

import msgspec

from bide.runtime.engine.states import State
from bide.runtime.store.rows import in_one


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class InstanceRow(_Read, frozen=True):
    instance_id: int
    task: str
    map_index: int
    state: State
    attempts: int
    reason: str


class MoveRow(_Read, frozen=True):
    instance_id: int
    at_us: int
    was: State
    now: State


class PauseRow(_Read, frozen=True):
    """`who` asked for it, by the audit log; null where nobody did."""

    at_us: int
    reason: str
    who: str | None


def instances(conn: sqlite3.Connection, run_id: int, after: int, limit: int) -> list[InstanceRow]:
    """A page of a run's instances, in the order in which they were made."""
    return in_one(
        conn,
        InstanceRow,
        "SELECT instance_id, task, map_index, state, attempt, reason FROM task_instance"
        " WHERE run_id = ? AND instance_id > ? ORDER BY instance_id LIMIT ?",
        (run_id, after, limit),
    )


def moves(conn: sqlite3.Connection, run_id: int, first: int, last: int, most: int) -> list[MoveRow]:
    """The last `most` moves of each of a run's instances from `first` to `last`, oldest first."""
    return in_one(
        conn,
        MoveRow,
        "WITH told AS (SELECT seq, subject_id, at_us, was, now,"
        "  row_number() OVER (PARTITION BY subject_id ORDER BY seq DESC) AS place FROM event"
        "  WHERE run_id = ? AND subject = 'instance' AND subject_id BETWEEN ? AND ? AND was <> now AND was <> '')"
        " SELECT subject_id, at_us, was, now FROM told WHERE place <= ? ORDER BY seq",
        (run_id, first, last, most),
    )


def paused(conn: sqlite3.Connection, dag: str) -> PauseRow | None:
    """That the DAG is paused, and what its last pause was; None when it is not."""
    row = conn.execute("SELECT dag_id FROM dag WHERE name = ? AND paused", (dag,)).fetchone()
    if row is None:
        return None
    found = conn.execute(
        "SELECT at_us, reason FROM event WHERE run_id IS NULL AND subject = 'dag' AND subject_id = ? AND now = 'paused'"
        " ORDER BY seq DESC LIMIT 1",
        (row[0],),
    ).fetchone()
    return None if found is None else PauseRow(found[0], found[1], commanded(conn, found[0], f"dag {dag}"))


def commanded(conn: sqlite3.Connection, at_us: int, target: str) -> str | None:
    """Who did something to `target` at that very instant: what a command changes has its commit's time."""
    found = conn.execute(
        "SELECT who FROM audit WHERE at_us = ? AND target = ? AND outcome = 'ok' ORDER BY audit_id DESC LIMIT 1",
        (at_us, target),
    ).fetchone()
    return None if found is None else str(found[0])


def made(conn: sqlite3.Connection, run_id: int, created_us: int, dag: str) -> tuple[str, str | None]:
    """Why a run was made, as the journal had it then, and who asked for it; its own reason says how it ended."""
    found = conn.execute(
        "SELECT reason FROM event WHERE run_id = ? AND subject = 'run' AND was = '' ORDER BY seq LIMIT 1",
        (run_id,),
    ).fetchone()
    return "" if found is None else str(found[0]), commanded(conn, created_us, f"dag {dag}")


def newest_version(conn: sqlite3.Connection, dag: str) -> str | None:
    """The hash of the graph of a DAG as it was last loaded."""
    found = conn.execute(
        "SELECT v.hash FROM dag d JOIN dag_version v ON v.version_id = d.version_id WHERE d.name = ?", (dag,)
    ).fetchone()
    return None if found is None else str(found[0])
