"""Facts on disk that `decide` asks for between batches: one small question, one answer each."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from bide.runtime import typed
from bide.runtime.engine.states import OVER, RUN_OVER, RunState, State, WaitState
from bide.runtime.errors import NotFoundError
from bide.runtime.store import mapped
from bide.runtime.store.rows import _Row, columns, rows
from bide.runtime.store.world_rows import BACKFILL, INTERVAL, RUN, BackfillRow, IntervalRow, RunRow
from bide.triggers.external_task import MISSING

_SHOWN = " AND kind NOT IN ('plan', 'shadow') AND run_id NOT IN (SELECT run_id FROM pruning)"
"""Steps of rerun plans, and runs that publish nothing, are no runs of their date for anybody else; nor are those that
retention is removing."""


class TaskState(msgspec.Struct, frozen=True, array_like=True):
    """Where one instance of a task stands."""

    map_index: int
    state: State


class RunAt(msgspec.Struct, frozen=True):
    """The run that an external wait looks at, and the states of the task it asked for."""

    run_id: int
    state: RunState
    tasks: list[TaskState]


class AnswerRow(msgspec.Struct, frozen=True, array_like=True):
    """How a wait that a lost body had asked for ended. `event` is JSON, None when it did not fire."""

    key: str
    state: WaitState
    event: str | None
    reason: str


class EndedWaitRow(_Row, frozen=True):
    """How a wait of a body ended. `event` is JSON, None when it did not fire."""

    wait_id: int
    attempt_id: int
    key: str
    kind: str
    state: WaitState
    created_us: int
    deadline_us: int
    poll_us: int
    event: str | None
    reason: str


class Recorded(msgspec.Struct, frozen=True):
    """What the successor of a lost attempt inherits."""

    answers: list[AnswerRow]
    steps: dict[str, str]
    """name -> JSON, of `ctx.once`"""


def run_by_key(conn: sqlite3.Connection, dag_id: int, run_key: str) -> RunRow | None:
    """The run started for `run_key`, over or not."""
    found = rows(conn, RunRow, f"SELECT {RUN} FROM run WHERE dag_id = ? AND run_key = ?", (dag_id, run_key))
    return found[0] if found else None


def run_within(conn: sqlite3.Connection, dag_id: int, start_us: int, end_us: int) -> RunRow | None:
    """A run whose logical date lies in the interval, over or not: the latest date of them."""
    found = rows(
        conn,
        RunRow,
        f"SELECT {RUN} FROM run WHERE dag_id = ? AND logical_us >= ? AND logical_us < ?{_SHOWN}"
        " ORDER BY logical_us DESC LIMIT 1",
        (dag_id, start_us, max(end_us, start_us + 1)),
    )
    return found[0] if found else None


def run_by_logical(conn: sqlite3.Connection, dag_id: int, logical_us: int) -> RunRow | None:
    """The newest run of that logical date, over or not."""
    found = rows(
        conn,
        RunRow,
        f"SELECT {RUN} FROM run WHERE dag_id = ? AND logical_us = ?{_SHOWN} ORDER BY run_id DESC LIMIT 1",
        (dag_id, logical_us),
    )
    return found[0] if found else None


def run_at(conn: sqlite3.Connection, dag_id: int, logical_us: int, task: str | None = None) -> RunAt | None:
    """For an external wait: the newest run of that logical date, with the states of `task`.

    `tasks` is empty when no task was asked for, or the run has none of that name.
    """
    run = run_by_logical(conn, dag_id, logical_us)
    if run is None:
        return None
    states = [] if task is None else task_states(conn, run.run_id, task)
    return RunAt(run.run_id, run.state, states)


def task_states(conn: sqlite3.Connection, run_id: int, task: str) -> list[TaskState]:
    """The state of a task in a run; of a mapped one that of the whole of it."""
    found = conn.execute(
        "SELECT map_index, state FROM task_instance WHERE run_id = ? AND task = ? AND map_index = -1",
        (run_id, task),
    ).fetchall()
    return typed.convert(found, list[TaskState])


class RunBefore(msgspec.Struct, frozen=True):
    """The run before another by logical date, and the states of the instances of one task in it."""

    run_id: int
    logical_us: int
    state: RunState
    states: list[State]


def run_before(
    conn: sqlite3.Connection, dag_id: int, logical_us: int, began_us: int, task: str
) -> RunBefore | None:
    """The newest run of the latest logical date before `logical_us`; None: there was none.

    Of those that had begun, or were over, at `began_us`.
    """
    found = conn.execute(
        "SELECT run_id, logical_us, state FROM run WHERE dag_id = ? AND logical_us < ?"
        f" AND coalesce(started_us, ended_us) <= ?{_SHOWN}"
        " ORDER BY logical_us DESC, run_id DESC LIMIT 1",
        (dag_id, logical_us, began_us),
    ).fetchone()
    if found is None:
        return None
    # of a mapped task the one that stands for all: it ends with the last of them
    states = [each.state for each in task_states(conn, found[0], task) if each.map_index < 0]
    return RunBefore(found[0], found[1], RunState(found[2]), states)


def runs_before(
    conn: sqlite3.Connection, dag: str, logical_us: int, began_us: int, tasks: Iterable[str]
) -> dict[str, RunBefore | None]:
    """As `run_before`, for several tasks of a DAG by name."""
    found = conn.execute("SELECT dag_id FROM dag WHERE name = ?", (dag,)).fetchone()
    return {task: run_before(conn, found[0], logical_us, began_us, task) for task in tasks} if found else {}


def run_in_the_way(conn: sqlite3.Connection, dag_id: int, logical_us: int) -> RunRow | None:
    """The newest run of that logical date; those of backfills that were cancelled are in nobody's way (C64)."""
    found = rows(
        conn,
        RunRow,
        f"SELECT {RUN} FROM run WHERE dag_id = ? AND logical_us = ?"
        f" AND NOT (kind = 'backfill' AND state = 'cancelled'){_SHOWN} ORDER BY run_id DESC LIMIT 1",
        (dag_id, logical_us),
    )
    return found[0] if found else None


