"""Poll sources whose waits say how long a look may take: the longest `timeout` of them rules the cut."""

from __future__ import annotations

from collections import Counter
from typing import Final

from bide.runtime.clock import SECOND
from bide.triggers.base import PollSource, Registration

_LEEWAY_US: Final = 5 * SECOND
"""A source ends its looks by itself, and says why; the cut is for one that does not."""


class TimeLimited(PollSource):
    """Counts the time limits of its waits. A subclass that overrides `add` or `remove` calls these."""

    def __init__(self) -> None:
        self._time_limits: Counter[float] = Counter()

    def add(self, registration: Registration) -> None:
        self._time_limits[registration.trigger.timeout] += 1
        self._set_limit()

    def remove(self, registration: Registration, reason: str) -> None:
        self._time_limits[registration.trigger.timeout] -= 1
        self._set_limit()

    def _set_limit(self) -> None:
        self._time_limits = +self._time_limits
        longest_s = max(self._time_limits, default=None)
        self.limit_us = PollSource.limit_us if longest_s is None else round(longest_s * SECOND) + _LEEWAY_US
