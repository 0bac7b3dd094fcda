"""Instants, spans and reasons in words, as the answers to `why` have them."""

from __future__ import annotations

from typing import Final

from bide.runtime.clock import DAY, HOUR, MINUTE, SECOND, from_us
from bide.runtime.engine.explain.facts import Late, Progress

ASLEEP: Final = "nothing moves until a runtime opens this database: start `bide serve`, or `bide run` the DAG"
STOPPING: Final = "the runtime is stopping and starts nothing new"


def span_words(us: int) -> str:
    """A span for people, its two largest units.

    >>> span_words(93_784_000_000), span_words(1_500_000), span_words(4_000)
    ('1d 2h', '1.5s', '4ms')
    """
    us = abs(us)
    if us < SECOND:
        return f"{us // 1000}ms"
    if us < MINUTE:
        return f"{us / SECOND:.1f}s".replace(".0s", "s")
    parts: list[str] = []
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        count, us = divmod(us, unit)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def instant_words(at_us: int, now: int) -> str:
    """An instant in UTC, and how far it is from `now`.

    >>> instant_words(1781481600000000, 1781481600000000 - 90_000_000)
    '2026-06-15 00:00:00Z (in 1m 30s)'
    """
    stamp = f"{from_us(at_us):%Y-%m-%d %H:%M:%S}Z"
    if at_us == now:
        return f"{stamp} (now)"
    return (
        f"{stamp} (in {span_words(at_us - now)})"
        if at_us > now
        else f"{stamp} ({span_words(now - at_us)} ago)"
    )


def progress_words(progress: Progress) -> str:
    """How far something is, with the share where that is known.

    >>> progress_words(Progress(1200, 5000)), progress_words(Progress(0.5))
    ('1200 of 5000 (24 %)', '0.5')
    """
    done, total = progress.done, progress.total
    if total is None:
        return f"{done:.15g}"
    share = f" ({100 * done / total:.0f} %)" if total > 0 else ""
    return f"{done:.15g} of {total:.15g}{share}"


def late_words(late: Late, now: int) -> str:
    """Since when something is late, and what was promised.

    >>> late_words(Late("by 05:45 Europe/Berlin", 1781495100000000), 1781495100000000)
    'late since 05:45 Europe/Berlin, 2026-06-15 03:45:00Z (now)'
    """
    wall = late.promise.removeprefix("by ")
    said = f" {wall}," if wall != late.promise else ""
    promised = "" if said else f", promised {late.promise}"
    return f"late since{said} {instant_words(late.due_us, now)}{promised}"


def because(reason: str) -> str:
    return f": {reason}" if reason else ""
