"""The only place that reads the system's clocks; everything else is handed a `Clock`.

All instants are integers: microseconds since the epoch, UTC. Spans are integer microseconds.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LONGEST: Final = timedelta(days=365_000)
"""No span that somebody writes is longer: an instant that far away is still a date, and fits the store."""

LAST_US: Final = 253_402_128_000 * SECOND
"""9999-12-30, UTC: the last instant that is a date in every zone. No deadline is later."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_US: Final = timedelta(microseconds=1)


class Clock(Protocol):
    """Wall time to write down, monotonic time to measure with, and a way to wait."""

    def now(self) -> int:
        """Wall time: epoch microseconds, UTC. May step in either direction."""
        ...

    def elapsed(self) -> int:
        """Time since some start, microseconds; never steps, and counts a suspended machine."""
        ...

    async def sleep_until(self, at_us: int) -> None:
        """Return once `now()` has reached `at_us`; at once when it has already."""
        ...


class SystemClock:
    """The machine's clocks. Suspend counts as elapsed (CLOCK_BOOTTIME where there is one)."""

    def __init__(self) -> None:
        self._elapsed_id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> int:
        return time.time_ns() // 1000

    def elapsed(self) -> int:
        return time.clock_gettime_ns(self._elapsed_id) // 1000

    async def sleep_until(self, at_us: int) -> None:
        """Sleeps at most a second at a time, so that a step of the wall clock is noticed."""
        while (left := at_us - self.now()) > 0:
            await asyncio.sleep(min(left, SECOND) / SECOND)


def monotonic_us() -> int:
    """CLOCK_MONOTONIC in microseconds: the clock by which systemd tells one reload from the next."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def to_us(when: datetime) -> int:
    """Epoch microseconds of an aware datetime, exact.

    >>> to_us(datetime(2026, 6, 15, tzinfo=UTC))
    1781481600000000
    """
    return (when - _EPOCH) // _ONE_US


def from_us(at_us: int) -> datetime:
    """The aware UTC datetime of an instant.

    >>> from_us(1781481600000000).isoformat()
    '2026-06-15T00:00:00+00:00'
    """
    return _EPOCH + timedelta(microseconds=at_us)


def span_us(span: timedelta) -> int:
    """A span in microseconds.

    >>> span_us(timedelta(seconds=1.5))
    1500000
    """
    return span // _ONE_US
