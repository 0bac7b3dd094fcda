"""What has ended, as a trace tells it: runs and attempts by their ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from bide.runtime import typed
from bide.runtime.store.rows import in_one


class AttemptTraced(msgspec.Struct, frozen=True, array_like=True):
    attempt_id: int
    run_id: int
    dag: str
    task: str
    map_index: int
    number: int
    state: str
    started_us: int
    ended_us: int
    queued_us: int
    active_us: int
    error: str | None


class RunTraced(msgspec.Struct, frozen=True, array_like=True):
    """`begun_us`: when it was opened for what has ended now; `reopened`: how often it had ended before."""

    run_id: int
    dag: str
    state: str
    kind: str
    logical_us: int
    begun_us: int
    ended_us: int
    reason: str
    reopened: int


def database(conn: sqlite3.Connection) -> str:
    """Who this database is."""
    return str(conn.execute("SELECT value FROM meta WHERE key = 'database'").fetchone()[0])


def attempts(conn: sqlite3.Connection, ids: Sequence[int]) -> list[AttemptTraced]:
    return in_one(
        conn,
        AttemptTraced,
        "SELECT a.attempt_id, r.run_id, d.name, i.task, i.map_index, a.number, a.state, a.started_us, a.ended_us,"
        " a.queued_us, a.active_us, a.error FROM json_each(?) x CROSS JOIN attempt a ON a.attempt_id = x.value"
        " JOIN task_instance i USING (instance_id) JOIN run r USING (run_id) JOIN dag d USING (dag_id)"
        " WHERE a.ended_us IS NOT NULL",
        (msgspec.json.encode(list(ids)).decode(),),
    )


def runs(conn: sqlite3.Connection, ends: Sequence[int]) -> list[RunTraced]:
    """By the lines of the journal in which they ended: one that was opened again since has ended there all the same."""
    found = []
    for seq in ends:
        row = conn.execute(
            "SELECT r.run_id, d.name, e.now, r.kind, r.logical_us, coalesce(r.started_us, r.created_us), e.at_us, e.reason"
            " FROM event e JOIN run r USING (run_id) JOIN dag d USING (dag_id) WHERE e.seq = ?",
            (seq,),
        ).fetchone()
        if row is None:
            continue
        again = conn.execute(
            "SELECT count(*), max(at_us) FROM event WHERE run_id = ? AND seq < ? AND subject = 'run' AND now = 'running'"
            " AND was IN ('success', 'failed', 'cancelled')",
            (row[0], seq),
        ).fetchone()
        begun = again[1] if again[0] else row[5]
        found.append(typed.convert((*row[:5], begun, *row[6:], again[0]), RunTraced))
    return found
