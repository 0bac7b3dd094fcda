"""A schedule for people and programs: in words, its next firings, what was not run and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from bide.runtime import typed
from bide.runtime.clock import from_us
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.dag import Dag
from bide.runtime.schedules import Schedule, schedule_from_json
from bide.runtime.schedules.catchup import Policy
from bide.runtime.service.addresses import read_date
from bide.runtime.service.describe import trigger_words
from bide.runtime.service.shapes import (
    DueLine,
    HeldLine,
    Interval,
    SkipLine,
    Timetable,
    iso,
    iso_or_none,
)
from bide.runtime.store import schedules as stored
from bide.runtime.store.reader import Reader

FIRINGS: Final = 5
MOST: Final = 10_000
SKIPS: Final = 10


class Asked(msgspec.Struct, frozen=True):
    """Which firings: `count` of them, at or after `since`, before `until` (dates in the DAG's zone)."""

    count: int | None = None
    since: str | None = None
    until: str | None = None

    def read(self, tz: str, now_us: int) -> tuple[int, int, int | None]:
        """(how many, from, before); `UsageError` for what cannot be meant."""
        count = self.count if self.count is not None else MOST if self.until is not None else FIRINGS
        if not 1 <= count <= MOST:
            raise UsageError(f"{count} firings cannot be: ask for 1 to {MOST:,}")
        since = now_us if self.since is None else read_date(self.since, tz)
        until = None if self.until is None else read_date(self.until, tz)
        if until is not None and until <= since:
            raise UsageError(f"the end, {self.until}, is not after {iso(since)}: give a later date")
        return count, since, until


def of_database(reader: Reader, db: Path, name: str, asked: Asked, now_us: int) -> Timetable:
    """The timetable of a DAG that the database knows. `NotFoundError` names what there is."""
    row = reader.read(lambda conn: stored.scheduled(conn, name))
    if row is None:
        known = ", ".join(dag.name for dag in reader.dags()[:8]) or "none yet"
        raise NotFoundError(f"there is no DAG {name!r} in {db}; it has: {known}")
    spec = msgspec.json.decode(row.spec)
    options = msgspec.json.decode(row.options)
    tz = spec.get("tz", "UTC")
    skips = reader.read(lambda conn: stored.skipped(conn, row.dag_id, SKIPS))
    holds = reader.read(lambda conn: stored.held(conn, row.dag_id))
    backlog = typed.decode(row.backlog, list[tuple[int, int, int]])
    return Timetable(
        dag=name,
        schedule=schedule_from_json(row.schedule).describe(),
        tz=tz,
        paused=bool(row.paused),
        catchup=catchup_words(options),
        overlap=options.get("overlap", "queue_all"),
        firings=tuple(firings(schedule_from_json(row.schedule), options, row.anchor_us, tz, asked, now_us)),
        catching_up=tuple(Interval(start=iso(after + 1), end=iso(until)) for after, until, _ in backlog),
        waits_for=tuple(
            HeldLine(
                trigger=trigger_words(one.kind, one.trigger)[0],
                since=iso(one.since_us),
                firings=one.firings,
                fired_at=iso_or_none(one.fired_us),
            )
            for one in holds
        ),
        skipped=tuple(
            SkipLine(
                fires_at=iso(one.from_us),
                until=iso(one.until_us),
                reason=one.reason,
                decided_at=iso(one.at_us),
            )
            for one in skips
        ),
    )


def of_dag(dag: Dag, asked: Asked, now_us: int) -> Timetable:
    """The timetable of a DAG as it is written, without a database: it is first loaded now."""
    found = [part.standing() for part in dag.schedule.parts()]
    return Timetable(
        dag=dag.name,
        schedule=dag.schedule.describe(),
        tz=dag.tz,
        paused=False,
        catchup=catchup_words(dag.options),
        overlap=dag.options.get("overlap", "queue_all"),
        firings=tuple(firings(dag.schedule, dag.options, now_us, dag.tz, asked, now_us)),
        catching_up=(),
        waits_for=tuple(
            HeldLine(trigger=trigger.describe(), since=iso(now_us), firings=0, fired_at=None)
            for trigger in found
            if trigger is not None
        ),
        skipped=(),
    )


def of_schedule(schedule: Schedule, asked: Asked, now_us: int) -> Timetable:
    """The timetable of a schedule that no DAG has."""
    tz = schedule.zone_name or "UTC"
    return Timetable(
        dag="",
        schedule=schedule.describe(),
        tz=tz,
        paused=False,
        catchup="",
        overlap="",
        firings=tuple(firings(schedule, {}, now_us, tz, asked, now_us)),
        catching_up=(),
        waits_for=(),
        skipped=(),
    )


def firings(
    schedule: Schedule, options: Mapping[str, Any], anchor_us: int | None, tz: str, asked: Asked, now_us: int
) -> list[DueLine]:
    """The firings that were asked for, within the DAG's start and end."""
    count, since, until = asked.read(tz, now_us)
    start, end = options.get("start_us"), options.get("end_us")
    at = (since if start is None else max(since, start)) - 1
    bound = min((each for each in (until, end) if each is not None), default=None)
    found: list[DueLine] = []
    while len(found) < count:
        firing = schedule.next_after(at, anchor_us)
        if firing is None or (bound is not None and firing.fires_us >= bound):
            break
        at = firing.fires_us
        span = Interval(start=iso(firing.start_us), end=iso(firing.end_us))
        found.append(DueLine(fires_at=iso(firing.fires_us), interval=span))
    return found


def catchup_words(options: Mapping[str, Any]) -> str:
    """`all, at most 10`, `within 2 days, 0:00:00`: what becomes of missed firings."""
    policy = Policy.of(options)
    words = policy.catchup
    if policy.within_us is not None:
        words = f"within {timedelta(microseconds=policy.within_us)}"
    return words if policy.cap is None else f"{words}, at most {policy.cap}"


def in_zone(instant: str, tz: str) -> str:
    """An instant of the answers as the wall of a zone shows it.

    >>> in_zone("2026-06-15T00:00:00Z", "Europe/Berlin")
    '2026-06-15 02:00:00 CEST'
    """
    at = from_us(read_date(instant)).astimezone(ZoneInfo(tz))
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"
