"""A shadow version beside the one that consumers see: what is different. Pure."""

from __future__ import annotations

from typing import Any

import msgspec


class Side(msgspec.Struct, frozen=True):
    """What is known of a version: its label, what was said of it, its schema (JSON), its gates by name."""

    version_id: int
    label: str
    meta: dict[str, Any] = {}
    schema_id: int | None = None
    schema: Any = None
    checks: dict[str, bool] = {}


def difference(mine: Side, seen: Side | None) -> dict[str, Any]:
    """What is different, as (seen, shadow); `against` is the number of the version that is seen, None: there is none.

    >>> difference(Side(2, "b", {"rows": 3}), Side(1, "a", {"rows": 2}))
    {'against': 1, 'meta': {'rows': [2, 3]}}
    """
    found: dict[str, Any] = {"against": None if seen is None else seen.version_id}
    if seen is None:
        return found
    if mine.schema_id != seen.schema_id:
        found["schema"] = [seen.schema, mine.schema]
    if meta := _pairs(seen.meta, mine.meta):
        found["meta"] = meta
    if checks := _pairs(seen.checks, mine.checks):
        found["checks"] = checks
    return found


def _pairs(one: dict[str, Any], other: dict[str, Any]) -> dict[str, list[Any]]:
    names = dict.fromkeys((*one, *other))
    return {name: [one.get(name), other.get(name)] for name in names if one.get(name) != other.get(name)}
