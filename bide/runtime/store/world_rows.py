"""The shapes of what recovery reads: a row of each table, the whole unfinished work, one run with all that is in it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from bide.runtime.engine.states import AttemptState, BackfillState, IntervalState, RunState, State, WaitState
from bide.runtime.store import plan_rows
from bide.runtime.store.approval_reads import ApprovalRow
from bide.runtime.store.delivery_rows import PendingRow as DeliveryRow
from bide.runtime.store.last_ids import LastIds
from bide.runtime.store.rows import _Row, columns
from bide.runtime.store.spreading import FoundWrong
from bide.runtime.store.stale import StaleRow
from bide.runtime.store.version_rows import AcceptedRow, OpenVersionRow, SettledRow


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


class CodedRow(_Row, frozen=True):
    """What a DAG was loaded with last; `source` is the hash of the text, "" where none came with it."""

    dag_id: int
    version_id: int
    source: str
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
    coded: list[CodedRow] = []
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


VERSION: Final = columns(VersionRow)
RUN: Final = columns(RunRow)
INSTANCE: Final = columns(InstanceRow, "i")
EXPANSION: Final = columns(ExpansionRow, "e")
ATTEMPT: Final = columns(AttemptRow, "a")
WAIT: Final = columns(WaitRow)
BACKFILL: Final = columns(BackfillRow)
INTERVAL: Final = columns(IntervalRow)
"""The columns of what is read in more than one place, in the order of the fields."""
