"""Cron lines on the wall clock of a zone, with explicit rules for the hours that a change of clocks
leaves out or repeats.

`walltimes.py` steps through wall-clock times without a zone; which instants those are is decided here:

- The hour field names hours (`2`, `1,2,3`, `9-17`): a firing for each matching wall time once a
  local day. In a gap, `gap="shift"` fires at the first instant after it, `"skip"` not at all; in a
  repeated hour `repeat="first"`, `"last"` or `"both"`.
- The hour field begins with `*`: real time. Every matching wall-clock minute that exists, in both
  passes of a repeated hour.
- Two firings that fall on one instant are one.

Each reading of the wall clock (the first of a repeated time, or the last) is monotone: a later wall
time is never an earlier instant. So the next firing is found by stepping from the wall time at `us`,
set back by what the clocks changed around it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from bide.runtime.clock import HOUR, span_us, to_us
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules.base import Firing, Schedule
from bide.runtime.schedules.calendar import Period, floor, following, previous
from bide.runtime.schedules.fields import Fields, in_words, read
from bide.runtime.schedules.walltimes import WallTimes
from bide.runtime.schedules.zones import after_gap, instants, offset, wall, zone

_NEAR: Final = 26 * HOUR  # no change of clocks is larger than a day
_FIRST_US: Final = to_us(datetime(100, 1, 1, tzinfo=UTC))
_LAST_US: Final = to_us(datetime(9900, 1, 1, tzinfo=UTC))
_INTERVALS: Final = ("tick", "hour", "day", "week", "month")

Reading = Callable[[datetime], int | None]


class Cron(Schedule, frozen=True, tag="cron"):
    """`Cron("0 2 * * *", tz="Europe/Berlin", interval="day")`: at 02:00, for yesterday.

    Five fields; day of month and weekday are joined by OR unless one of them begins with `*`, as
    in Vixie cron. `tz` is the DAG's zone unless given. `interval` is what a run is for: `"tick"`
    the time between the last two firings, else the last whole hour, day, week (from Monday) or
    month before the firing; of several firings for the same one only the first counts.
    Raises `ScheduleError`, pointing at the field, also for dates that do not exist.
    """

    expr: str
    tz: str | None = None
    interval: Literal["tick", "hour", "day", "week", "month"] = "tick"
    gap: Literal["shift", "skip"] = "shift"
    repeat: Literal["first", "last", "both"] = "first"

    def __post_init__(self) -> None:
        read_cached(self.expr)
        for name, value, allowed in (
            ("interval", self.interval, _INTERVALS),
            ("gap", self.gap, ("shift", "skip")),
            ("repeat", self.repeat, ("first", "last", "both")),
        ):
            if value not in allowed:
                raise ScheduleError(f"Cron: {name} is {value!r}, and must be one of {', '.join(allowed)}")
        if self.tz is not None:
            zone(self.tz)
        wall_times(self.expr).check(self.expr)

    def in_zone(self, tz: str) -> Schedule:
        if self.tz is not None:
            return self
        return Cron(self.expr, tz, self.interval, self.gap, self.repeat)

    @property
    def zone_name(self) -> str | None:
        return self.tz

    @property
    def _zone(self) -> ZoneInfo:
        return zone(self.tz or "UTC")

    def next_after(self, us: int, anchor_us: int | None = None) -> Firing | None:
        fires = self._tick(_checked(us), forward=True)
        if fires is None:
            return None
        if self.interval == "tick":
            before = self._tick(fires, forward=False)
            return Firing(fires, fires if before is None else before, fires)
        period: Period = self.interval
        end = floor(fires, period, self._zone)
        if self._tick(end - 1, forward=True) != fires:  # an earlier firing has this interval
            fires = self._tick(following(fires, period, self._zone) - 1, forward=True)
            if fires is None:
                return None
            end = floor(fires, period, self._zone)
        return Firing(fires, previous(end, period, self._zone), end)

    def last_until(self, us: int, anchor_us: int | None = None) -> Firing | None:
        tick = self._tick(_checked(us) + 1, forward=False)
        if tick is None:
            return None
        if self.interval == "tick":
            return self.next_after(tick - 1)
        return self.next_after(floor(tick, self.interval, self._zone) - 1)

    def interval_for(self, date_us: int | None, now_us: int, anchor_us: int | None = None) -> tuple[int, int]:
        at = _checked(now_us if date_us is None else date_us)
        if self.interval == "tick":
            start = self._tick(at + 1, forward=False)
            start = at if start is None else start
            if date_us is None:
                before = self._tick(start, forward=False)
                return (start if before is None else before), start
            end = self._tick(at, forward=True)
            return start, (start if end is None else end)
        start = floor(at, self.interval, self._zone)
        if date_us is None:
            return previous(start, self.interval, self._zone), start
        return start, following(at, self.interval, self._zone)

    def describe(self) -> str:
        words = f"{in_words(read_cached(self.expr))}, {self.tz or 'UTC'}"
        if self.interval == "tick":
            return words
        return f"{words}, for the {self.interval} before"

    def _tick(self, us: int, *, forward: bool) -> int | None:
        """The first firing after `us`, or the last one before it; intervals left aside."""
        return _tick_of(self, us, forward)

    def _step(self, us: int, reading: Reading, changed: timedelta, *, forward: bool) -> int | None:
        times = wall_times(self.expr)
        shows = wall(us, self._zone)
        # Strictly after or before: a microsecond aside, so that a match on the start itself is seen.
        aside = changed + timedelta(microseconds=1)
        move = times.after if forward else times.before
        at = move(shows - aside if forward else shows + aside)
        while at is not None:
            tick = reading(at)
            if tick is not None and (tick > us if forward else tick < us):
                return tick
            at = move(at)
        return None


@lru_cache(maxsize=8192)
def _tick_of(cron: Cron, us: int, forward: bool) -> int | None:
    """`Cron._tick`, remembered: deciding one firing asks for the same few ticks again and again."""
    tz = cron._zone
    changed = _change_near(us, tz)
    if not changed:
        tick = cron._step(us, _steady(us, tz), changed, forward=forward)
        if tick is not None and abs(tick - us) < _NEAR:
            return tick
    real_time = read_cached(cron.expr).follows_real_time
    repeat = "both" if real_time else cron.repeat
    gap = "skip" if real_time else cron.gap
    found = [
        cron._step(us, _reading(tz, first, gap), changed, forward=forward)
        for first in (True, False)
        if repeat in ("both", "first" if first else "last")
    ]
    ticks = [tick for tick in found if tick is not None]
    if not ticks:
        return None
    return min(ticks) if forward else max(ticks)


@lru_cache(maxsize=1024)
def read_cached(expr: str) -> Fields:
    return read(expr)


@lru_cache(maxsize=1024)
def wall_times(expr: str) -> WallTimes:
    return WallTimes(read_cached(expr))


def _checked(us: int) -> int:
    """`us`, or `ScheduleError` where the calendar has no room left on either side."""
    if not _FIRST_US <= us < _LAST_US:
        raise ScheduleError("the date is outside of the years 100 to 9900: give one within")
    return us


def _steady(us: int, tz: ZoneInfo) -> Reading:
    """The reading with the offset at `us`: right where no clock changes."""
    ahead = span_us(offset(us, tz))
    return lambda at: to_us(at.replace(tzinfo=UTC)) - ahead


def _reading(tz: ZoneInfo, first: bool, gap: str) -> Reading:
    """How a wall time becomes an instant; None when it does not exist and gaps are skipped."""

    def read_wall(at: datetime) -> int | None:
        found = instants(at, tz)
        if found:
            return found[0] if first else found[-1]
        return after_gap(at, tz) if gap == "shift" else None

    return read_wall


def _change_near(us: int, tz: ZoneInfo) -> timedelta:
    """By how much the clocks change within a day of `us`."""
    near = [offset(us + step, tz) for step in (-_NEAR, 0, _NEAR)]
    return max(near) - min(near)
