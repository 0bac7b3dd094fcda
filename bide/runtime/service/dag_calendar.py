"""What became of the firings of a DAG, and what is to come: judged by the words that the engine has for it.

However many firings a schedule has, so many are looked at and no more; what is cut says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from bide.runtime import typed
from bide.runtime.clock import DAY, SECOND, from_us
from bide.runtime.schedules import Schedule, schedule_from_json
from bide.runtime.schedules.base import Firing
from bide.runtime.schedules.catchup import MISSED_US
from bide.runtime.service.dag_view_shapes import Calendar, CalendarDay, FiringLine
from bide.runtime.service.shapes import Interval, iso
from bide.runtime.store import dag_reads as reads

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.store.schedules import Scheduled

MOST_RUNS: Final = 5_000
MOST_FIRINGS: Final = 1_000
"""Of each sort that is not a row: firings to come, missed and not yet run. Each costs a tenth of a millisecond."""


class Span(msgspec.Struct, frozen=True):
    since_us: int
    until_us: int
    now_us: int


def lines(conn: sqlite3.Connection, row: Scheduled, span: Span) -> tuple[list[tuple[int, FiringLine]], bool]:
    """(the firings within a span with their instants, in order; whether there are more)."""
    schedule = schedule_from_json(row.schedule)
    runs = reads.fired(
        conn, row.dag_id, span.since_us - _reach(schedule, row, span), span.until_us, MOST_RUNS
    )
    found = [(at, _run_line(run, at)) for run in runs if span.since_us <= (at := _at(run)) < span.until_us]
    cut = len(runs) == MOST_RUNS
    for each in (
        _missed(conn, schedule, row, span),
        _to_be_run(schedule, row, span),
        _to_come(schedule, row, span),
    ):
        more = list(each)
        cut = cut or len(more) >= MOST_FIRINGS
        found += more
    found.sort(key=lambda one: one[0])
    return found, cut


def calendar(conn: sqlite3.Connection, row: Scheduled, span: Span, tz: str) -> Calendar:
    """The same counted by days of the DAG's zone."""
    found, cut = lines(conn, row, span)
    zone = ZoneInfo(tz)
    days: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    for at_us, line in found:
        day = f"{from_us(at_us).astimezone(zone):%Y-%m-%d}"
        counts, states = days.setdefault(day, ({}, {}))
        counts[line.what] = counts.get(line.what, 0) + 1
        if line.state is not None:
            states[line.state] = states.get(line.state, 0) + 1
    return Calendar(
        dag=row.name,
        tz=tz,
        since=iso(span.since_us),
        until=iso(span.until_us),
        days=tuple(CalendarDay(day=day, counts=c, states=s) for day, (c, s) in sorted(days.items())),
        cut=cut,
    )


def _at(run: reads.FiredRow) -> int:
    return run.scheduled_us if run.kind == "scheduled" else run.logical_us


def _reach(schedule: Schedule, row: Scheduled, span: Span) -> int:
    """How far before its time the interval of a firing may begin."""
    firing = schedule.next_after(span.since_us, row.anchor_us)
    return 2 * DAY if firing is None else 2 * max(firing.fires_us - firing.start_us, DAY)


def _run_line(run: reads.FiredRow, at_us: int) -> FiringLine:
    what = run.kind
    if run.kind == "scheduled":
        missed = run.created_us - run.scheduled_us > MISSED_US
        what = "caught_up" if missed else "late" if run.late else "fired"
    return FiringLine(
        what=what,
        fires_at=iso(at_us),
        interval=Interval(start=iso(run.start_us), end=iso(run.end_us)),
        run_id=str(run.run_id),
        state=run.state.value,
        delay_s=None if run.started_us is None else max(0, run.started_us - run.scheduled_us) / SECOND,
    )


def _missed(
    conn: sqlite3.Connection, schedule: Schedule, row: Scheduled, span: Span
) -> Iterator[tuple[int, FiringLine]]:
    left = MOST_FIRINGS
    for skip in reads.skipped_within(conn, row.dag_id, span.since_us, span.until_us, MOST_FIRINGS):
        after = max(skip.from_us, span.since_us) - 1
        for firing in _firings(schedule, row, after, min(skip.until_us, span.until_us - 1), left):
            left -= 1
            yield firing.fires_us, _line("missed", firing, skip.reason)


def _to_be_run(schedule: Schedule, row: Scheduled, span: Span) -> Iterator[tuple[int, FiringLine]]:
    left = MOST_FIRINGS
    for after, until, _ in typed.decode(row.backlog, list[tuple[int, int, int]]):
        last = min(until, span.until_us - 1)
        for firing in _firings(schedule, row, max(after, span.since_us - 1), last, left):
            left -= 1
            yield firing.fires_us, _line("catching_up", firing, "missed; it is run when there is room")


def _to_come(schedule: Schedule, row: Scheduled, span: Span) -> Iterator[tuple[int, FiringLine]]:
    if row.watermark_us is None:
        return
    options = msgspec.json.decode(row.options)
    after = max(row.watermark_us, span.since_us - 1, (options.get("start_us") or 0) - 1)
    end = options.get("end_us")
    last = span.until_us - 1 if end is None else min(span.until_us, end) - 1
    for firing in _firings(schedule, row, after, last, MOST_FIRINGS):
        held = firing.fires_us <= span.now_us
        why = "the DAG is paused" if row.paused else "nothing fires it now" if held else ""
        yield firing.fires_us, _line("held" if held else "due", firing, why)


def _firings(schedule: Schedule, row: Scheduled, after: int, until: int, most: int) -> Iterator[Firing]:
    """Those after one instant and up to another, so many at most."""
    for _ in range(most):
        firing = schedule.next_after(after, row.anchor_us)
        if firing is None or firing.fires_us > until:
            return
        after = firing.fires_us
        yield firing


def _line(what: str, firing: Firing, reason: str) -> FiringLine:
    span = Interval(start=iso(firing.start_us), end=iso(firing.end_us))
    return FiringLine(what=what, fires_at=iso(firing.fires_us), interval=span, reason=reason)
