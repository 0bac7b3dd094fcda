"""The states of runs, task instances, attempts and waits, and every legal way between them.

An edge that is not in these tables is a bug: it raises `IllegalMove`, and the batch it stands in
is decided again, one input at a time, without the culprit.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class RunState(StrEnum):
    """A DAG run."""

    EXPANDING = "expanding"  # a large run whose instances are still being written
    QUEUED = "queued"  # waits for a place among `max_active_runs`
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class State(StrEnum):
    """A task instance."""

    PENDING = "pending"  # an upstream is open
    READY = "ready"  # wants a slot, or its trigger to be built
    RUNNING = "running"  # an attempt holds a slot
    DEFERRED = "deferred"  # waits for the world: a row, no slot
    MAPPED = "mapped"  # stands for its instances, one an item of its list
    UP_FOR_RETRY = "up_for_retry"  # failed; its next attempt is due at an instant
    AWAITING_APPROVAL = "awaiting_approval"  # waits for a person
    BLOCKED = "blocked"  # a contract said no
    LOST = "lost"  # its process died and it must not be started again unasked
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """One try. A sensor's wait is an attempt as well: it owns the log of the waiting."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    LOST = "lost"
    CANCELLED = "cancelled"


class WaitState(StrEnum):
    """One wait for the world."""

    OPEN = "open"
    FIRED = "fired"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class BackfillState(StrEnum):
    """A backfill."""

    RUNNING = "running"
    PAUSED = "paused"  # nothing of it starts; what goes, goes on
    SUCCESS = "success"  # every interval has ended, none badly
    FAILED = "failed"  # every interval has ended, some of them failed or were cancelled
    CANCELLED = "cancelled"


class IntervalState(StrEnum):
    """One interval of a backfill."""

    PENDING = "pending"  # has no run yet, or is to be taken up again
    RUNNING = "running"  # its run is not over
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # it has a run of its own, which is kept


class PlanState(StrEnum):
    """A rerun plan."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    PUBLISHED = "published"  # all that it made is seen, and what had left is corrected
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """A step of a rerun plan."""

    PENDING = "pending"
    RUNNING = "running"  # its run is not over
    STAGED = "staged"  # what it made waits for the others
    PUBLISHED = "published"  # it is seen; of a correction: it has left
    FAILED = "failed"
    SKIPPED = "skipped"  # the plan ended before, or what it follows from failed


class ApprovalKind(StrEnum):
    """What a person is asked for, and so what `subject_id` of an approval is."""

    TASK = "task"  # an `approval(...)` of a graph: its instance
    CONTRACT = "contract"  # a contract wants a person before a task begins: its instance
    EFFECT = "effect"  # before something leaves the platform: the instance of the effect
    PUBLICATION = "publication"  # a contract wants a person before a version is seen: the version
    DEGRADED = "degraded"  # a version is to be seen with its limitations: the version
    PLAN = "plan"  # a rerun plan: the plan


class DeliveryState(StrEnum):
    """A delivery in the ledger of external effects."""

    PENDING = "pending"  # it may be under way: written before its body begins
    DELIVERED = "delivered"
    FAILED = "failed"  # nobody knows that it was delivered
    SUPERSEDED = "superseded"  # a later one took its place
    CORRECTED = "corrected"  # a later one corrects it


class ApprovalState(StrEnum):
    """An approval. Whatever is not approved is denied."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"  # nobody decided in time: denied
    WITHDRAWN = "withdrawn"  # what was asked for is no longer wanted


OVER: Final = frozenset({State.SUCCESS, State.FAILED, State.SKIPPED, State.UPSTREAM_FAILED, State.CANCELLED})
MARKS: Final = (State.SUCCESS, State.FAILED, State.SKIPPED)
"""What a person may say that a task is."""
RUN_OVER: Final = frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED})

_ENDS: Final = frozenset({State.SUCCESS, State.FAILED, State.SKIPPED, State.UPSTREAM_FAILED, State.CANCELLED})
_MARKS: Final = frozenset({State.SUCCESS, State.FAILED, State.SKIPPED, State.CANCELLED})

