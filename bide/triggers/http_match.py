"""What an HTTP answer is compared with: status ranges and a path into its JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import msgspec

from bide.runtime.errors import UsageError

Ranges = tuple[tuple[int, int], ...]
"""Inclusive pairs: `((200, 299), (404, 404))`."""

Statuses = int | str | tuple[int | str | tuple[int, int], ...]
"""What an author may write: `204`, `"2xx"`, `(200, 204, "3xx", (500, 599))`."""

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]|\[\"([^\"]*)\"\]")
ABSENT: Final = object()


def status_ranges(written: Any, what: str) -> Ranges:
    """Inclusive ranges of what was written; `UsageError` names the option `what`.

    >>> status_ranges((204, "3xx", (500, 502)), "expect_status")
    ((204, 204), (300, 399), (500, 502))
    """
    parts: Iterable[Any] = written if isinstance(written, list | tuple | set | frozenset) else (written,)
    ranges: list[tuple[int, int]] = []
    for part in parts:
        match part:
            case bool():
                low, high = 0, 0
            case int():
                low, high = part, part
            case str() if re.fullmatch(r"[1-5]xx", part):
                low, high = int(part[0]) * 100, int(part[0]) * 100 + 99
            case str() if part.isdecimal():
                low, high = int(part), int(part)
            case range() if part.step == 1 and len(part):
                low, high = part[0], part[-1]
            case (int(low), int(high)):
                pass
            case _:
                low, high = 0, 0
        if not 100 <= low <= high <= 599:
            raise UsageError(
                f'{what} has {part!r}: write statuses from 100 to 599 as 204, "2xx" or (200, 299)'
            )
        ranges.append((low, high))
    return tuple(ranges)


def within(status: int, ranges: Ranges) -> bool:
    return any(low <= status <= high for low, high in ranges)


@lru_cache(maxsize=1024)
def path_steps(path: str) -> tuple[str | int, ...]:
    """The keys and indexes of a path like `data.items[0].state`; `UsageError` when it has none.

    >>> path_steps('data.items[0]["odd.key"]')
    ('data', 'items', 0, 'odd.key')
    """
    steps: list[str | int] = []
    at = 2 if path.startswith("$.") else 1 if path.startswith("$") else 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            break
        name, index, quoted = step.groups()
        steps.append(int(index) if index is not None else name if name is not None else quoted)
        at = step.end()
    if at != len(path) or not path:
        raise UsageError(
            f"json_path {path!r} cannot be read at character {at}: "
            'write keys and indexes like data.items[0].state or a["odd.key"]'
        )
    return tuple(steps)


def at_path(document: Any, steps: tuple[str | int, ...]) -> Any:
    """The value there, or `ABSENT`.

    >>> at_path({"data": [{"state": "done"}]}, ("data", 0, "state"))
    'done'
    """
    for step in steps:
        match document, step:
            case dict(), str() if step in document:
                document = document[step]
            case dict(), int() if str(step) in document:
                document = document[str(step)]
            case list(), int() if -len(document) <= step < len(document):
                document = document[step]
            case _:
                return ABSENT
    return document


def parsed(text: str) -> Any:
    """The JSON of `text`, or `ABSENT`."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return ABSENT