def runs_between(conn: sqlite3.Connection, dag_id: int, lo: int, hi: int) -> dict[int, tuple[int, RunState]]:
    """As `run_in_the_way`, logical date -> (id, state), of the dates from `lo` to `hi`, both included."""
    found = conn.execute(
        "SELECT logical_us, max(run_id), state FROM run WHERE dag_id = ? AND logical_us BETWEEN ? AND ?"
        f" AND NOT (kind = 'backfill' AND state = 'cancelled'){_SHOWN} GROUP BY logical_us",
        (dag_id, lo, hi),
    )
    return {logical: (run_id, RunState(state)) for logical, run_id, state in found}


class BackfillRows(msgspec.Struct, frozen=True):
    """A backfill, how many of its intervals ended how, and those that ended badly, in order."""

    backfill: BackfillRow
    counts: dict[str, int]
    bad: list[IntervalRow]


def backfill(conn: sqlite3.Connection, backfill_id: int) -> BackfillRows | None:
    """What a resume needs of a backfill, over or not; None when there is none of that id."""
    one = (backfill_id,)
    found = rows(conn, BackfillRow, f"SELECT {BACKFILL} FROM backfill WHERE backfill_id = ?", one)
    if not found:
        return None
    counts = conn.execute(
        "SELECT state, count(*) FROM backfill_interval WHERE backfill_id = ?"
        " AND state NOT IN ('pending', 'running') GROUP BY state",
        one,
    )
    bad = rows(
        conn,
        IntervalRow,
        f"SELECT {INTERVAL} FROM backfill_interval WHERE backfill_id = ?"
        " AND state IN ('failed', 'cancelled') ORDER BY place",
        one,
    )
    going = {run_id for (run_id,) in conn.execute("SELECT run_id FROM pruning")}  # nobody takes them up again
    bad = [msgspec.structs.replace(row, run_id=None) if row.run_id in going else row for row in bad]
    return BackfillRows(found[0], dict(counts.fetchall()), bad)


def answered(conn: sqlite3.Connection, caller: str, key: str) -> list[tuple[str, str, str, str]]:
    """(caller, verb, result, digest) of what was answered under a key to its caller, or before callers were known."""
    return conn.execute(
        "SELECT caller, verb, result, digest FROM answered WHERE caller IN (?, '') AND key = ? ORDER BY answered_id",
        (caller, key),
    ).fetchall()


