"""What the database says of a DAG's schedule: how it is judged, what was not run, what is held for it."""

from __future__ import annotations

import sqlite3

import msgspec

from bide.runtime import typed
from bide.runtime.store.queries import sql_of
from bide.runtime.store.rows import in_one


class _Shown(msgspec.Struct, frozen=True, array_like=True):
    pass


class Scheduled(_Shown, frozen=True):
    """A DAG's schedule and options as JSON; `spec` is its newest graph."""

    dag_id: int
    name: str
    schedule: str
    options: str
    spec: str
    paused: int
    removed: int
    anchor_us: int | None
    watermark_us: int | None
    backlog: str


class Skipped(_Shown, frozen=True):
    """Firings that were not run: the first and the last of them, and why."""

    from_us: int
    until_us: int
    reason: str
    at_us: int


class Held(_Shown, frozen=True):
    """A trigger that is waited for without a run."""

    standing_id: int
    kind: str
    trigger: str
    since_us: int
    firings: int
    fired_us: int | None


class Standing(_Shown, frozen=True):
    """What the schedule of a DAG waits for."""

    standing_id: int
    dag: str
    kind: str
    trigger: str
    since_us: int


def standing(conn: sqlite3.Connection) -> list[Standing]:
    """What the schedules of all DAGs wait for, oldest first."""
    return in_one(conn, Standing, sql_of("standing"))


def scheduled(conn: sqlite3.Connection, name: str) -> Scheduled | None:
    """A DAG's schedule; None when there is no such DAG."""
    row = conn.execute(sql_of("schedule_of_dag"), {"name": name}).fetchone()
    return None if row is None else typed.convert(row, Scheduled)


def skipped(conn: sqlite3.Connection, dag_id: int, limit: int) -> list[Skipped]:
    """The newest decisions first."""
    return in_one(conn, Skipped, sql_of("skipped_of_dag"), {"dag_id": dag_id, "limit": limit})


def held(conn: sqlite3.Connection, dag_id: int) -> list[Held]:
    """The triggers of its schedule."""
    return typed.convert(conn.execute(sql_of("held_of_dag"), {"dag_id": dag_id}).fetchall(), list[Held])


def open_runs(conn: sqlite3.Connection, dag_id: int) -> int:
    """How many runs of a DAG are not over."""
    row = conn.execute("SELECT count(*) FROM run WHERE dag_id = ? AND ended_us IS NULL", (dag_id,)).fetchone()
    return int(row[0])


def cause_of_run(conn: sqlite3.Connection, run_id: int) -> str:
    """Which schedule or event a run was made for; "" where that goes without saying."""
    row = conn.execute(sql_of("cause_of_run"), {"run_id": run_id}).fetchone()
    return str(row[0]) if row is not None and row[0].startswith(("schedule: ", "event: ")) else ""
