"""Intervals, spans and versions in words, as the reasons of decisions have them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bide.runtime.assets.judged import Version
from bide.runtime.clock import DAY, from_us


def instant_words(at_us: int) -> str:
    """An instant in UTC, as short as it can be told.

    >>> instant_words(1781481600000000), instant_words(1781481600000000 + 5_400_000_000)
    ('2026-06-15', '2026-06-15 01:30Z')
    """
    if at_us % DAY == 0:
        return f"{from_us(at_us):%Y-%m-%d}"
    at = from_us(at_us)
    return f"{at:%Y-%m-%d %H:%M}Z" if not at.second and not at.microsecond else f"{at:%Y-%m-%d %H:%M:%S}Z"


def interval_words(start_us: int, end_us: int) -> str:
    """A data interval: its day, the instant that it is, or from and to.

    >>> interval_words(1781481600000000, 1781568000000000)
    '2026-06-15'
    """
    if start_us == end_us:
        return instant_words(start_us)
    if start_us % DAY == 0 and end_us - start_us == DAY:
        return instant_words(start_us)
    return f"{instant_words(start_us)} to {instant_words(end_us)}"


def long(us: int) -> str:
    """A span; of a minute and more in whole seconds.

    >>> long(7_200_000_000), long(90_007_000), long(7_000)
    ('2:00:00', '0:01:30', '0:00:00.007000')
    """
    return str(timedelta(microseconds=us - us % 1_000_000 if us >= 60_000_000 else us))


def version_words(version: Version) -> str:
    """`version 12 of 2026-06-15`, with the label that it was staged with."""
    label = f" ({version.label})" if version.label else ""
    return f"version {version.version_id}{label} of {interval_words(version.start_us, version.end_us)}"


def versions_words(versions: Sequence[Version]) -> str:
    """The first of several, and how many more."""
    more = f" and {len(versions) - 1} more" if len(versions) > 1 else ""
    return f"{version_words(versions[0])}{more}" if versions else "no version"
