"""A fixed span of real time, counted from an anchor; clocks that change do not touch it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from bide.runtime.clock import LONGEST, from_us, span_us, to_us
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules.base import Firing, Schedule
from bide.runtime.schedules.zones import zone


class Every(Schedule, frozen=True, tag="every"):
    """`Every(timedelta(hours=6))` or `Every(hours=6)`: a run each `period`, for the span before it.

    It counts from `anchor`, else from the DAG's first load, which the store keeps: with the first
    load as its anchor it fires first at that instant. A naive anchor is read in the DAG's zone.
    """

    period: timedelta = timedelta()
    anchor: datetime | None = None
    days: float = msgspec.field(default=0)
    hours: float = msgspec.field(default=0)
    minutes: float = msgspec.field(default=0)
    seconds: float = msgspec.field(default=0)

    def __post_init__(self) -> None:
        if not isinstance(self.period, timedelta):
            raise ScheduleError(
                f"Every({self.period!r}) needs a span: Every(timedelta(hours=6)) or Every(hours=6)"
            )
        try:
            period = self.period + timedelta(
                days=self.days, hours=self.hours, minutes=self.minutes, seconds=self.seconds
            )
        except (OverflowError, TypeError, ValueError) as error:
            raise ScheduleError(f"the span of Every cannot be: {error}; write Every(hours=6)") from None
        if period < timedelta(seconds=1):
            raise ScheduleError(f"Every({period}) is too short: a second is the least")
        if period > LONGEST:
            raise ScheduleError(f"Every({period}) is too long: {LONGEST.days} days are the most")
        anchor = self.anchor
        if isinstance(anchor, str):
            try:
                anchor = datetime.fromisoformat(anchor)
            except ValueError:
                raise ScheduleError(f'the anchor {anchor!r} is no date: write "2026-01-01T06:00"') from None
        if anchor is not None and not isinstance(anchor, datetime):
            raise ScheduleError(f"the anchor of Every is {anchor!r}, and must be a datetime")
        if anchor is not None and not 1 < anchor.year < 9999:  # in another zone it would be no date
            raise ScheduleError(f"the anchor {anchor.isoformat()} of Every is too far: give one that is near")
        change = msgspec.structs.force_setattr
        change(self, "period", period)
        change(self, "anchor", anchor)
        for unit in ("days", "hours", "minutes", "seconds"):
            change(self, unit, 0)

    def in_zone(self, tz: str) -> Schedule:
        if self.anchor is None or self.anchor.tzinfo is not None:
            return self
        return Every(self.period, self.anchor.replace(tzinfo=zone(tz)).astimezone(UTC))

    def _grid(self, anchor_us: int | None) -> tuple[int, int]:
        """(an instant of the grid, its period)."""
        if self.anchor is not None:
            aware = self.anchor if self.anchor.tzinfo is not None else self.anchor.replace(tzinfo=UTC)
            return to_us(aware), span_us(self.period)
        return anchor_us or 0, span_us(self.period)

    def next_after(self, us: int, anchor_us: int | None = None) -> Firing | None:
        origin, period = self._grid(anchor_us)
        fires = us + period - (us - origin) % period
        if self.anchor is None and anchor_us is not None:
            fires = max(fires, origin)
        return Firing(fires, fires - period, fires)

    def last_until(self, us: int, anchor_us: int | None = None) -> Firing | None:
        origin, period = self._grid(anchor_us)
        fires = us - (us - origin) % period
        if self.anchor is None and anchor_us is not None and fires < origin:
            return None
        return Firing(fires, fires - period, fires)

    def interval_for(self, date_us: int | None, now_us: int, anchor_us: int | None = None) -> tuple[int, int]:
        origin, period = self._grid(anchor_us)
        if date_us is None:
            end = now_us - (now_us - origin) % period
            return end - period, end
        start = date_us - (date_us - origin) % period
        return start, start + period

    def describe(self) -> str:
        words = f"every {_in_words(span_us(self.period))}"
        if self.anchor is None:
            return words
        return f"{words} from {from_us(self._grid(None)[0]):%Y-%m-%d %H:%M} UTC"


def _in_words(us: int) -> str:
    parts = []
    for unit, size in (("day", 86_400_000_000), ("hour", 3_600_000_000), ("minute", 60_000_000)):
        count, us = divmod(us, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    if us:
        parts.append(f"{us / 1_000_000:g} seconds")
    return " ".join(parts).removeprefix("1 ") if len(parts) == 1 else " ".join(parts)
