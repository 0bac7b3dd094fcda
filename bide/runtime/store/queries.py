"""Reads `queries.sql`: named statements, each with one line of why."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import msgspec


class Query(msgspec.Struct, frozen=True):
    name: str
    why: str
    sql: str


@cache
def queries() -> dict[str, Query]:
    """Every statement of the file beside this module, by name."""
    text = resources.files("bide.runtime.store").joinpath("queries.sql").read_text(encoding="utf-8")
    found: dict[str, Query] = {}
    for block in re.split(r"^-- :name ", text, flags=re.MULTILINE)[1:]:
        name, why, sql = block.split("\n", 2)
        if name in found or not why.startswith("-- ") or not sql.strip():
            raise ValueError(f"queries.sql: {name!r} is given twice, or lacks its line of why or its SQL")
        found[name] = Query(name, why[3:], sql.strip().removesuffix(";"))
    return found


def sql_of(name: str) -> str:
    return queries()[name].sql
