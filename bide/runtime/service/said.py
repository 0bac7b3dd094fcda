"""What is handed to an operation, as it is said over HTTP: an asset by its name, a date in ISO 8601, a pair as FROM..TO.

The words are those that `addresses.py` reads, so a value means the same through every door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from enum import Enum
from typing import Any, Final

import msgspec

_NUMBERED: Final = ("invalidation_id", "plan_id", "version_id", "version")


def said(value: Any) -> Any:
    """A value as JSON has it.

    >>> said(date(2026, 6, 15)), said((date(2026, 6, 1), date(2026, 6, 3)))
    ('2026-06-15', '2026-06-01..2026-06-03')
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): said(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        if len(value) == 2 and all(isinstance(each, date) for each in value):
            return f"{said(value[0])}..{said(value[1])}"
        return [said(each) for each in value]
    if isinstance(value, AbstractSet):
        return sorted(said(each) for each in value)
    return _of_ours(value)


def _of_ours(value: Any) -> Any:
    """An interval, an asset, or what has a number."""
    if hasattr(value, "start") and hasattr(value, "end"):
        return f"{said(value.start)}..{said(value.end)}"
    for field in _NUMBERED:
        if hasattr(value, field):
            return str(getattr(value, field))
    if isinstance(name := getattr(value, "name", None), str):
        return name
    return msgspec.to_builtins(value)
