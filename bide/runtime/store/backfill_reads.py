"""What is asked about backfills, on a connection that may be read-only: plans, progress, listings."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from bide.runtime import typed
from bide.runtime.engine.states import BackfillState, IntervalState, RunState
from bide.runtime.store.rows import in_one


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class PlannedDag(_Read, frozen=True):
    """A DAG as a plan needs it. `spec`, `schedule` and `options` are JSON."""

    dag_id: int
    schedule: str
    options: str
    anchor_us: int | None
    hash: str
    spec: str
    removed: bool


class BackfillShown(_Read, frozen=True):
    backfill_id: int
    dag: str
    state: BackfillState
    options: str
    plan_hash: str
    created_us: int
    ended_us: int | None
    reason: str
    dag_paused: int


class IntervalShown(_Read, frozen=True):
    """`run_state` is that of the run as it is now: somebody may have rerun it since."""

    place: int
    start_us: int
    end_us: int
    state: IntervalState
    run_id: int | None
    reason: str
    run_state: RunState | None
    started_us: int | None
    ended_us: int | None


class RecordedOutput(_Read, frozen=True):
    logical_us: int
    run_id: int
    task: str
    value: str


def planned_dag(conn: sqlite3.Connection, name: str) -> PlannedDag | None:
    row = conn.execute(
        "SELECT d.dag_id, d.schedule, d.options, d.anchor_us, v.hash, v.spec, d.removed = 1 FROM dag d"
        " JOIN dag_version v ON v.version_id = d.version_id WHERE d.name = ?",
        (name,),
    ).fetchone()
    return typed.convert(row, PlannedDag, strict=False) if row else None


def durations(conn: sqlite3.Connection, dag_id: int, most: int = 20) -> list[int]:
    """Microseconds from start to end of the last runs that succeeded."""
    found = conn.execute(
        "SELECT ended_us - started_us FROM run INDEXED BY run_of_dag WHERE dag_id = ? AND state = 'success'"
        " AND kind <> 'plan' AND started_us IS NOT NULL ORDER BY run_id DESC LIMIT ?",
        (dag_id, most),
    )
    return [took for (took,) in found]


def recorded_outputs(conn: sqlite3.Connection, dag_id: int, lo: int, hi: int) -> list[RecordedOutput]:
    """What the tasks of the runs for these dates returned, of each date's newest run that succeeded."""
    found = conn.execute(
        "SELECT r.logical_us, r.run_id, i.task, o.value FROM (SELECT logical_us, max(run_id) AS run_id FROM run"
        " WHERE dag_id = ? AND logical_us BETWEEN ? AND ? AND state = 'success' GROUP BY logical_us) r"
        " JOIN task_instance i USING (run_id) JOIN output o USING (instance_id) ORDER BY r.logical_us",
        (dag_id, lo, hi),
    )
    return [RecordedOutput(*row) for row in found]


_BACKFILL = (
    "SELECT b.backfill_id, d.name, b.state, b.options, b.plan_hash, b.created_us, b.ended_us, b.reason, d.paused"
    " FROM backfill b JOIN dag d USING (dag_id)"
)


def backfills_shown(
    conn: sqlite3.Connection, dag: str | None, limit: int, before: int = 2**63 - 1
) -> list[BackfillShown]:
    """The newest first, of those below `before`."""
    return in_one(
        conn,
        BackfillShown,
        f"{_BACKFILL} WHERE (?1 IS NULL OR d.name = ?1) AND b.backfill_id < ?3 ORDER BY b.backfill_id DESC LIMIT ?2",
        (dag, limit, before),
    )


def backfill_shown(conn: sqlite3.Connection, backfill_id: int) -> BackfillShown | None:
    row = conn.execute(f"{_BACKFILL} WHERE b.backfill_id = ?", (backfill_id,)).fetchone()
    return typed.convert(row, BackfillShown) if row else None


def counts(conn: sqlite3.Connection, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Backfill id -> state -> how many intervals."""
    found: dict[int, dict[str, int]] = {each: {} for each in ids}
    for each in ids:
        found[each] = dict(
            conn.execute(
                "SELECT state, count(*) FROM backfill_interval WHERE backfill_id = ? GROUP BY state", (each,)
            ).fetchall()
        )
    return found


def intervals_shown(
    conn: sqlite3.Connection, backfill_id: int, state: str | None, limit: int, after: int = -1
) -> list[IntervalShown]:
    """In the order of the backfill, of those after a place."""
    return in_one(
        conn,
        IntervalShown,
        "SELECT i.place, i.start_us, i.end_us, i.state, i.run_id, i.reason, r.state, r.started_us, r.ended_us"
        " FROM backfill_interval i LEFT JOIN run r USING (run_id)"
        " WHERE i.backfill_id = ?1 AND (?2 IS NULL OR i.state = ?2) AND i.place > ?4"
        " ORDER BY i.place LIMIT ?3",
        (backfill_id, state, limit, after),
    )


def progress(conn: sqlite3.Connection, backfill_id: int) -> list[tuple[str, int]]:
    """(state, when it begins) of every interval, in the order of the backfill."""
    return conn.execute(
        "SELECT state, start_us FROM backfill_interval WHERE backfill_id = ? ORDER BY place", (backfill_id,)
    ).fetchall()


class Pace(msgspec.Struct, frozen=True):
    """How runs of a backfill have gone: (when the first started, how many ended, their mean duration)."""

    first_us: int | None
    ended: int
    mean_us: float


def pace(conn: sqlite3.Connection, backfill_id: int) -> Pace:
    row = conn.execute(
        "SELECT min(r.started_us), count(r.ended_us), coalesce(avg(r.ended_us - r.started_us), 0)"
        " FROM backfill_interval i JOIN run r USING (run_id)"
        " WHERE i.backfill_id = ? AND i.state != 'skipped' AND r.started_us IS NOT NULL",
        (backfill_id,),
    ).fetchone()
    return Pace(row[0], row[1], float(row[2]))


def backfill_of_run(conn: sqlite3.Connection, run_id: int) -> tuple[int, str] | None:
    """(id, state) of the backfill whose interval a run runs now."""
    row = conn.execute(
        "SELECT b.backfill_id, b.state FROM backfill_interval i JOIN backfill b USING (backfill_id)"
        " WHERE i.run_id = ? AND i.state = 'running'",
        (run_id,),
    ).fetchone()
    return (row[0], row[1]) if row else None


def runs_of_backfills(conn: sqlite3.Connection) -> frozenset[int]:
    """The unfinished runs that run intervals of backfills, and steps of rerun plans: they have places of their own."""
    found = conn.execute(
        "SELECT i.run_id FROM backfill b JOIN backfill_interval i USING (backfill_id)"
        " WHERE b.ended_us IS NULL AND i.state = 'running'"
        " UNION ALL SELECT s.run_id FROM rerun_plan p JOIN rerun_step s USING (plan_id)"
        " WHERE p.state = 'running' AND s.state = 'running'"
    )
    return frozenset(run_id for (run_id,) in found)
