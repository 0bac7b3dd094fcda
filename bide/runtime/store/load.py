"""What recovery reads: all unfinished work, as plain rows; and one finished run, for a rerun.

Rows are checked while they are read (types, and states against their enums), so that a damaged
row ends in one sentence and never in a world that cannot be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from bide.runtime.engine.states import OVER
from bide.runtime.errors import StoreLostError
from bide.runtime.store import plan_rows
from bide.runtime.store.approval_reads import open_approvals
from bide.runtime.store.bulk_reads import unfinished
from bide.runtime.store.delivery_rows import pending as pending_deliveries
from bide.runtime.store.last_ids import last_ids
from bide.runtime.store.rows import R, columns, rows
from bide.runtime.store.spreading import found_wrong
from bide.runtime.store.stale import STALE, StaleRow
from bide.runtime.store.version_rows import (
    ACCEPTED,
    OPEN_VERSIONS,
    SETTLED,
    AcceptedRow,
    OpenVersionRow,
    SettledRow,
)
from bide.runtime.store.world_rows import (
    ATTEMPT,
    BACKFILL,
    EXPANSION,
    INSTANCE,
    INTERVAL,
    RUN,
    VERSION,
    WAIT,
    AlarmRow,
    AssetRow,
    AttemptRow,
    BackfillRow,
    BudgetRow,
    ChoiceRow,
    ClosingRow,
    CodedRow,
    ContractRow,
    CursorRow,
    DagRow,
    DeclaredRow,
    ExpansionRow,
    ExpectedRow,
    GateRow,
    InstanceRow,
    IntervalCount,
    IntervalRow,
    MarkRow,
    PendingRow,
    ProcessRow,
    RunRow,
    RunRows,
    StandingMarkRow,
    StandingRow,
    VersionRow,
    WaitRow,
    WorldRows,
)

_OVER: Final = ", ".join(f"'{state}'" for state in sorted(OVER))
_UNFINISHED: Final = "SELECT run_id FROM run WHERE ended_us IS NULL"
_BACKFILLING: Final = "SELECT backfill_id FROM backfill WHERE ended_us IS NULL"
_INSTANCE_OF: Final = "SELECT instance_id FROM task_instance WHERE instance_id = ?"

# Graphs and what has been declared
_DAGS: Final = f"SELECT {columns(DagRow)} FROM dag ORDER BY dag_id"
_VERSIONS: Final = (
    f"SELECT {VERSION} FROM dag_version WHERE version_id IN (SELECT version_id FROM dag"
    " UNION SELECT version_id FROM run WHERE ended_us IS NULL) ORDER BY version_id"
)
_CODED: Final = (
    "SELECT c.dag_id, c.version_id, coalesce(c.source, ''), c.file FROM dag d JOIN dag_code c"
    " ON c.code_id = (SELECT max(n.code_id) FROM dag_code n WHERE n.dag_id = d.dag_id) ORDER BY c.dag_id"
)
_STANDING: Final = f"SELECT {columns(StandingRow)} FROM standing WHERE ended_us IS NULL ORDER BY standing_id"
_STANDING_MARKS: Final = "SELECT standing_id, name, mark FROM standing_mark JOIN standing USING (standing_id) WHERE ended_us IS NULL"
_DECLARED: Final = "SELECT name, spec FROM asset WHERE spec <> '{}' ORDER BY asset_id"
_CONTRACTS: Final = f"SELECT {columns(ContractRow)} FROM contract WHERE ended_us IS NULL ORDER BY contract_id"
_GATES: Final = f"SELECT {columns(GateRow)} FROM gate WHERE ended_us IS NULL ORDER BY gate_id"

# Runs that are not over
_RUNS: Final = f"SELECT {RUN} FROM run WHERE ended_us IS NULL ORDER BY run_id"
_INSTANCES: Final = (
    f"SELECT {INSTANCE} FROM task_instance i WHERE i.run_id IN ({_UNFINISHED}) ORDER BY i.instance_id"
)
_EXPANSIONS: Final = (
    f"SELECT {EXPANSION} FROM expansion e JOIN task_instance i USING (instance_id)"
    f" WHERE i.run_id IN ({_UNFINISHED})"
)
_ATTEMPTS: Final = (
    f"SELECT {ATTEMPT} FROM task_instance i JOIN attempt a ON a.instance_id = i.instance_id"
    f" WHERE i.run_id IN ({_UNFINISHED})"
    f" AND (a.state = 'running' OR a.attempt_id = i.attempt_id AND i.state NOT IN ({_OVER}))"
    " ORDER BY a.attempt_id"
)
_PROCESSES: Final = f"SELECT {columns(ProcessRow)} FROM process ORDER BY attempt_id"
_WAITS: Final = f"SELECT {WAIT} FROM wait WHERE state = 'open' ORDER BY wait_id"
_CLOSING: Final = "SELECT run_id, reason FROM closing ORDER BY run_id"
_MARKS: Final = f"SELECT {columns(MarkRow)} FROM watermark WHERE end_us IS NOT NULL ORDER BY dag_id, task"

# What is promised, and what may be spent
_ALARMS: Final = f"SELECT {columns(AlarmRow)} FROM alarm ORDER BY kind, subject_id"
_EXPECTED: Final = (
    "SELECT dag_id, name, start_us, end_us, fires_us, due_us, said FROM expected JOIN asset USING (asset_id)"
    " ORDER BY dag_id, asset_id"
)
_BUDGETS: Final = "SELECT name, since_us, spent, by_backfills FROM budget"

# Versions of assets, and who has not been given them
_ASSETS: Final = (
    "SELECT asset_id, name, coalesce((SELECT asset_version_id FROM asset_version v WHERE v.asset_id = a.asset_id"
    " AND v.quiet = 0 AND v.state IN ('published', 'stale', 'degraded', 'superseded', 'invalidated')"
    " ORDER BY asset_version_id DESC LIMIT 1), 0) FROM asset a ORDER BY asset_id"
)
_CURSORS: Final = f"SELECT {columns(CursorRow)} FROM asset_cursor ORDER BY dag_id, asset_id"
_PENDING: Final = (
    "SELECT p.dag_id, p.asset_version_id, a.name, v.start_us, v.end_us, p.part_us, p.again FROM asset_pending p"
    " JOIN asset_version v USING (asset_version_id) JOIN asset a USING (asset_id)"
    " ORDER BY p.dag_id, p.asset_version_id, p.part_us, p.again"
)

# Backfills that go on
_BACKFILLS: Final = f"SELECT {BACKFILL} FROM backfill WHERE ended_us IS NULL ORDER BY backfill_id"
_INTERVALS: Final = (
    f"SELECT {INTERVAL} FROM backfill_interval WHERE backfill_id IN ({_BACKFILLING})"
    " AND state IN ('pending', 'running') ORDER BY backfill_id, place"
)
_INTERVAL_COUNTS: Final = (
    f"SELECT backfill_id, state, count(*) FROM backfill_interval WHERE backfill_id IN ({_BACKFILLING})"
    " AND state NOT IN ('pending', 'running') GROUP BY backfill_id, state"
)


def load_world(conn: sqlite3.Connection) -> WorldRows:
    """Everything that is not over, in id order. Cost is that of unfinished work.

    To be called on the writer's connection, or within one transaction: it is several statements.
    """
    world = WorldRows(
        dags=rows(conn, DagRow, _DAGS),
        standing=rows(conn, StandingRow, _STANDING),
        standing_marks=rows(conn, StandingMarkRow, _STANDING_MARKS),
        versions=rows(conn, VersionRow, _VERSIONS),
        runs=rows(conn, RunRow, _RUNS),
        instances=rows(conn, InstanceRow, _INSTANCES),
        expansions=rows(conn, ExpansionRow, _EXPANSIONS),
        attempts=rows(conn, AttemptRow, _ATTEMPTS),
        processes=rows(conn, ProcessRow, _PROCESSES),
        waits=rows(conn, WaitRow, _WAITS),
        alarms=rows(conn, AlarmRow, _ALARMS),
        expected=rows(conn, ExpectedRow, _EXPECTED),
        marks=rows(conn, MarkRow, _MARKS),
        last=last_ids(conn),
        bulks=unfinished(conn),
        epoch=meta(conn, "epoch"),
        batch=meta(conn, "batch"),
        choices=_choices(conn, _UNFINISHED),
        coded=rows(conn, CodedRow, _CODED),
        closing=rows(conn, ClosingRow, _CLOSING),
        assets=rows(conn, AssetRow, _ASSETS),
        open_versions=rows(conn, OpenVersionRow, OPEN_VERSIONS),
        settled_versions=rows(conn, SettledRow, SETTLED),
        accepted=rows(conn, AcceptedRow, ACCEPTED),
        declared=rows(conn, DeclaredRow, _DECLARED),
        contracts=rows(conn, ContractRow, _CONTRACTS),
        gates=rows(conn, GateRow, _GATES),
        wrong=found_wrong(conn),
        stale=rows(conn, StaleRow, STALE),
        cursors=rows(conn, CursorRow, _CURSORS),
        pending=rows(conn, PendingRow, _PENDING),
        backfills=rows(conn, BackfillRow, _BACKFILLS),
        intervals=rows(conn, IntervalRow, _INTERVALS),
        interval_counts=rows(conn, IntervalCount, _INTERVAL_COUNTS),
        plans=plan_rows.running(conn),
        plan_steps=plan_rows.running_steps(conn),
        budgets=rows(conn, BudgetRow, _BUDGETS),
        approvals=open_approvals(conn),
        deliveries=pending_deliveries(conn),
    )
    _whole(conn, world)
    return world


def _whole(conn: sqlite3.Connection, world: WorldRows) -> None:
    """Refuse a world with rows that belong to nothing, and leave out waits of runs that are over."""
    versions = {row.version_id for row in world.versions}
    _belongs("run", "graph", world.runs, lambda run: run.version_id, versions)
    known = {row.instance_id for row in world.instances}
    _belongs("attempt", "instance", world.attempts, lambda attempt: attempt.instance_id, known)
    lone = [wait for wait in world.waits if wait.instance_id not in known]
    if lone:  # of a run that is over: nobody waits for it any more, and `db check` names it
        over = {found for wait in lone for (found,) in conn.execute(_INSTANCE_OF, (wait.instance_id,))}
        _belongs("wait", "instance", lone, lambda wait: wait.instance_id, over)
        world.waits[:] = [wait for wait in world.waits if wait.instance_id in known]


def _belongs(what: str, owner: str, found: list[R], of: Callable[[R], int], known: set[int]) -> None:
    """Refuse a row whose owner is gone: the foreign keys hold, so the file was damaged."""
    lone = [of(row) for row in found if of(row) not in known]
    if lone:
        raise StoreLostError(
            f"{len(lone)} rows of the {what}s belong to the unknown {owner} {lone[0]}: the database is damaged; "
            "`bide doctor` names them; put a backup of the database back"
        )


def load_run(conn: sqlite3.Connection, run_id: int) -> RunRows | None:
    """One run with all that a rerun of it needs; None when there is no such run, or it is being removed."""
    gone = "run_id NOT IN (SELECT run_id FROM pruning)"
    found = rows(conn, RunRow, f"SELECT {RUN} FROM run WHERE run_id = ? AND {gone}", (run_id,))
    if not found:
        return None
    run = found[0]
    one = (run_id,)
    versions = rows(
        conn, VersionRow, f"SELECT {VERSION} FROM dag_version WHERE version_id = ?", (run.version_id,)
    )
    _belongs("run", "graph", found, lambda run: run.version_id, {row.version_id for row in versions})
    return RunRows(
        run=run,
        version=versions[0],
        instances=rows(
            conn,
            InstanceRow,
            f"SELECT {INSTANCE} FROM task_instance i WHERE i.run_id = ? ORDER BY i.instance_id",
            one,
        ),
        expansions=rows(
            conn,
            ExpansionRow,
            f"SELECT {EXPANSION} FROM expansion e JOIN task_instance i USING (instance_id) WHERE i.run_id = ?",
            one,
        ),
        attempts=rows(
            conn,
            AttemptRow,
            f"SELECT {ATTEMPT} FROM task_instance i JOIN attempt a ON a.attempt_id = i.attempt_id"
            " WHERE i.run_id = ? ORDER BY a.attempt_id",
            one,
        ),
        waits=rows(
            conn,
            WaitRow,
            f"SELECT {WAIT} FROM wait WHERE state = 'open' AND instance_id IN"
            " (SELECT instance_id FROM task_instance WHERE run_id = ?) ORDER BY wait_id",
            one,
        ),
        choices=_choices(conn, "?", one),
    )


def _choices(conn: sqlite3.Connection, runs: str, values: tuple[Any, ...] = ()) -> list[ChoiceRow]:
    sql = (
        "SELECT i.run_id, i.task, c.chosen FROM choice c JOIN task_instance i USING (instance_id)"
        f" WHERE i.run_id IN ({runs}) ORDER BY instance_id"
    )
    return rows(conn, ChoiceRow, sql, values)


def meta(conn: sqlite3.Connection, key: str) -> int:
    """A counter of the table `meta`: `epoch` or `batch`."""
    found = conn.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if found is None or not isinstance(found[0], int):
        raise StoreLostError(f"the database has lost its {key}: put a backup of it back")
    return found[0]
