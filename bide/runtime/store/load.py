"""What recovery reads: all unfinished work, as plain rows; and one finished run, for a rerun.

Rows are checked while they are read (types, and states against their enums), so that a damaged
row ends in one sentence and never in a world that cannot be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from bide.runtime.engine.states import (
    OVER,
    AttemptState,
    BackfillState,
    IntervalState,
    RunState,
    State,
    WaitState,
)
from bide.runtime.errors import StoreLostError
from bide.runtime.store import plan_rows
from bide.runtime.store.approval_reads import ApprovalRow, open_approvals
from bide.runtime.store.bulk_reads import unfinished
from bide.runtime.store.delivery_rows import PendingRow as DeliveryRow
from bide.runtime.store.delivery_rows import pending as pending_deliveries
from bide.runtime.store.last_ids import LastIds, last_ids
from bide.runtime.store.rows import R, _Row, rows
from bide.runtime.store.spreading import FoundWrong, found_wrong
from bide.runtime.store.stale import STALE, StaleRow
from bide.runtime.store.version_rows import (
    ACCEPTED,
    OPEN_VERSIONS,
    SETTLED,
    AcceptedRow,
    OpenVersionRow,
    SettledRow,
)


class DagRow(_Row, frozen=True):
    dag_id: int
    name: str
    version_id: int | None
    schedule: str
    options: str
    paused: int
    removed: int
    anchor_us: int | None
    watermark_us: int | None
    next_fires_us: int | None
    backlog: str
    file: str


class StandingRow(_Row, frozen=True):
    """A trigger of a schedule, waited for without a run."""

    standing_id: int
    dag_id: int
    kind: str
    trigger: str
    poll_us: int
    since_us: int
    firings: int
    fired_us: int | None
    event_key: str


class StandingMarkRow(_Row, frozen=True):
    """One thing that was in an event of a schedule, and what it was like then."""

    standing_id: int
    name: str
    mark: str


class VersionRow(_Row, frozen=True):
    version_id: int
    dag_id: int
    hash: str
    spec: str


class RunRow(_Row, frozen=True):
    run_id: int
    dag_id: int
    version_id: int
    state: RunState
    kind: str
    run_key: str
    logical_us: int
    start_us: int
    end_us: int
    scheduled_us: int
    params: str
    created_us: int
    started_us: int | None
    ended_us: int | None
    deadline_us: int | None
    reason: str


class InstanceRow(_Row, frozen=True):
    instance_id: int
    run_id: int
    task: str
    map_index: int
    state: State
    attempt: int
    failures: int
    lost: int
    attempt_id: int | None
    since_us: int
    due_us: int | None
    deadline_us: int | None
    reason: str


class ExpansionRow(_Row, frozen=True):
    """How far a mapped task has become its instances; `instance_id` is that of its summary."""

    instance_id: int
    items: int
    made: int
    keeps: int


class AttemptRow(_Row, frozen=True):
    attempt_id: int
    instance_id: int
    number: int
    state: AttemptState
    epoch: int
    started_us: int
    ended_us: int | None
    active_us: int
    error: str | None
    metrics: str | None


class ProcessRow(_Row, frozen=True):
    """What an attempt had started, and nobody has seen the end of."""

    attempt_id: int
    pid: int
    started: int
    boot_id: str


class WaitRow(_Row, frozen=True):
    wait_id: int
    instance_id: int
    attempt_id: int
    key: str
    kind: str
    trigger: str
    state: WaitState
    created_us: int
    deadline_us: int
    poll_us: int


class ChoiceRow(_Row, frozen=True):
    """What a branch chose: JSON of names right downstream; null: nothing below it runs."""

    run_id: int
    task: str
    chosen: str


class AlarmRow(_Row, frozen=True):
    kind: Literal["run", "task"]
    subject_id: int
    due_us: int
    span_us: int
    said: str


class ExpectedRow(_Row, frozen=True):
    dag_id: int
    asset: str
    start_us: int
    end_us: int
    fires_us: int
    due_us: int
    said: str


class MarkRow(_Row, frozen=True):
    """Which interval a task's watermark is of."""

    dag_id: int
    task: str
    end_us: int


