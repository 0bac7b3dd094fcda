"""By when something was promised: a time on the wall after the end of an interval, or a span.

Plain data. A time on the wall is an instant of its zone's calendar: no step of the clock moves it.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from bide.runtime.clock import HOUR, LONGEST, span_us
from bide.runtime.errors import GraphError, ScheduleError
from bide.runtime.schedules.zones import first_instant, instants, wall, zone

_A_DAY = timedelta(days=1)
_FAR = 4
"""Days to look ahead: no zone ever left out more than one."""


class Promise(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """Either `at`, a time of day in `tz` ("" is the DAG's zone), or `after_us`, a span."""

    at: str = ""
    tz: str = ""
    after_us: int = 0

    @property
    def on_the_wall(self) -> bool:
        return bool(self.at)

    def instant(self, end_us: int, tz: str) -> int:
        """The first instant at or after `end_us` at which the wall shows `at`, in its zone or else in `tz`.

        In a gap that is the first instant after the gap; of a repeated time the first pass that is not
        before `end_us`. Only for a promise on the wall.
        """
        there = zone(self.tz or tz)
        at = time.fromisoformat(self.at)
        day = wall(end_us, there).date() - _A_DAY
        for n in range(_FAR):
            for found in _instants_on(day + n * _A_DAY, at, there):
                if found >= end_us:
                    return found
        raise ScheduleError(f"no clock in {self.tz or tz} shows {self.at} after {end_us}")

    def is_before(self, tz: str, other: Promise, other_tz: str) -> bool:
        """Whether it is over before `other` of the same interval is, at midnight as at noon; spans cannot be told."""
        if not (self.on_the_wall and other.on_the_wall):
            return False
        ends = (0, 12 * HOUR)
        return all(self.instant(end_us, tz) < other.instant(end_us, other_tz) for end_us in ends)

    def describe(self, tz: str) -> str:
        """`by 05:45 Europe/Berlin`, or `within 2:00:00`."""
        if self.at:
            return f"by {self.at} {self.tz or tz}"
        return f"within {timedelta(microseconds=self.after_us)}"


def _instants_on(day: date, at: time, tz: ZoneInfo) -> tuple[int, ...]:
    """When the wall shows `at` on that day; none on a day that a zone left out."""
    moment = datetime.combine(day, at)
    if found := instants(moment, tz):
        return found
    if wall(first_instant(datetime.combine(day, time()), tz), tz).date() != day:
        return ()
    return (first_instant(moment, tz),)


def by(at: str, tz: str | None = None) -> Promise:
    """A promise on the wall: the first `at` o'clock at or after the end of the data interval.

    `at` is `"05:45"` or `"05:45:30"`; `tz` a zone such as `Europe/Berlin`, without one the DAG's.
    Raises `ScheduleError` for a time or a zone that is none.

    >>> by("05:45", tz="Europe/Berlin").describe("UTC")
    'by 05:45 Europe/Berlin'
    """
    try:
        read = time.fromisoformat(at)
    except (TypeError, ValueError):
        read = None
    if read is None or read.tzinfo is not None or ":" not in at or at.startswith("T"):
        raise ScheduleError(
            f'by({at!r}) is no time of day: write by("05:45") or by("05:45", tz="Europe/Berlin")'
        )
    if tz is not None:
        zone(tz)
    return Promise(at=at, tz=tz or "")


def promised(value: object, option: str) -> Promise:
    """`by("05:45")` as it is, a timedelta as a promise of so much time; `GraphError` for anything else."""
    if isinstance(value, Promise):
        return value
    if not isinstance(value, timedelta):
        raise GraphError(f'{option} is {value!r}, and must be by("05:45") or a timedelta')
    if not timedelta(0) < value <= LONGEST:
        raise GraphError(f"{option} is {value}, and must be above zero and at most {LONGEST.days} days")
    return Promise(after_us=span_us(value))


__all__ = ["Promise", "by", "promised"]
