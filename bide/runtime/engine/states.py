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


OVER: Final = frozenset(
    {State.SUCCESS, State.FAILED, State.SKIPPED, State.UPSTREAM_FAILED, State.CANCELLED}
)
RUN_OVER: Final = frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED})