class AssetRow(_Row, frozen=True):
    """An asset with the newest version that consumers were told of, 0 when there is none."""

    asset_id: int
    name: str
    last: int


class DeclaredRow(_Row, frozen=True):
    """What is declared of an asset, JSON."""

    name: str
    spec: str


class ContractRow(_Row, frozen=True):
    """A contract in force; `spec` is JSON."""

    contract_id: int
    spec: str
    source: str


class GateRow(_Row, frozen=True):
    gate_id: int
    spec: str
    source: str


class CursorRow(_Row, frozen=True):
    dag_id: int
    asset_id: int
    asset_version_id: int
    split_us: int | None


class PendingRow(_Row, frozen=True):
    """A version, or a period of one, that a consumer has before it."""

    dag_id: int
    asset_version_id: int
    asset: str
    start_us: int
    end_us: int
    part_us: int
    again: int


class BackfillRow(_Row, frozen=True):
    backfill_id: int
    dag_id: int
    state: BackfillState
    options: str
    plan_hash: str
    created_us: int
    ended_us: int | None
    reason: str


class IntervalRow(_Row, frozen=True):
    backfill_id: int
    place: int
    fires_us: int
    start_us: int
    end_us: int
    state: IntervalState
    run_id: int | None
    reason: str


class IntervalCount(_Row, frozen=True):
    backfill_id: int
    state: IntervalState
    n: int


class BudgetRow(_Row, frozen=True):
    name: str
    since_us: int
    spent: float
    by_backfills: float


class ClosingRow(_Row, frozen=True):
    """A run that was cancelled, and whose tear-downs go on."""

    run_id: int
    reason: str


class WorldRows(msgspec.Struct, frozen=True):
    """Unfinished runs with ALL their instances, the newest versions and those in use, open waits."""

    dags: list[DagRow]
    standing: list[StandingRow]
    standing_marks: list[StandingMarkRow]
    versions: list[VersionRow]
    runs: list[RunRow]
    instances: list[InstanceRow]
    expansions: list[ExpansionRow]
    attempts: list[AttemptRow]
    """The current ones of instances that are not over, and any that still is `running`."""
    processes: list[ProcessRow]
    waits: list[WaitRow]
    alarms: list[AlarmRow]
    expected: list[ExpectedRow]
    marks: list[MarkRow]
    last: LastIds
    epoch: int
    batch: int
    choices: list[ChoiceRow] = []
    closing: list[ClosingRow] = []
    assets: list[AssetRow] = []
    open_versions: list[OpenVersionRow] = []
    settled_versions: list[SettledRow] = []
    accepted: list[AcceptedRow] = []
    declared: list[DeclaredRow] = []
    contracts: list[ContractRow] = []
    gates: list[GateRow] = []
    stale: list[StaleRow] = []
    wrong: FoundWrong = FoundWrong()
    cursors: list[CursorRow] = []
    pending: list[PendingRow] = []
    backfills: list[BackfillRow] = []
    """Unfinished."""
    intervals: list[IntervalRow] = []
    """Of those, what has not ended, in order."""
    interval_counts: list[IntervalCount] = []
    """Of those, what has ended, by state."""
    budgets: list[BudgetRow] = []
    plans: list[plan_rows.PlanRow] = []
    """Those that run."""
    plan_steps: list[plan_rows.StepRow] = []
    """Of those, all."""
    approvals: list[ApprovalRow] = []
    """Open."""
    deliveries: list[DeliveryRow] = []
    """Pending."""
    bulks: list[int] = []
    """Actions on many that go on."""


class RunRows(msgspec.Struct, frozen=True):
    """One run, over or not: its graph, instances, the last attempt of each, open waits."""

    run: RunRow
    version: VersionRow
    instances: list[InstanceRow]
    expansions: list[ExpansionRow]
    attempts: list[AttemptRow]
    waits: list[WaitRow]
    choices: list[ChoiceRow] = []