def outputs(conn: sqlite3.Connection, instance_ids: Iterable[int]) -> dict[int, str]:
    """instance_id -> JSON, of those that have an output."""
    found: dict[int, str] = {}
    sql = "SELECT value FROM output WHERE instance_id = ?"
    for instance_id in instance_ids:
        row = conn.execute(sql, (instance_id,)).fetchone()
        if row:
            found[instance_id] = row[0]
    return found


def recorded(conn: sqlite3.Connection, instance_id: int) -> Recorded:
    """Answers and steps of the lost attempts since the instance last ended in any other way.

    The attempt that is running now is their successor and is counted in: a wait that was
    inherited and then ended bears its id. Waits the body gave up on (cancelled) are left out.
    """
    since = (
        "SELECT coalesce(max(attempt_id), 0) FROM attempt"
        " WHERE instance_id = ?1 AND state NOT IN ('lost', 'running')"
    )
    answers = conn.execute(
        "SELECT key, state, event, reason FROM wait WHERE instance_id = ?1"
        f" AND attempt_id > ({since}) AND state IN ('fired', 'failed', 'timed_out') ORDER BY wait_id",
        (instance_id,),
    ).fetchall()
    steps = conn.execute(
        f"SELECT name, value FROM step WHERE instance_id = ?1 AND attempt_id > ({since}) ORDER BY attempt_id",
        (instance_id,),
    ).fetchall()
    return Recorded(typed.convert(answers, list[AnswerRow]), dict(steps))


def ended_waits(conn: sqlite3.Connection, asked: Mapping[int, Collection[str]]) -> list[EndedWaitRow]:
    """Of the waits with these keys, by attempt, those that have ended with an answer; in their order."""
    sql = (
        f"SELECT {columns(EndedWaitRow)} FROM wait"
        " WHERE instance_id = (SELECT instance_id FROM attempt WHERE attempt_id = ?1) AND attempt_id = ?1"
        " AND state IN ('fired', 'failed', 'timed_out') ORDER BY wait_id"
    )
    return [
        row
        for attempt_id, keys in asked.items()
        for row in rows(conn, EndedWaitRow, sql, (attempt_id,))
        if row.key in keys
    ]


def watermark(conn: sqlite3.Connection, dag_id: int, task: str) -> str | None:
    """The JSON that `ctx.watermark` was last committed with, or None."""
    found = conn.execute(
        "SELECT value FROM watermark WHERE dag_id = ? AND task = ?", (dag_id, task)
    ).fetchone()
    return found[0] if found else None


def outputs_of(conn: sqlite3.Connection, run_id: int, tasks: Iterable[str]) -> dict[str, str]:
    """JSON by task, of those tasks of a run that have an output; of a mapped one the list of its own."""
    found: dict[str, str] = {}
    sql = (
        "SELECT o.value FROM task_instance i JOIN output o USING (instance_id)"
        " WHERE i.run_id = ? AND i.task = ? AND i.map_index = -1"
    )
    for task in tasks:
        row = conn.execute(sql, (run_id, task)).fetchone()
        if row:
            found[task] = row[0]
        elif (value := mapped.outputs_of(conn, run_id, task)) is not None:
            found[task] = value
    return found


def end_state(conn: sqlite3.Connection, dag: str, task: str | None, logical_us: int) -> str | None:
    """The end state of the newest run of that logical date, or of a task of it; None: not over.

    `MISSING` when that run is over and never had such a task.
    """
    row = conn.execute("SELECT dag_id FROM dag WHERE name = ?", (dag,)).fetchone()
    found = run_at(conn, row[0], logical_us, task) if row else None
    if found is None:
        return None
    if task is None:
        return found.state.value if found.state in RUN_OVER else None
    states = {each.state for each in found.tasks}
    if not states and found.state in RUN_OVER:  # one that was cancelled may never have been whole
        return found.state.value if found.state is RunState.CANCELLED else MISSING
    if len(states) == 1 and (only := next(iter(states))) in OVER | {State.LOST}:
        return only.value
    return None


