"""The operation on past events: pages of the journal. What is wanted is read here for the live feed as well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bide.runtime.clock import Clock
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.addresses import before_number, read_date, read_span, run_number
from bide.runtime.service.event_shapes import KINDS, EventLine, event_line
from bide.runtime.store.feed import FeedLine, Wanted, last_line, line_before, lines_after, lines_before
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.service.operations import Asks

MOST: Final = 10_000
_PAGE: Final = 500


async def wanted(reader: Asks, run: str | None, dag: str | None, kind: str | None) -> Wanted:
    """What is asked for, checked: a run or a DAG that is not there is a `NotFoundError`."""
    kinds = [one.strip() for one in (kind or "").split(",") if one.strip()]
    if unknown := [one for one in kinds if one not in KINDS]:
        raise UsageError(f"{unknown[0]!r} is no kind of event: use {', '.join(KINDS)}")
    run_id = None if run is None else run_number(run)
    if run_id is not None:
        await reader.ask(Reader.run, run_id)
    if dag is not None and dag not in (known := [one.name for one in await reader.ask(Reader.dags)]):
        from bide.runtime.service.operations import _nearest

        raise NotFoundError(f"there is no DAG {dag!r}{_nearest(dag, known)}")
    return Wanted(run_id, dag, frozenset(KINDS[one] for one in kinds))


async def place(reader: Asks, since: str, now: int) -> int:
    """After which line of the journal `since` begins: an event's number, an instant, or a span before now."""
    text = since.strip()
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text)
    at = now - read_span(text) if re.fullmatch(r"[0-9.]+[smhdw][0-9smhdw.]*", text) else _instant(text)
    return await reader.ask(Reader.read, lambda conn: line_before(conn, at))


def _instant(text: str) -> int:
    try:
        return read_date(text)
    except UsageError:
        raise UsageError(
            f"{text!r} is no place in the journal: give an event's number, an instant such as "
            "2026-06-15T10:00, or a span such as 10m"
        ) from None


async def events(
    reader: Asks,
    clock: Clock,
    since: str | None = None,
    run: str | None = None,
    dag: str | None = None,
    kind: str | None = None,
    limit: int = 100,
    before: str | None = None,
) -> list[EventLine]:
    """The first `limit` after `since`; without it the last ones, of those before `before`. Always in the order they happened."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"a limit of {limit} cannot be: use 1 to {MOST}")
    if since is not None and before is not None:
        raise UsageError("both a place to begin after and one to end before: leave one of them out")
    end = None if before is None else before_number(before)
    which = await wanted(reader, run, dag, kind)
    if since is None:
        found = await _last(reader, which, end, limit)
    else:
        found = await _first(reader, which, await place(reader, since, clock.now()), limit)
    return [event_line(line) for line in found]


async def _first(reader: Asks, which: Wanted, seq: int, limit: int) -> list[FeedLine]:
    found: list[FeedLine] = []
    while True:
        most = min(_PAGE, limit - len(found))
        page = await reader.ask(Reader.read, lambda conn, at=seq, n=most: lines_after(conn, at, which, n))
        found += page.lines
        if page.over or len(found) == limit:
            return found
        seq = page.upto


async def _last(reader: Asks, which: Wanted, end: int | None, limit: int) -> list[FeedLine]:
    seq = end if end is not None else await reader.ask(Reader.read, last_line) + 1
    found: list[FeedLine] = []
    while True:
        most = min(_PAGE, limit - len(found))
        page = await reader.ask(Reader.read, lambda conn, at=seq, n=most: lines_before(conn, at, which, n))
        found = page.lines + found
        if page.over or len(found) == limit:
            return found
        seq = page.upto
