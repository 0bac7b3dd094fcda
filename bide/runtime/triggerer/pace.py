"""How long it is to the next look: the poll interval, stretched by `backoff` and by looks that fail."""

from __future__ import annotations

from typing import Final

from bide.runtime.clock import HOUR, MINUTE, SECOND

_FAILING_MOST_US: Final = 5 * MINUTE
_PATIENT_MOST_US: Final = HOUR


def period_us(poll_us: int, backoff: float, misses: int, failures: int) -> int:
    """The time between two looks, after `misses` that ended nothing, the last `failures` of them blind.

    >>> [period_us(10 * SECOND, 2.0, misses, 0) // SECOND for misses in (1, 2, 3)]
    [10, 20, 40]
    """
    period = float(poll_us)
    if backoff > 1:
        period = min(period * backoff ** min(max(misses - 1, 0), 64), max(period, _PATIENT_MOST_US))
    if failures > 1:
        period = max(period, min(poll_us * 2.0 ** min(failures - 1, 32), max(period, _FAILING_MOST_US)))
    return int(period)


def least_us(poll_us: int) -> int:
    """No two looks are closer than this, whatever a verdict asks for."""
    return min(SECOND, poll_us)


__all__ = ["least_us", "period_us"]
