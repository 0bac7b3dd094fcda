"""The wall-clock times that a cron line matches, without a zone: croniter finds the days, the times of
a day are the product of hours and minutes.

Days are remembered, so that stepping through a day costs a search in a short list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from bide.runtime.errors import ScheduleError
from bide.runtime.schedules.fields import Fields

_A_DAY: Final = timedelta(days=1)


class WallTimes:
    """Steps through the matches of a line, forward and back; naive datetimes, strictly ordered."""

    __slots__ = ("_days", "_texts", "_times")

    def __init__(self, fields: Fields) -> None:
        self._texts = fields.texts
        self._days = "0 0 " + " ".join(fields.texts[2:])
        self._times = sorted(hour * 60 + minute for hour in fields.hours for minute in fields.minutes)

    def check(self, expr: str) -> None:
        """Refuse a line that no day ever matches."""
        from croniter import CroniterError

        try:
            found = _day(self._days, date(2023, 12, 31), forward=True)
        except (CroniterError, ValueError) as error:
            raise ScheduleError(f"the cron line {expr!r} cannot be read: {error}") from None
        if found is None:
            day, month, weekday = self._texts[2:]
            raise ScheduleError(
                f"the cron line {expr!r} never fires: no year has such a day "
                f"(day of month {day}, month {month}, weekday {weekday})"
            )

    def after(self, at: datetime) -> datetime | None:
        """The first match after `at`."""
        today = at.date()
        day = _day(self._days, today, forward=True)
        if day == today:
            place = bisect_right(self._times, at.hour * 60 + at.minute)
            if place < len(self._times):
                return _moment(today, self._times[place])
            day = _day(self._days, today + _A_DAY, forward=True)
        return None if day is None else _moment(day, self._times[0])

    def before(self, at: datetime) -> datetime | None:
        """The last match before `at`."""
        today = at.date()
        day = _day(self._days, today, forward=False)
        if day == today:
            whole = at.second == 0 and at.microsecond == 0
            place = (bisect_left if whole else bisect_right)(self._times, at.hour * 60 + at.minute)
            if place:
                return _moment(today, self._times[place - 1])
            day = _day(self._days, today - _A_DAY, forward=False)
        return None if day is None else _moment(day, self._times[-1])


def _moment(day: date, minutes: int) -> datetime:
    return datetime.combine(day, time(minutes // 60, minutes % 60))


@lru_cache(maxsize=16384)
def _day(line: str, day: date, *, forward: bool) -> date | None:
    """The first matching day from `day` on, or the last up to it; None when there is none."""
    from croniter import CroniterBadCronError, CroniterBadDateError, croniter

    aside = timedelta(hours=-12 if forward else 12)  # its floats lose a microsecond in far years
    try:
        steps = croniter(line, datetime.combine(day, time()) + aside, implement_cron_bug=True)
        found: datetime = steps.get_next(datetime) if forward else steps.get_prev(datetime)
    except CroniterBadCronError:
        raise
    except (CroniterBadDateError, ValueError, OverflowError):  # the last two: past the year 9999
        return None
    return found.date()
