"""How late the loop was of late: said by whoever sleeps in it anyway, once a second, so that nothing wakes for it."""

from __future__ import annotations

from collections import deque
from typing import Final

TICKS: Final = 10


class Lag:
    """The worst of the last ticks, and what the tick that is due owes already. Seconds of the loop's own time."""

    def __init__(self, ticks: int = TICKS) -> None:
        self._late: deque[float] = deque(maxlen=ticks)
        self._due: float | None = None

    def due(self, at: float) -> None:
        """A tick is to come at `at`."""
        self._due = at

    def came(self, now: float) -> None:
        """It has come.

        >>> lag = Lag(ticks=2)
        >>> lag.due(1.0); lag.came(4.0); lag.worst(4.0)
        3.0
        >>> for second in (5.0, 6.0):
        ...     lag.due(second); lag.came(second)
        >>> lag.worst(6.0)
        0.0
        """
        if self._due is not None:
            self._late.append(max(0.0, now - self._due))
            self._due = None

    def worst(self, now: float) -> float:
        """0 when nothing is known."""
        owed = 0.0 if self._due is None else max(0.0, now - self._due)
        return max(owed, *self._late, 0.0)
