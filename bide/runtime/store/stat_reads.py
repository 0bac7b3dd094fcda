"""What runs did with their time, asked on a connection that may be read-only: aggregated in SQL, so that few rows come over."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from bide.runtime import typed
from bide.runtime.engine.states import AttemptState, BackfillState, RunState, State
from bide.runtime.store.rows import in_one

MOST_INSTANCES = 200_000
"""Of a DAG's newest runs so many instances are looked at, and not many more: a second's work."""
_OVER = "('success', 'failed', 'skipped', 'upstream_failed', 'cancelled')"


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class RunTimes(_Read, frozen=True):
    """`opened_us`: when it was last set running, at its start or by a rerun; `spec` is JSON."""

    run_id: int
    dag: str
    state: RunState
    created_us: int
    opened_us: int | None
    opened_seq: int
    ended_us: int | None
    spec: str


class InstanceMove(_Read, frozen=True):
    """A line of the journal on an instance."""

    instance_id: int
    task: str
    map_index: int
    seq: int
    at_us: int
    was: State
    now: State


class AttemptTimes(_Read, frozen=True):
    task: str
    map_index: int
    number: int
    state: AttemptState
    started_us: int
    ended_us: int | None
    queued_us: int
    active_us: int
    error: str | None


class TaskSums(_Read, frozen=True):
    """Of a task over several runs. `failed` and `lost` are attempts."""

    task: str
    instances: int
    attempts: int
    failed: int
    lost: int
    upstream_failed: int
    slot_us: int
    queued_us: int
    waited_us: int


class RunSums(_Read, frozen=True):
    runs: int
    success: int
    failed: int
    mean_us: float | None
    longest_us: int | None


class DagSums(_Read, frozen=True):
    dag: str
    sums: RunSums


class BackfillSums(_Read, frozen=True):
    backfill_id: int
    dag: str
    state: BackfillState
    intervals: int
    success: int
    failed: int
    running: int
    pending: int
    skipped: int
    cancelled: int


class AssetSums(_Read, frozen=True):
    """How far an asset's data goes, what was late, and what its newest visible version consists of."""

    asset: str
    owner: str
    version: int | None
    start_us: int | None
    end_us: int | None
    created_us: int | None
    next_due_us: int | None
    late: int
    stale: int
    made_again: int
    rows: float | None
    rows_before: float | None
    passed: int
    failed: int
    failed_checks: str | None


def run_times(conn: sqlite3.Connection, run_id: int) -> RunTimes | None:
    row = conn.execute(
        "SELECT r.run_id, d.name, r.state, r.created_us, r.started_us, 0, r.ended_us, v.spec FROM run r"
        " JOIN dag d USING (dag_id) JOIN dag_version v ON v.version_id = r.version_id WHERE r.run_id = ?",
        (run_id,),
    ).fetchone()
    if row is None:
        return None
    opened = conn.execute(
        "SELECT at_us, seq FROM event WHERE run_id = ? AND subject = 'run' AND now = 'running' AND was <> 'running'"
        " ORDER BY seq DESC LIMIT 1",
        (run_id,),
    ).fetchone()
    found = typed.convert(row, RunTimes)
    return (
        found if opened is None else msgspec.structs.replace(found, opened_us=opened[0], opened_seq=opened[1])
    )


def moves(conn: sqlite3.Connection, run_id: int, after: int) -> list[InstanceMove]:
    """Of a run's tasks since a line of the journal; of a mapped task its summary, and of its instances the last to move.

    However many instances a mapped task has, one of them can be what it waited for.
    """
    return in_one(
        conn,
        InstanceMove,
        "WITH moved AS MATERIALIZED ("  # the last of each mapped task that goes on, else the last that ended
        "  SELECT i.task, i.instance_id, row_number() OVER (PARTITION BY i.task ORDER BY i.state IN "
        f"{_OVER}, i.since_us DESC, i.instance_id DESC) AS place"
        "  FROM task_instance i WHERE i.run_id = ?1 AND i.map_index >= 0 AND i.state <> 'pending')"
        " SELECT e.subject_id, i.task, i.map_index, e.seq, e.at_us, e.was, e.now FROM event e"
        " JOIN task_instance i ON i.instance_id = e.subject_id"
        " WHERE e.run_id = ?1 AND e.seq > ?2 AND e.subject = 'instance' AND e.was <> e.now AND (i.map_index < 0 OR"
        " e.subject_id IN (SELECT instance_id FROM moved WHERE place = 1)) ORDER BY e.seq",
        (run_id, after),
    )


