"""Calendar periods in a zone: where an hour, a day, a week or a month begins, as instants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from bide.runtime.clock import HOUR, span_us
from bide.runtime.schedules.zones import change_between, first_instant, offset, wall

Period = Literal["hour", "day", "week", "month"]


def floor(us: int, period: Period, tz: ZoneInfo) -> int:
    """The start of the period that holds `us`.

    A day begins at the first instant of its date. An hour begins where the clock shows minute 0;
    where the clocks change by half an hour, one is longer.
    """
    if period == "hour":
        return _floor_hour(us, tz)
    start = _first_day(wall(us, tz), period)
    return first_instant(start, tz)


def following(us: int, period: Period, tz: ZoneInfo) -> int:
    """The start of the period after the one that holds `us`."""
    if period == "hour":
        at = us + HOUR
        while (start := _floor_hour(at, tz)) <= us:  # where the clocks change by half an hour
            at += HOUR
        return start
    day = _first_day(wall(us, tz), period)
    while True:
        day = _next(day, period)
        start = first_instant(day, tz)
        if start > us:
            return start


def previous(start: int, period: Period, tz: ZoneInfo) -> int:
    """The start of the period before the one that begins at `start`."""
    return floor(start - 1, period, tz)


def _first_day(at: datetime, period: Period) -> datetime:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _next(day: datetime, period: Period) -> datetime:
    if period == "month":
        return (day + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=7 if period == "week" else 1)


def _floor_hour(us: int, tz: ZoneInfo) -> int:
    ahead = offset(us, tz)
    start = us - (us + span_us(ahead)) % HOUR
    if offset(start, tz) == ahead:
        return start
    return _floor_hour(change_between(start, us, tz) - 1, tz)
