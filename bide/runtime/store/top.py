"""What there is now of what is not over, counted: the rows behind `bide top`. Looks at nothing that has ended."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

_RUNS: Final = "SELECT state, count(*) FROM run WHERE ended_us IS NULL GROUP BY state"
_NEWEST: Final = """
SELECT r.run_id, d.name, r.state, r.kind, r.logical_us, coalesce(r.started_us, r.created_us)
FROM run r JOIN dag d ON d.dag_id = r.dag_id WHERE r.ended_us IS NULL ORDER BY r.run_id DESC LIMIT ?
"""
_TASKS: Final = """
SELECT i.run_id, i.state, count(*) FROM run r CROSS JOIN task_instance i ON i.run_id = r.run_id
WHERE r.ended_us IS NULL GROUP BY i.run_id, i.state
"""
_WAITS: Final = """
SELECT kind, count(*) FROM (
  SELECT kind FROM wait WHERE state = 'open' UNION ALL
  SELECT s.kind FROM standing s JOIN dag d USING (dag_id) WHERE s.ended_us IS NULL AND d.removed = 0)
GROUP BY kind ORDER BY count(*) DESC
"""
_DAGS: Final = "SELECT count(*), count(nullif(paused, 0)) FROM dag WHERE removed = 0"
_ALERTS: Final = "SELECT count(*) FROM alert WHERE state = 'new'"


class OpenRun(msgspec.Struct, frozen=True):
    """A run that is not over, with its tasks by state."""

    run_id: int
    dag: str
    state: str
    kind: str
    logical_us: int
    since_us: int
    tasks: dict[str, int]


class Standing(msgspec.Struct, frozen=True):
    """How things stand: counts by state, waits by kind, the newest runs."""

    dags: int
    paused: int
    alerts: int
    runs: dict[str, int]
    tasks: dict[str, int]
    waits: dict[str, int]
    newest: list[OpenRun]


def standing_now(conn: sqlite3.Connection, newest: int) -> Standing:
    tasks: dict[int, dict[str, int]] = {}
    whole: dict[str, int] = {}
    for run_id, state, count in conn.execute(_TASKS):
        tasks.setdefault(run_id, {})[state] = count
        whole[state] = whole.get(state, 0) + count
    dags, paused = conn.execute(_DAGS).fetchone()
    return Standing(
        dags=dags,
        paused=paused,
        alerts=conn.execute(_ALERTS).fetchone()[0],
        runs=dict(conn.execute(_RUNS).fetchall()),
        tasks=whole,
        waits=dict(conn.execute(_WAITS).fetchall()),
        newest=[
            OpenRun(run_id, dag, state, kind, logical_us, since_us, tasks.get(run_id, {}))
            for run_id, dag, state, kind, logical_us, since_us in conn.execute(_NEWEST, (newest,))
        ],
    )
