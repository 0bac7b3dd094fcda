"""The JSON of backfills: what is asked for, the plan of it, its progress. Keys are stable."""

from __future__ import annotations

from typing import Any

import msgspec

from bide.runtime.service.said_words import BackfillWord, Id, Instant, IntervalWord, RunWord
from bide.runtime.service.shapes import Detail, Interval


class BackfillRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backfill is to be. Dates are read in the DAG's zone; `[from, to)` holds where intervals begin.

    `every`: the periods of a DAG whose schedule has none of its own. `max_active`: runs at once,
    the DAG's `max_active_runs` when it is left out. `overwrite`: skip, overwrite or fail.
    """

    dag: str
    from_: str = msgspec.field(name="from")
    to: str
    every: str | None = None
    order: str = "oldest"
    max_active: int | None = None
    overwrite: str = "skip"
    weight: int = 1
    tasks: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    asset_caps: dict[str, int] = {}


class PlannedInterval(msgspec.Struct, frozen=True, kw_only=True):
    """`what`: run, overwrite (a run beside the one there is), skip, refuse. `run_id`, `state`: what is there."""

    start: Instant
    end: Instant
    what: str
    run_id: Id | None = None
    state: RunWord | None = None


class PlannedTask(msgspec.Struct, frozen=True, kw_only=True):
    """`command` and `waits_for` are those of the first interval."""

    task: str
    lane: str
    outlets: tuple[str, ...] = ()
    cost: dict[str, float] = {}
    command: str | None = None
    waits_for: dict[str, str] | None = None


class PlannedPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path that the backfill writes. `run_id`: the run that wrote it before; null: none is recorded."""

    path: str
    task: str
    interval: str
    run_id: Id | None


class BackfillPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill would do. `hash` names it: a start with that hash does this, or nothing.

    `cost` and `seconds` are for all of it, `seconds` from the last runs that succeeded; null: there are none.
    """

    hash: str
    request: BackfillRequest
    max_active: int
    runs: int
    counts: dict[str, int]
    tasks: tuple[PlannedTask, ...]
    task_instances: int
    assets: tuple[str, ...]
    overwrites: tuple[PlannedPath, ...]
    cost: dict[str, float]
    seconds: float | None
    notes: tuple[str, ...]
    intervals: tuple[PlannedInterval, ...]


class BackfillStarted(msgspec.Struct, frozen=True, kw_only=True):
    backfill_id: Id
    intervals: int
    skipped: int


class BackfillLine(msgspec.Struct, frozen=True, kw_only=True):
    """`done` of `intervals` have ended, in whatever state."""

    backfill_id: Id
    dag: str
    state: BackfillWord
    intervals: int
    done: int
    counts: dict[str, int]
    created_at: Instant
    ended_at: Instant | None
    reason: str


class BackfillInterval(msgspec.Struct, frozen=True, kw_only=True):
    interval: Interval
    state: IntervalWord
    run_id: Id | None
    run_state: RunWord | None
    started_at: Instant | None
    ended_at: Instant | None
    reason: str


class IntervalLine(BackfillInterval, frozen=True, kw_only=True):
    """One interval of a backfill; `place` is where it stands in the backfill's order, from 0."""

    place: str


class BackfillProgress(msgspec.Struct, frozen=True, kw_only=True):
    """`intervals` has a letter for each interval, in the backfill's order; `letters` says what they mean.

    `starts`: when each of them begins, null when it was not asked for.
    """

    backfill_id: Id
    letters: dict[str, IntervalWord]
    intervals: str
    starts: tuple[Instant, ...] | None


class BackfillShown(msgspec.Struct, frozen=True, kw_only=True):
    """`why` says why it stands where it does, `next` what comes; `ends_at` is an estimate, null: not known."""

    backfill_id: Id
    dag: str
    state: BackfillWord
    why: str
    next: str | None
    details: tuple[Detail, ...]
    order: str
    max_active: int
    overwrite: str
    weight: int
    tasks: tuple[str, ...]
    params: dict[str, Any]
    plan_hash: str
    counts: dict[str, int]
    done: int
    total: int
    percent: float
    ends_at: Instant | None
    created_at: Instant
    ended_at: Instant | None
    intervals: tuple[IntervalLine, ...]