LEGAL: Final[dict[State, frozenset[State]]] = {
    # upstreams decide, then contracts; a person may mark; a run may be cancelled
    State.PENDING: frozenset(
        {State.READY, State.UPSTREAM_FAILED, State.BLOCKED, State.AWAITING_APPROVAL, *_MARKS}
    ),
    # admitted; a sensor that needs no slot defers; a trigger that cannot be built fails or is retried;
    # a mapped task becomes its instances; an approval asks its people
    State.READY: frozenset(
        {
            State.RUNNING,
            State.DEFERRED,
            State.MAPPED,
            State.UP_FOR_RETRY,
            State.LOST,
            State.AWAITING_APPROVAL,
            *_MARKS,
        }
    ),
    # its instances have ended
    State.MAPPED: _MARKS,
    # the body ends, waits, or is lost; lost and idempotent, or failed without a delay: ready again
    State.RUNNING: frozenset(
        {State.DEFERRED, State.UP_FOR_RETRY, State.READY, State.LOST, State.AWAITING_APPROVAL, *_MARKS}
    ),
    # the wait ends: a sensor is done at once, a body wants its slot back
    State.DEFERRED: frozenset({State.READY, State.UP_FOR_RETRY, State.LOST, *_MARKS}),
    # an effect whose inputs were found wrong asks its contracts once more
    State.UP_FOR_RETRY: frozenset({State.READY, State.BLOCKED, State.AWAITING_APPROVAL, *_MARKS}),
    State.AWAITING_APPROVAL: frozenset({State.READY, State.RUNNING, State.BLOCKED, *_MARKS}),
    State.BLOCKED: frozenset({State.READY, State.AWAITING_APPROVAL, *_MARKS}),
    # a person or a policy: rerun, mark, cancel
    State.LOST: frozenset({State.PENDING, State.READY, *_MARKS}),
    # a rerun opens it again, or some of its instances; a mark changes one end into another
    **{end: frozenset({State.PENDING, State.READY, State.MAPPED, *_MARKS}) - {end} for end in _ENDS},
}

LEGAL_RUN: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.EXPANDING: frozenset({RunState.QUEUED, RunState.CANCELLED}),
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED, RunState.FAILED}),
    RunState.RUNNING: frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED}),
    # a rerun opens it again
    RunState.SUCCESS: frozenset({RunState.RUNNING}),
    RunState.FAILED: frozenset({RunState.RUNNING}),
    RunState.CANCELLED: frozenset({RunState.RUNNING}),
}

LEGAL_BACKFILL: Final[dict[BackfillState, frozenset[BackfillState]]] = {
    BackfillState.RUNNING: frozenset(set(BackfillState) - {BackfillState.RUNNING}),
    BackfillState.PAUSED: frozenset(set(BackfillState) - {BackfillState.PAUSED}),
    # resumed: what failed is taken up again. What was cancelled stays so, its intervals are free
    BackfillState.FAILED: frozenset({BackfillState.RUNNING}),
    BackfillState.SUCCESS: frozenset(),
    BackfillState.CANCELLED: frozenset(),
}
BACKFILL_OVER: Final = frozenset({BackfillState.SUCCESS, BackfillState.FAILED, BackfillState.CANCELLED})

LEGAL_PLAN: Final[dict[PlanState, frozenset[PlanState]]] = {
    # run at once, where nobody has to approve it
    PlanState.PROPOSED: frozenset({PlanState.APPROVED, PlanState.RUNNING, PlanState.CANCELLED}),
    PlanState.APPROVED: frozenset({PlanState.RUNNING, PlanState.CANCELLED}),
    PlanState.RUNNING: frozenset({PlanState.PUBLISHED, PlanState.FAILED, PlanState.CANCELLED}),
    **{end: frozenset() for end in (PlanState.PUBLISHED, PlanState.FAILED, PlanState.CANCELLED)},
}

LEGAL_STEP: Final[dict[StepState, frozenset[StepState]]] = {
    StepState.PENDING: frozenset({StepState.RUNNING, StepState.FAILED, StepState.SKIPPED}),
    # a correction has no others to wait for
    StepState.RUNNING: frozenset(
        {StepState.STAGED, StepState.PUBLISHED, StepState.FAILED, StepState.SKIPPED}
    ),
    StepState.STAGED: frozenset({StepState.PUBLISHED, StepState.FAILED, StepState.SKIPPED}),
    **{end: frozenset() for end in (StepState.PUBLISHED, StepState.FAILED, StepState.SKIPPED)},
}

LEGAL_ATTEMPT: Final[dict[AttemptState, frozenset[AttemptState]]] = {
    AttemptState.RUNNING: frozenset(set(AttemptState) - {AttemptState.RUNNING}),
    **{end: frozenset() for end in AttemptState if end is not AttemptState.RUNNING},
}

LEGAL_WAIT: Final[dict[WaitState, frozenset[WaitState]]] = {
    WaitState.OPEN: frozenset(set(WaitState) - {WaitState.OPEN}),
    **{end: frozenset() for end in WaitState if end is not WaitState.OPEN},
}


LEGAL_DELIVERY: Final[dict[DeliveryState, frozenset[DeliveryState]]] = {
    DeliveryState.PENDING: frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED}),
    DeliveryState.DELIVERED: frozenset({DeliveryState.SUPERSEDED, DeliveryState.CORRECTED}),
    # the same is tried again, with the same key
    DeliveryState.FAILED: frozenset({DeliveryState.PENDING}),
    DeliveryState.SUPERSEDED: frozenset(),
    DeliveryState.CORRECTED: frozenset(),
}

LEGAL_APPROVAL: Final[dict[ApprovalState, frozenset[ApprovalState]]] = {
    ApprovalState.OPEN: frozenset(set(ApprovalState) - {ApprovalState.OPEN}),
    **{end: frozenset() for end in ApprovalState if end is not ApprovalState.OPEN},
}


class IllegalMove(Exception):  # noqa: N818 - a bug in `decide`, named for what happened
    """An edge that is not in the tables above."""
