"""The JSON of statistics: keys are stable, instants ISO 8601 in UTC, spans in seconds."""

from __future__ import annotations

from bide.runtime.service.said_words import AttemptWord, BackfillWord, Id, Instant, RunWord, TaskWord
from bide.runtime.service.shapes import Interval, _Shape


class PathLink(_Shape, frozen=True):
    """One instance of the critical path: from the end that let it go to its own, and what it did in between.

    The spans add up to `seconds`, and the links' to the run's. `blocked_s`: not let go by a contract, or not
    made yet; `backoff_s`: waiting for its next try; `approval_s`: for a person.
    """

    task: str
    map_index: int
    state: TaskWord
    since: Instant
    until: Instant
    seconds: float
    attempts: int
    blocked_s: float = 0.0
    queued_s: float = 0.0
    deferred_s: float = 0.0
    running_s: float = 0.0
    backoff_s: float = 0.0
    approval_s: float = 0.0
    lost_s: float = 0.0


class AttemptStat(_Shape, frozen=True):
    """`queued_s`: it wanted a slot for so long; `slot_s`: it held one; `waited_s`: it went on without one."""

    task: str
    map_index: int
    attempt: int
    state: AttemptWord
    started_at: Instant
    ended_at: Instant | None
    seconds: float | None
    queued_s: float
    slot_s: float
    waited_s: float
    error: str | None


class RunStats(_Shape, frozen=True):
    """`seconds` since it was last set running; `attempts` are the longest, `upstream_failed` counts instances."""

    run_id: Id
    dag: str
    state: RunWord
    opened_at: Instant | None
    ended_at: Instant | None
    seconds: float
    path: tuple[PathLink, ...]
    slot_s: float
    queued_s: float
    upstream_failed: int
    attempts: tuple[AttemptStat, ...]


class Spread(_Shape, frozen=True):
    """Seconds: half of them took no longer than `p50`, 95 of a hundred no longer than `p95`."""

    p50: float
    p95: float
    longest: float


class TaskStats(_Shape, frozen=True):
    """A task over several runs. `slot` and `queued` are of attempts that are over, null when there are none."""

    task: str
    instances: int
    attempts: int
    failed_attempts: int
    lost_attempts: int
    upstream_failed: int
    slot: Spread | None
    queued: Spread | None
    slot_s: float
    queued_s: float
    waited_s: float


class DagStats(_Shape, frozen=True):
    """A DAG over its newest runs; `runs` is how many there were."""

    dag: str
    runs: int
    tasks: tuple[TaskStats, ...]


class DagSpan(_Shape, frozen=True):
    """How the newest runs of a DAG went."""

    dag: str
    runs: int
    success: int
    failed: int
    mean_s: float | None
    longest_s: float | None


class AssetStats(_Shape, frozen=True):
    """`age_s`: since the end of the newest visible interval. `late`: promises that were broken; `made_again`:
    versions beside the first of their interval. `rows` and checks are of the newest visible version.
    """

    asset: str
    owner: str
    version: str | None
    interval: Interval | None
    age_s: float | None
    next_due: Instant | None
    late: int
    stale: int
    made_again: int
    rows: float | None
    rows_before: float | None
    checks_passed: int
    checks_failed: int
    failed_checks: str | None


class BackfillStats(_Shape, frozen=True):
    """Intervals by state; `percent` of them are over."""

    id: Id
    dag: str
    state: BackfillWord
    intervals: int
    percent: float
    success: int
    failed: int
    running: int
    pending: int
    skipped: int
    cancelled: int
