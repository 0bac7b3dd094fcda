"""What pictures of DAGs are made of, asked on a connection that may be read-only: by looking up, never by going through all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from bide.runtime import typed
from bide.runtime.engine.states import RunState, State
from bide.runtime.store.rows import in_one, object_of
from bide.runtime.store.words import RECENT


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class DagRow(_Read, frozen=True):
    """`spec` is its newest graph, JSON; "" where it has none. `open_runs` are not over; `recent` its last runs, JSON of their shape."""

    dag_id: int
    name: str
    schedule: str
    paused: int
    next_fires_us: int | None
    version_id: int | None
    spec: str
    open_runs: int
    recent: msgspec.Raw = msgspec.Raw(b"[]")


class RunRow(_Read, frozen=True):
    run_id: int
    version_id: int
    state: RunState
    kind: str
    logical_us: int
    scheduled_us: int
    created_us: int
    started_us: int | None
    ended_us: int | None
    reason: str


_RUN = "run_id, version_id, state, kind, logical_us, scheduled_us, created_us, started_us, ended_us, reason"
_DAG = (
    "SELECT d.dag_id, d.name, d.schedule, d.paused, d.next_fires_us, d.version_id, coalesce(v.spec, ''), coalesce(o.n, 0), {recent}"
    " FROM dag d LEFT JOIN dag_version v ON v.version_id = d.version_id"
    " LEFT JOIN (SELECT dag_id, count(*) AS n FROM run INDEXED BY run_unfinished WHERE ended_us IS NULL GROUP BY dag_id) o"
    " ON o.dag_id = d.dag_id WHERE d.removed = 0"
)


def dags(
    conn: sqlite3.Connection, run: type[msgspec.Struct], shown: int, before: str, limit: int
) -> list[DagRow]:
    """Those that are not removed, by name, behind one of them, each with `shown` runs in the shape `run`."""
    recent = (
        f"(SELECT json_group_array({object_of(run, RECENT)}) FROM (SELECT * FROM run INDEXED BY run_of_dag"
        " WHERE dag_id = d.dag_id ORDER BY run_id DESC LIMIT ?3))"
    )
    sql = f"{_DAG.format(recent=recent)} AND d.name > ?1 ORDER BY d.name LIMIT ?2"
    return in_one(conn, DagRow, sql, (before, limit, shown), parsed=("recent",))


def dag(conn: sqlite3.Connection, name: str) -> DagRow | None:
    sql = _DAG.format(recent="'[]'")
    found = in_one(conn, DagRow, f"{sql} AND d.name = ?", (name,), parsed=("recent",))
    return found[0] if found else None


def names(conn: sqlite3.Connection) -> list[str]:
    """Of all that are not removed."""
    return [row[0] for row in conn.execute("SELECT name FROM dag WHERE removed = 0 ORDER BY name")]


def newest_runs(conn: sqlite3.Connection, dag_id: int, before: int, limit: int) -> list[RunRow]:
    """The newest first, of those below an id."""
    return in_one(
        conn,
        RunRow,
        f"SELECT {_RUN} FROM run WHERE dag_id = ? AND run_id < ? ORDER BY run_id DESC LIMIT ?",
        (dag_id, before, limit),
    )


def specs(conn: sqlite3.Connection, versions: Iterable[int]) -> dict[int, str]:
    """Version -> its graph, JSON."""
    asked = msgspec.json.encode(sorted(set(versions))).decode()
    found = conn.execute(
        "SELECT version_id, spec FROM dag_version WHERE version_id IN (SELECT value FROM json_each(?))",
        (asked,),
    )
    return dict(found.fetchall())


def states(
    conn: sqlite3.Connection, run_id: int, tasks: Sequence[str]
) -> list[tuple[State | None, int | None]]:
    """(state, attempts) of each of these tasks in a run; of a mapped one as a whole, (None, None) where there is none.

    Each is looked up: a mapped task may have ten thousand instances beside.
    """
    row = conn.execute(
        "SELECT json_group_array(json_array(i.state, i.attempt)) FROM json_each(?2) t LEFT JOIN task_instance i"
        " ON i.run_id = ?1 AND i.task = t.value AND i.map_index = -1",
        (run_id, msgspec.json.encode(list(tasks)).decode()),
    ).fetchone()
    return typed.decode(row[0], list[tuple[State | None, int | None]])


class VersionRow(_Read, frozen=True):
    version_id: int
    hash: str
    created_us: int
    spec: str


def versions(conn: sqlite3.Connection, dag_id: int, below: int, limit: int) -> list[VersionRow]:
    """The newest first, of those below an id."""
    return in_one(
        conn,
        VersionRow,
        "SELECT version_id, hash, created_us, spec FROM dag_version WHERE dag_id = ? AND version_id < ?"
        " ORDER BY version_id DESC LIMIT ?",
        (dag_id, below, limit),
    )


class FiredRow(_Read, frozen=True):
    """A run as its day shows it. `late`: a promise of it or of one of its tasks was not kept."""

    run_id: int
    state: RunState
    kind: str
    logical_us: int
    start_us: int
    end_us: int
    scheduled_us: int
    created_us: int
    started_us: int | None
    late: int


def fired(conn: sqlite3.Connection, dag_id: int, from_us: int, until_us: int, limit: int) -> list[FiredRow]:
    """The runs whose logical date is within [from, until), the last first."""
    return in_one(
        conn,
        FiredRow,
        "SELECT r.run_id, r.state, r.kind, r.logical_us, r.start_us, r.end_us, r.scheduled_us, r.created_us, r.started_us,"
        " EXISTS (SELECT 1 FROM alert a WHERE a.run_id = r.run_id AND a.kind IN ('run', 'task'))"
        " FROM run r WHERE r.dag_id = ? AND r.logical_us >= ? AND r.logical_us < ? ORDER BY r.logical_us DESC LIMIT ?",
        (dag_id, from_us, until_us, limit),
    )


class SkipRow(_Read, frozen=True):
    from_us: int
    until_us: int
    reason: str


def skipped_within(
    conn: sqlite3.Connection, dag_id: int, from_us: int, until_us: int, limit: int
) -> list[SkipRow]:
    """Decisions not to run firings within [from, until), the newest first."""
    return in_one(
        conn,
        SkipRow,
        "SELECT from_us, until_us, reason FROM skipped_firing WHERE dag_id = ? AND from_us < ? AND until_us >= ?"
        " ORDER BY skip_id DESC LIMIT ?",
        (dag_id, until_us, from_us, limit),
    )
