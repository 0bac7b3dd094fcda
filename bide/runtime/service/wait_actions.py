"""Which open waits an action on many is of, and what the command of each is given beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bide.runtime.errors import UsageError
from bide.runtime.service.addresses import read_deadline, read_span
from bide.runtime.service.shapes import iso
from bide.runtime.service.waiting import seen
from bide.runtime.store.bulk_reads import MOST

if TYPE_CHECKING:
    from bide.runtime.service.doors import Live
    from bide.runtime.service.waiting import Wanted
    from bide.runtime.store.reader import Reader


def numbers(
    reader: Reader, live: Live | None, of: Wanted, schedules: bool, after: int
) -> tuple[list[int], int]:
    """The numbers of those that match behind `after`, the oldest first, and how many more do than one action takes.

    With those of `schedules` or without.
    """
    found = [one.wait_id for one in seen(reader, live, of) if schedules or one.run_id is not None]
    behind = sorted(number for number in found if number > after)
    return behind[:MOST], max(0, len(behind) - MOST)


def given(action: str, deadline: str | None, event: Any, reason: str, now: int) -> dict[str, Any]:
    """What each command is given beside its wait. Raises `UsageError` for what does not go with it."""
    for name, said, of in (
        ("deadline", deadline, "extend"),
        ("event", event, "satisfy"),
        ("reason", reason, "fail"),
    ):
        if said not in (None, "") and action != of:
            raise UsageError(f"`{name}` goes with {of}: leave it out to {action}")
    if action == "satisfy":
        return {"event": event}
    if action != "extend":
        return {}
    if deadline is None:
        raise UsageError("extend until when? give a `deadline`: +2h, or an instant such as 2026-06-15T12:00Z")
    if deadline.startswith("+"):
        return {"by_us": read_span(deadline[1:])}
    until = read_deadline(deadline)
    if until <= now:
        raise UsageError(f"{iso(until)} is over: give a deadline that lies ahead")
    return {"deadline_us": until}
