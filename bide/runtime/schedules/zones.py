"""Time zones by name, and the two readings of a wall-clock time: gaps and repeats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bide.runtime.clock import from_us, to_us
from bide.runtime.errors import ScheduleError


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """The zone of that name; `ScheduleError` when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise ScheduleError(
            f"there is no time zone {name!r}: write a name such as UTC or Europe/Berlin"
        ) from None


def offset(us: int, tz: ZoneInfo) -> timedelta:
    """The zone's offset from UTC at an instant."""
    found = from_us(us).astimezone(tz).utcoffset()
    return found if found is not None else timedelta()


def wall(us: int, tz: ZoneInfo) -> datetime:
    """What the clock on the wall shows at an instant, naive."""
    return from_us(us).astimezone(tz).replace(tzinfo=None)


def instants(at: datetime, tz: ZoneInfo) -> tuple[int, ...]:
    """The instants at which the wall shows `at`: one, none in a gap, two in a repeated hour."""
    found = {to_us(at.replace(tzinfo=tz, fold=fold)) for fold in (0, 1)}
    return tuple(sorted([us for us in found if wall(us, tz) == at]))


def after_gap(at: datetime, tz: ZoneInfo) -> int:
    """The first instant after the gap in which the wall time `at` would stand."""
    high = to_us(at.replace(tzinfo=tz, fold=0))  # read with the offset before: after the change
    low = to_us(at.replace(tzinfo=tz, fold=1))  # read with the offset after: before the change
    return change_between(low, high, tz)


def change_between(low: int, high: int, tz: ZoneInfo) -> int:
    """The first instant in (low, high] with the offset of `high`, given one change between them."""
    ahead = offset(high, tz)
    while high - low > 1:
        middle = (low + high) // 2
        if offset(middle, tz) == ahead:
            high = middle
        else:
            low = middle
    return high


def first_instant(at: datetime, tz: ZoneInfo) -> int:
    """The first instant at which the wall shows `at` or, in a gap, anything after it."""
    found = instants(at, tz)
    return found[0] if found else after_gap(at, tz)


__all__ = ["UTC", "after_gap", "change_between", "first_instant", "instants", "offset", "wall", "zone"]