def attempts(conn: sqlite3.Connection, run_id: int, limit: int) -> list[AttemptTimes]:
    """The longest with a slot first."""
    return in_one(
        conn,
        AttemptTimes,
        "SELECT i.task, i.map_index, a.number, a.state, a.started_us, a.ended_us, a.queued_us, a.active_us, a.error"
        " FROM task_instance i JOIN attempt a USING (instance_id) WHERE i.run_id = ?"
        " ORDER BY a.active_us DESC, a.attempt_id LIMIT ?",
        (run_id, limit),
    )


def newest_runs(conn: sqlite3.Connection, dag: str, last: int) -> list[int]:
    """The newest runs of a DAG, fewer when they have very many instances."""
    row = conn.execute(
        "WITH RECURSIVE newest (run_id, before) AS ("
        " SELECT (SELECT max(r.run_id) FROM run r WHERE r.dag_id = d.dag_id), 0 FROM dag d WHERE d.name = ?1"
        " UNION ALL SELECT (SELECT max(r.run_id) FROM run r WHERE r.dag_id = (SELECT dag_id FROM dag WHERE name = ?1)"
        "  AND r.run_id < n.run_id), n.before + (SELECT count(*) FROM task_instance i WHERE i.run_id = n.run_id)"
        f" FROM newest n WHERE n.run_id IS NOT NULL AND n.before <= {MOST_INSTANCES} LIMIT ?2)"
        f" SELECT json_group_array(run_id) FROM newest WHERE run_id IS NOT NULL AND before <= {MOST_INSTANCES}",
        (dag, last),
    ).fetchone()
    return typed.decode(row[0], list[int])


def task_sums(conn: sqlite3.Connection, runs: Sequence[int]) -> list[TaskSums]:
    """In the order of the first instance."""
    return in_one(
        conn,
        TaskSums,
        "SELECT i.task, count(DISTINCT i.instance_id), count(a.attempt_id),"
        " total(a.state IN ('failed', 'timed_out')), total(a.state = 'lost'),"
        " count(DISTINCT iif(i.state = 'upstream_failed', i.instance_id, NULL)),"
        " coalesce(sum(a.active_us), 0), coalesce(sum(a.queued_us), 0),"
        " coalesce(sum(max(0, a.ended_us - a.started_us - a.active_us)), 0)"
        " FROM json_each(?) r CROSS JOIN task_instance i ON i.run_id = r.value LEFT JOIN attempt a USING (instance_id)"
        " GROUP BY i.task ORDER BY min(i.instance_id)",
        (msgspec.json.encode(list(runs)).decode(),),
    )


def quantiles(conn: sqlite3.Connection, runs: Sequence[int], what: str) -> dict[str, tuple[int, int, int]]:
    """Task -> the median, the 95th of a hundred and the longest of `active_us` or `queued_us`, microseconds.

    Of attempts that are over; of those that held a slot, where that is asked.
    """
    assert what in ("active_us", "queued_us")
    rows = conn.execute(
        f"WITH ordered AS (SELECT i.task, a.{what} AS us, row_number() OVER (PARTITION BY i.task ORDER BY a.{what}) AS place,"
        " count(*) OVER (PARTITION BY i.task) AS n FROM json_each(?) r"
        " CROSS JOIN task_instance i ON i.run_id = r.value JOIN attempt a USING (instance_id)"
        f" WHERE a.ended_us IS NOT NULL AND (a.active_us > 0 OR '{what}' = 'queued_us'))"
        " SELECT task, max(iif(place = (n + 1) / 2, us, 0)), max(iif(place = (n * 95 + 99) / 100, us, 0)), max(us)"
        " FROM ordered GROUP BY task",
        (msgspec.json.encode(list(runs)).decode(),),
    ).fetchall()
    return {task: (p50, p95, most) for task, p50, p95, most in rows}