def runs_over(
    conn: sqlite3.Connection, dag: str, task: str | None, start_us: int, end_us: int
) -> list[tuple[int, int, str | None]]:
    """(start_us, end_us, end state) of the runs of a DAG that share something with `[start, end)`.

    Of each logical date the newest run; the state is that of `task`, or of the run, None: not over.
    """
    found = conn.execute(
        "WITH of AS (SELECT dag_id FROM dag WHERE name = ?1), first AS (SELECT max(logical_us) AS at_us FROM run"
        " WHERE dag_id = (SELECT dag_id FROM of) AND logical_us <= ?2)"
        " SELECT logical_us, max(run_id), end_us FROM run WHERE dag_id = (SELECT dag_id FROM of)"
        f" AND logical_us >= coalesce((SELECT at_us FROM first), ?2) AND logical_us < ?3{_SHOWN}"
        " GROUP BY logical_us ORDER BY logical_us",
        (dag, start_us, end_us),
    ).fetchall()
    return [
        (logical, end, end_state(conn, dag, task, logical)) for logical, _, end in found if end > start_us
    ]


def version_id(conn: sqlite3.Connection, dag_id: int, digest: str) -> int | None:
    """The version of a DAG with that content hash, None when it never had it."""
    row = conn.execute(
        "SELECT version_id FROM dag_version WHERE dag_id = ? AND hash = ?", (dag_id, digest)
    ).fetchone()
    return row[0] if row else None


class StoredDag(msgspec.Struct, frozen=True, array_like=True):
    """A DAG with its newest graph, as JSON."""

    name: str
    spec: str
    schedule: str
    anchor_us: int | None
    removed: bool


def newest_dags(conn: sqlite3.Connection, names: Iterable[str]) -> list[StoredDag]:
    """Those of `names` that the database knows, removed ones too."""
    found = conn.execute(
        "SELECT d.name, v.spec, d.schedule, d.anchor_us, d.removed FROM dag d"
        " JOIN dag_version v ON v.version_id = d.version_id"
        " WHERE d.name IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(sorted(names)).decode(),),
    ).fetchall()
    return [
        StoredDag(name, spec, schedule, anchor, bool(removed))
        for name, spec, schedule, anchor, removed in found
    ]


def alert_state(conn: sqlite3.Connection, alert_id: int) -> str | None:
    """new, taken or acked; None when there is no such alert."""
    row = conn.execute("SELECT state FROM alert WHERE alert_id = ?", (alert_id,)).fetchone()
    return row[0] if row else None


