"""The operation on past events: pages of the journal. What is wanted is read here for the live feed as well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bide.runtime.clock import Clock
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.addresses import before_number, read_date, read_span, run_number
from bide.runtime.service.event_shapes import KINDS, EventLine
from bide.runtime.store.feed import Stretch, Wanted, is_dag, line_before, told_after, told_before
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks

MOST: Final = 10_000
_PAGE: Final = 500
"""Lines that are read at once: made into objects in one go, which nothing can interrupt."""
_LOOKS: Final = 8
"""Stretches of the journal that one question looks through before others are let in."""


async def wanted(reader: Asks, run: str | None, dag: str | None, kind: str | None) -> Wanted:
    """What is asked for, checked: a run or a DAG that is not there is a `NotFoundError`."""
    return await reader.ask(_wanted, run, dag, kind)


def _wanted(reader: Reader, run: str | None, dag: str | None, kind: str | None) -> Wanted:
    kinds = [one.strip() for one in (kind or "").split(",") if one.strip()]
    if unknown := [one for one in kinds if one not in KINDS]:
        raise UsageError(f"{unknown[0]!r} is no kind of event: use {', '.join(KINDS)}")
    run_id = None if run is None else run_number(run)
    if run_id is not None:
        reader.run(run_id)
    if dag is not None and not reader.read(lambda conn: is_dag(conn, dag)):
        from bide.runtime.service.operations import _nearest

        raise NotFoundError(f"there is no DAG {dag!r}{_nearest(dag, [one.name for one in reader.dags()])}")
    return Wanted(run_id, dag, frozenset(KINDS[one] for one in kinds))


async def place(reader: Asks, since: str, now: int) -> int:
    """After which line of the journal `since` begins: an event's number, an instant, or a span before now."""
    return await reader.ask(_place, since, now)


def _place(reader: Reader, since: str, now: int) -> int:
    text = since.strip()
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text)
    at = now - read_span(text) if re.fullmatch(r"[0-9.]+[smhdw][0-9smhdw.]*", text) else _instant(text)
    return reader.read(lambda conn: line_before(conn, at))


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
    now = clock.now()

    def begin(each: Reader) -> tuple[Wanted, Stretch[EventLine]]:
        which = _wanted(each, run, dag, kind)
        if since is not None:
            return which, _page(each, which, _place(each, since, now), False, limit)
        last = end if end is not None else each.last_event() + 1
        return which, _page(each, which, last, True, limit)

    which, page = await reader.ask(begin)
    found = page.lines
    while not page.over and len(found) < limit:
        page = await reader.ask(_page, which, page.upto, since is None, limit - len(found))
        found = page.lines + found if since is None else found + page.lines
    return found


def _page(reader: Reader, which: Wanted, seq: int, back: bool, limit: int) -> Stretch[EventLine]:
    """What a few looks find, made into words where it is read: each hop to another thread waits for the interpreter's lock."""
    return reader.read(lambda conn: _looked(conn, which, seq, back, limit))


def _looked(conn: sqlite3.Connection, which: Wanted, seq: int, back: bool, limit: int) -> Stretch[EventLine]:
    read = told_before if back else told_after
    found: list[EventLine] = []
    page: Stretch[EventLine] = Stretch([], seq, False)
    for _ in range(_LOOKS):
        page = read(conn, EventLine, seq, which, min(_PAGE, limit - len(found)))
        found = page.lines + found if back else found + page.lines
        seq = page.upto
        if page.over or len(found) == limit:
            break
    return Stretch(found, seq, page.over)
