"""The JSON of the journal's lines that every door gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bide.runtime.service.said_words import Id, Instant, RunWord
from bide.runtime.service.shapes import _Shape, iso

if TYPE_CHECKING:
    from bide.runtime.store.feed import FeedLine

KINDS: Final = {
    "run": "run",
    "task": "instance",
    "attempt": "attempt",
    "wait": "wait",
    "dag": "dag",
    "backfill": "backfill",
    "version": "version",
    "delivery": "delivery",
    "contract": "contract",
    "invalidation": "invalidation",
    "plan": "plan",
    "approval": "approval",
    "incident": "incident",
    "alert": "alert",
    "watermark": "watermark",
    "clock": "clock",
    "input": "input",
}
"""What events are about, and as what the journal knows it."""
_KIND_OF: Final = {subject: kind for kind, subject in KINDS.items()}


class EventLine(_Shape, frozen=True):
    """One line of the journal: something has moved. `id` is its number there: `since` takes it.

    `kind` says what has moved, `number` which one of these; what does not apply is null.
    """

    id: Id
    at: Instant
    kind: str
    number: Id
    dag: str | None
    run_id: Id | None
    task: str | None
    map_index: int
    attempt: int | None
    asset: str | None
    was: str
    now: str
    reason: str


def event_line(line: FeedLine) -> EventLine:
    return EventLine(
        id=str(line.seq),
        at=iso(line.at_us),
        kind=_KIND_OF.get(line.subject, line.subject),
        number=str(line.subject_id),
        dag=line.dag,
        run_id=None if line.run_id is None else str(line.run_id),
        task=line.task,
        map_index=-1 if line.map_index is None else line.map_index,
        attempt=line.attempt,
        asset=line.asset,
        was=line.was,
        now=line.now,
        reason=line.reason,
    )


class TopRun(_Shape, frozen=True):
    """A run that is not over. `since` it runs, or is there; `tasks`: state -> how many."""

    run_id: Id
    dag: str
    state: RunWord
    kind: str
    logical_date: Instant
    since: Instant
    tasks: dict[str, int]


class Top(_Shape, frozen=True):
    """How things stand. `runs` and `tasks` (of these) that are not over by state, open `waits` by kind.

    `held`: a runtime holds the database. `slots`, `slots_in_use` and `loop_lag_ms` (how late its loop comes to
    a timer) are null where it cannot be asked. `alerts` nobody has seen yet. `newest` runs first, `events` last.
    """

    at: Instant
    held: bool
    stopping: bool
    slots: int | None
    slots_in_use: int | None
    loop_lag_ms: float | None
    dags: int
    paused: int
    alerts: int
    runs: dict[str, int]
    tasks: dict[str, int]
    waits: dict[str, int]
    newest: tuple[TopRun, ...]
    events: tuple[EventLine, ...]
