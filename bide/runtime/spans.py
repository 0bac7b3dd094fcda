"""Spans of time `[start, end)` in epoch microseconds: whether they cover one another. Pure."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def covers(span: Span, parts: Iterable[Span]) -> bool:
    """Whether the parts leave no gap in `[start, end)`.

    >>> covers((0, 4), [(2, 4), (0, 1), (1, 2)]), covers((0, 4), [(0, 1), (2, 9)])
    (True, False)
    """
    at, end = span
    for start, until in sorted(parts):
        if start > at:
            return False
        at = max(at, until)
        if at >= end:
            return True
    return at >= end


def share(span: Span, parts: Iterable[Span]) -> float:
    """How much of a span the parts cover, 0 to 1.

    >>> share((0, 4), [(0, 1), (0, 2)])
    0.5
    """
    start, end = span
    at, covered = start, 0
    for low, high in sorted(parts):
        more = min(high, end) - max(low, at)
        if more > 0:
            covered += more
            at = min(high, end)
    return covered / (end - start) if end > start else 0.0