DAG: Final = ", ".join(DagRow.__struct_fields__)
STANDING: Final = ", ".join(StandingRow.__struct_fields__)
VERSION: Final = ", ".join(VersionRow.__struct_fields__)
RUN: Final = ", ".join(RunRow.__struct_fields__)
INSTANCE: Final = ", ".join(f"i.{name}" for name in InstanceRow.__struct_fields__)
EXPANSION: Final = ", ".join(f"e.{name}" for name in ExpansionRow.__struct_fields__)
ATTEMPT: Final = ", ".join(f"a.{name}" for name in AttemptRow.__struct_fields__)
PROCESS: Final = ", ".join(ProcessRow.__struct_fields__)
WAIT: Final = ", ".join(WaitRow.__struct_fields__)
ALARM: Final = ", ".join(AlarmRow.__struct_fields__)
MARK: Final = ", ".join(MarkRow.__struct_fields__)
CONTRACT: Final = ", ".join(ContractRow.__struct_fields__)
GATE: Final = ", ".join(GateRow.__struct_fields__)
CURSOR: Final = ", ".join(CursorRow.__struct_fields__)
ASSETS: Final = (
    "SELECT asset_id, name, coalesce((SELECT asset_version_id FROM asset_version v WHERE v.asset_id = a.asset_id"
    " AND v.quiet = 0 AND v.state IN ('published', 'stale', 'degraded', 'superseded', 'invalidated')"
    " ORDER BY asset_version_id DESC LIMIT 1), 0) FROM asset a ORDER BY asset_id"
)
PENDING: Final = (
    "SELECT p.dag_id, p.asset_version_id, a.name, v.start_us, v.end_us, p.part_us, p.again FROM asset_pending p"
    " JOIN asset_version v USING (asset_version_id) JOIN asset a USING (asset_id)"
    " ORDER BY p.dag_id, p.asset_version_id, p.part_us, p.again"
)
BACKFILL: Final = ", ".join(BackfillRow.__struct_fields__)
INTERVAL: Final = ", ".join(IntervalRow.__struct_fields__)
_BACKFILLING: Final = "SELECT backfill_id FROM backfill WHERE ended_us IS NULL"
_OVER: Final = ", ".join(f"'{state}'" for state in sorted(OVER))
_INSTANCE_OF: Final = "SELECT instance_id FROM task_instance WHERE instance_id = ?"
_UNFINISHED: Final = "SELECT run_id FROM run WHERE ended_us IS NULL"