def new_alerts(conn: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """The oldest alerts that nobody has taken, whole, as plain JSON."""
    found = conn.execute(
        "SELECT alert_id, kind, subject, promise, due_us, fired_us, text, payload FROM alert"
        " WHERE state = 'new' ORDER BY alert_id LIMIT ?",
        (limit,),
    ).fetchall()
    return [
        {
            "id": alert_id,
            "kind": kind,
            "subject": subject,
            "promise": promise,
            "due_us": due,
            "fired_us": fired,
            "text": text,
            "payload": msgspec.json.decode(payload),
        }
        for alert_id, kind, subject, promise, due, fired, text, payload in found
    ]


def watermarks(conn: sqlite3.Connection) -> dict[tuple[int, str], bytes]:
    """(dag_id, task) -> JSON, all of them: there is at most one a task."""
    found = conn.execute("SELECT dag_id, task, value FROM watermark").fetchall()
    return {(dag_id, task): value.encode() for dag_id, task, value in found}


def run_result(conn: sqlite3.Connection, run_id: int) -> tuple[str, dict[str, str], dict[str, Any]]:
    """(state, task -> state, task -> output) of a run; tasks that returned nothing have no output."""
    row = conn.execute("SELECT state FROM run WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"there is no run {run_id}")
    tasks = dict(
        conn.execute(
            "SELECT task, state FROM task_instance WHERE run_id = ? AND map_index = -1 ORDER BY instance_id",
            (run_id,),
        )
    )
    values = conn.execute(
        "SELECT i.task, o.value FROM task_instance i JOIN output o USING (instance_id)"
        " WHERE i.run_id = ? AND i.map_index = -1",
        (run_id,),
    )
    outputs = {task: msgspec.json.decode(value) for task, value in values}
    for task in mapped.tasks_of(conn, run_id):
        value = mapped.outputs_of(conn, run_id, task, limit=2**31)
        if value is not None:
            outputs[task] = msgspec.json.decode(value)
    return row[0], tasks, outputs


def dag_files(conn: sqlite3.Connection) -> dict[str, str]:
    """The DAGs that were ever loaded and are not removed, and the file of each; "" where that is not known."""
    return dict(conn.execute("SELECT name, file FROM dag WHERE removed = 0 ORDER BY dag_id").fetchall())


class VersionRow(_Row, frozen=True):
    """A version of an asset: its data interval `[start, end)`, and what made it, where bide knows."""

    asset_version_id: int
    asset: str
    start_us: int
    end_us: int
    run_id: int | None
    dag: str | None
    task: str | None
    created_us: int


_VERSIONS = (
    "SELECT v.asset_version_id, a.name, v.start_us, v.end_us, v.run_id, d.name, i.task, v.created_us"
    " FROM asset_version v JOIN asset a USING (asset_id) LEFT JOIN dag d USING (dag_id)"
    " LEFT JOIN task_instance i USING (instance_id)"
)


_SEEN = "v.state IN ('published', 'stale', 'degraded', 'superseded', 'invalidated')"
"""It is, or was, to be seen by consumers."""


def versions_after(
    conn: sqlite3.Connection, dag_id: int, asset: str, after: int, limit: int
) -> list[tuple[VersionRow, bool]]:
    """The versions above `after` that are or were to be seen, in their order, and which the DAG has had before."""
    found = rows(
        conn,
        VersionRow,
        f"{_VERSIONS} WHERE v.asset_id = (SELECT asset_id FROM asset WHERE name = ?)"
        f" AND v.asset_version_id > ? AND {_SEEN} AND v.quiet = 0 ORDER BY v.asset_version_id LIMIT ?",
        (asset, after, limit),
    )
    return [(row, _times_had(conn, dag_id, row.asset_version_id) is not None) for row in found]


def versions_over(conn: sqlite3.Connection, asset: str, start_us: int, end_us: int) -> list[VersionRow]:
    """The versions whose interval shares something with `[start, end)`, or is the same instant: those that may
    be used, and those that newer ones took the place of.
    """
    return rows(
        conn,
        VersionRow,
        f"{_VERSIONS} WHERE v.asset_id = (SELECT asset_id FROM asset WHERE name = ?1)"
        f" AND v.start_us BETWEEN ?2 - ({_LONGEST}) AND ?3"  # no other can reach into it
        " AND (v.start_us < ?3 AND v.end_us > ?2 OR v.start_us = ?2 AND v.end_us = ?3)"
        " AND v.state IN ('published', 'stale', 'degraded', 'superseded') ORDER BY +v.asset_version_id",
        (asset, start_us, end_us),
    )


_LONGEST = (
    "SELECT end_us - start_us FROM asset_version WHERE asset_id = (SELECT asset_id FROM asset WHERE name = ?1)"
    " ORDER BY end_us - start_us DESC LIMIT 1"
)


def _times_had(conn: sqlite3.Connection, dag_id: int, version_id: int) -> int | None:
    """How often a DAG has had a version again; None: it has never had it."""
    found: tuple[int | None] = conn.execute(
        "SELECT max(again) FROM (SELECT again FROM asset_pending WHERE dag_id = ?1 AND asset_version_id = ?2"
        " UNION ALL SELECT t.again FROM run_trigger t JOIN run r USING (run_id) WHERE r.dag_id = ?1"
        " AND t.asset_version_id = ?2 UNION ALL SELECT again FROM asset_drop WHERE dag_id = ?1 AND asset_version_id = ?2)",
        (dag_id, version_id),
    ).fetchone()
    return found[0]


def versions_since(conn: sqlite3.Connection, dag_id: int, version: int | None, at_us: int | None,
                   asset: str | None) -> list[tuple[VersionRow, int]]:  # fmt: skip
    """For a replay: what a consumer may have had from a version or an instant on, and how often it had it."""
    found = rows(
        conn,
        VersionRow,
        f"{_VERSIONS} JOIN asset_cursor c ON c.dag_id = ?1 AND c.asset_id = v.asset_id"
        f" WHERE v.asset_version_id <= c.asset_version_id AND {_SEEN} AND (?2 IS NULL OR v.asset_version_id >= ?2)"
        " AND (?3 IS NULL OR v.created_us >= ?3) AND (?4 IS NULL OR a.name = ?4) ORDER BY v.asset_version_id",
        (dag_id, version, at_us, asset),
    )
    times = [_times_had(conn, dag_id, row.asset_version_id) for row in found]
    return [(row, -1 if n is None else n) for row, n in zip(found, times, strict=True)]
