"""The JSON of the journal's lines that every door gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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

    id: str
    at: str
    kind: str
    number: str
    dag: str | None
    run_id: str | None
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
