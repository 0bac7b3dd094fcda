"""The intervals of a schedule between two dates: what a backfill runs.

A schedule that has no grid of its own (`Manual`, one of assets or events) is given one: calendar
periods in the DAG's zone, or spans counted from the first date.
"""

from __future__ import annotations

from typing import Final, get_args
from zoneinfo import ZoneInfo

from bide.runtime.clock import span_us
from bide.runtime.errors import UsageError
from bide.runtime.schedules.base import Firing, Schedule
from bide.runtime.schedules.calendar import Period, floor, following
from bide.runtime.schedules.every import Every
from bide.runtime.schedules.zones import zone

PERIODS: Final[tuple[str, ...]] = get_args(Period)


def has_grid(schedule: Schedule, anchor_us: int | None) -> bool:
    """Whether it says by itself which intervals there are."""
    return schedule.next_after(0 if anchor_us is None else anchor_us, anchor_us) is not None


def firings_between(
    schedule: Schedule, from_us: int, to_us: int, anchor_us: int | None, most: int
) -> list[Firing]:
    """The firings whose intervals begin in `[from_us, to_us)`, the oldest first; at most `most` + 1.

    Those before the anchor count as well: history begins before the first load of a DAG.
    """
    found: list[Firing] = []
    origin = None if anchor_us is None else _same_grid(schedule, anchor_us, from_us - 1)
    at = from_us - 1
    while len(found) <= most:
        firing = schedule.next_after(at, origin)
        if firing is None or firing.start_us >= to_us:
            break
        if firing.start_us >= from_us:
            found.append(firing)
        at = firing.fires_us
    return found


def _same_grid(schedule: Schedule, anchor_us: int, at: int) -> int:
    """An anchor at or before `at` on the same grid: `Every` does not fire before its first load."""
    if not isinstance(schedule, Every) or anchor_us <= at:
        return anchor_us
    period = span_us(schedule.period)
    return anchor_us - -(-(anchor_us - at) // period) * period


def periods_between(every: str | int, from_us: int, to_us: int, tz: str, most: int) -> list[Firing]:
    """Calendar periods ("day") or spans (microseconds) that begin in `[from_us, to_us)`; at most `most` + 1.

    A period that `from_us` lies within is not one of them: it begins earlier.
    """
    found: list[Firing] = []
    if isinstance(every, int):
        for start in range(from_us, to_us, every):
            if len(found) > most:
                break
            found.append(Firing(start + every, start, start + every))
        return found
    if every not in PERIODS:
        raise UsageError(f"every {every!r} is no period: use {', '.join(PERIODS)}, or a span such as 6h")
    in_zone: ZoneInfo = zone(tz)
    period: Period = every  # type: ignore[assignment]  # one of PERIODS
    start = floor(from_us, period, in_zone)
    if start < from_us:
        start = following(start, period, in_zone)
    while start < to_us and len(found) <= most:
        end = following(start, period, in_zone)
        found.append(Firing(end, start, end))
        start = end
    return found