def dag_sums(conn: sqlite3.Connection, last: int, limit: int = -1, after: str = "") -> list[DagSums]:
    """By name, of DAGs that are not removed: its newest runs, along their index."""
    return in_one(
        conn,
        DagSums,
        "SELECT d.name, (SELECT json_array(count(*), total(state = 'success'), total(state = 'failed'),"
        " avg(ended_us - started_us), max(ended_us - started_us))"
        " FROM (SELECT * FROM run INDEXED BY run_of_dag WHERE dag_id = d.dag_id ORDER BY run_id DESC LIMIT ?1))"
        " FROM dag d WHERE d.removed = 0 AND d.name > ?2 ORDER BY d.name LIMIT ?3",
        (last, after, limit),
        parsed=("sums",),
    )


def backfill_sums(
    conn: sqlite3.Connection, backfill_id: int | None, limit: int, before: int = 2**63 - 1
) -> list[BackfillSums]:
    """The newest first."""
    return in_one(
        conn,
        BackfillSums,
        "SELECT backfill_id, dag, state, intervals, success, failed, running, pending, skipped, cancelled"
        " FROM stat_backfill WHERE (?1 IS NULL OR backfill_id = ?1) AND backfill_id < ?3 ORDER BY backfill_id DESC LIMIT ?2",
        (backfill_id, limit, before),
    )


def asset_sums(conn: sqlite3.Connection, asset: str | None, limit: int, after: str = "") -> list[AssetSums]:
    """By name."""
    return in_one(
        conn,
        AssetSums,
        "SELECT a.name, coalesce(a.owner, ''), v.asset_version_id, v.start_us, v.end_us, v.created_us,"
        " (SELECT min(e.due_us) FROM expected e WHERE e.asset_id = a.asset_id),"
        " (SELECT count(*) FROM alert l WHERE l.kind = 'asset' AND l.subject = a.name),"
        " (SELECT count(*) FROM asset_version s INDEXED BY asset_version_stale"
        "   WHERE s.state = 'stale' AND s.asset_id = a.asset_id),"
        # along the index alone, and only what is there twice is looked at: a fifth of the time
        " (SELECT coalesce(sum(max(0, (SELECT count(*) FROM asset_version m WHERE m.asset_id = a.asset_id"
        "     AND m.start_us = g.start_us AND m.end_us = g.end_us AND m.shadow = 0"
        "     AND m.state IN ('published', 'stale', 'degraded', 'superseded', 'invalidated')) - 1)), 0)"
        "   FROM (SELECT t.start_us, t.end_us FROM asset_version t INDEXED BY asset_version_span"
        "     WHERE t.asset_id = a.asset_id GROUP BY t.start_us, t.end_us HAVING count(*) > 1) g),"
        " json_extract(v.meta, '$.rows'),"
        " (SELECT json_extract(b.meta, '$.rows') FROM (SELECT p.meta FROM asset_version p WHERE p.asset_id = a.asset_id"
        "   AND p.asset_version_id < v.asset_version_id AND p.shadow = 0 ORDER BY p.asset_version_id DESC LIMIT 32) b"
        "   WHERE json_extract(b.meta, '$.rows') IS NOT NULL LIMIT 1),"
        " (SELECT count(*) FROM asset_check k WHERE k.asset_version_id = v.asset_version_id AND k.passed = 1),"
        " (SELECT count(*) FROM asset_check k WHERE k.asset_version_id = v.asset_version_id AND k.passed = 0),"
        " (SELECT group_concat(k.name || ' (' || k.severity || ')', ', ') FROM asset_check k"
        "   WHERE k.asset_version_id = v.asset_version_id AND k.passed = 0)"
        " FROM asset a"
        " LEFT JOIN asset_version v ON v.asset_version_id = (SELECT n.asset_version_id FROM asset_version n"
        "   WHERE n.asset_id = a.asset_id AND n.state IN ('published', 'stale', 'degraded')"
        "   ORDER BY n.end_us DESC, n.asset_version_id DESC LIMIT 1)"
        " WHERE (?1 IS NULL OR a.name = ?1) AND a.name > ?3 ORDER BY a.name LIMIT ?2",
        (asset, limit, after),
    )