def load_world(conn: sqlite3.Connection) -> WorldRows:
    """Everything that is not over, in id order. Cost is that of unfinished work.

    To be called on the writer's connection, or within one transaction: it is several statements.
    """
    waits = rows(conn, WaitRow, f"SELECT {WAIT} FROM wait WHERE state = 'open' ORDER BY wait_id")
    world = WorldRows(
        dags=rows(conn, DagRow, f"SELECT {DAG} FROM dag ORDER BY dag_id"),
        standing=rows(
            conn, StandingRow, f"SELECT {STANDING} FROM standing WHERE ended_us IS NULL ORDER BY standing_id"
        ),
        standing_marks=rows(
            conn,
            StandingMarkRow,
            "SELECT standing_id, name, mark FROM standing_mark JOIN standing USING (standing_id)"
            " WHERE ended_us IS NULL",
        ),
        versions=rows(
            conn,
            VersionRow,
            f"SELECT {VERSION} FROM dag_version WHERE version_id IN (SELECT version_id FROM dag"
            " UNION SELECT version_id FROM run WHERE ended_us IS NULL) ORDER BY version_id",
        ),
        runs=rows(conn, RunRow, f"SELECT {RUN} FROM run WHERE ended_us IS NULL ORDER BY run_id"),
        instances=rows(
            conn,
            InstanceRow,
            f"SELECT {INSTANCE} FROM task_instance i WHERE i.run_id IN ({_UNFINISHED}) ORDER BY i.instance_id",
        ),
        expansions=rows(
            conn,
            ExpansionRow,
            f"SELECT {EXPANSION} FROM expansion e JOIN task_instance i USING (instance_id)"
            f" WHERE i.run_id IN ({_UNFINISHED})",
        ),
        attempts=rows(
            conn,
            AttemptRow,
            f"SELECT {ATTEMPT} FROM task_instance i JOIN attempt a ON a.instance_id = i.instance_id"
            f" WHERE i.run_id IN ({_UNFINISHED})"
            f" AND (a.state = 'running' OR a.attempt_id = i.attempt_id AND i.state NOT IN ({_OVER}))"
            " ORDER BY a.attempt_id",
        ),
        processes=rows(
            conn,
            ProcessRow,
            f"SELECT {PROCESS} FROM process ORDER BY attempt_id",
        ),
        waits=waits,
        alarms=rows(conn, AlarmRow, f"SELECT {ALARM} FROM alarm ORDER BY kind, subject_id"),
        expected=rows(
            conn,
            ExpectedRow,
            "SELECT dag_id, name, start_us, end_us, fires_us, due_us, said FROM expected JOIN asset USING (asset_id)"
            " ORDER BY dag_id, asset_id",
        ),
        marks=rows(
            conn, MarkRow, f"SELECT {MARK} FROM watermark WHERE end_us IS NOT NULL ORDER BY dag_id, task"
        ),
        last=last_ids(conn),
        bulks=unfinished(conn),
        epoch=meta(conn, "epoch"),
        batch=meta(conn, "batch"),
        choices=_choices(conn, _UNFINISHED),
        closing=rows(conn, ClosingRow, "SELECT run_id, reason FROM closing ORDER BY run_id"),
        assets=rows(conn, AssetRow, ASSETS),
        open_versions=rows(conn, OpenVersionRow, OPEN_VERSIONS),
        settled_versions=rows(conn, SettledRow, SETTLED),
        accepted=rows(conn, AcceptedRow, ACCEPTED),
        declared=rows(conn, DeclaredRow, "SELECT name, spec FROM asset WHERE spec <> '{}' ORDER BY asset_id"),
        contracts=rows(
            conn, ContractRow, f"SELECT {CONTRACT} FROM contract WHERE ended_us IS NULL ORDER BY contract_id"
        ),
        gates=rows(conn, GateRow, f"SELECT {GATE} FROM gate WHERE ended_us IS NULL ORDER BY gate_id"),
        wrong=found_wrong(conn),
        stale=rows(conn, StaleRow, STALE),
        cursors=rows(conn, CursorRow, f"SELECT {CURSOR} FROM asset_cursor ORDER BY dag_id, asset_id"),
        pending=rows(conn, PendingRow, PENDING),
        backfills=rows(
            conn, BackfillRow, f"SELECT {BACKFILL} FROM backfill WHERE ended_us IS NULL ORDER BY backfill_id"
        ),
        intervals=rows(
            conn,
            IntervalRow,
            f"SELECT {INTERVAL} FROM backfill_interval WHERE backfill_id IN ({_BACKFILLING})"
            " AND state IN ('pending', 'running') ORDER BY backfill_id, place",
        ),
        interval_counts=rows(
            conn,
            IntervalCount,
            f"SELECT backfill_id, state, count(*) FROM backfill_interval WHERE backfill_id IN ({_BACKFILLING})"
            " AND state NOT IN ('pending', 'running') GROUP BY backfill_id, state",
        ),
        plans=plan_rows.running(conn),
        plan_steps=plan_rows.running_steps(conn),
        budgets=rows(conn, BudgetRow, "SELECT name, since_us, spent, by_backfills FROM budget"),
        approvals=open_approvals(conn),
        deliveries=pending_deliveries(conn),
    )
    _belongs(
        "run", "graph", world.runs, lambda run: run.version_id, {row.version_id for row in world.versions}
    )
    known = {row.instance_id for row in world.instances}
    _belongs("attempt", "instance", world.attempts, lambda attempt: attempt.instance_id, known)
    lone = [wait for wait in waits if wait.instance_id not in known]
    if lone:  # of a run that is over: nobody waits for it any more, and `db check` names it
        over = {found for wait in lone for (found,) in conn.execute(_INSTANCE_OF, (wait.instance_id,))}
        _belongs("wait", "instance", lone, lambda wait: wait.instance_id, over)
        waits[:] = [wait for wait in waits if wait.instance_id in known]
    return world


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
