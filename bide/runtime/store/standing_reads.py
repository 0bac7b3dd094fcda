"""How assets stand, interval by interval: the version that counts for each, and by when the next one is promised."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

import msgspec

from bide.runtime import typed


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class PartRead(_Read, frozen=True):
    """An interval of an asset: the version that counts, how many there are, and the last one made."""

    start_us: int
    end_us: int
    version: int
    state: str
    reason: str
    created_us: int
    versions: int
    newest: int
    newest_state: str
    limits: str | None


class StandingRead(_Read, frozen=True):
    """An asset, and the promise of it that is judged next."""

    asset_id: int
    name: str
    spec: str
    start_us: int | None
    end_us: int | None
    due_us: int | None
    said: str


_Row = tuple[int, int, int, str, str, int, str | None]
_USABLE: Final = frozenset({"published", "stale", "degraded"})
_WRONG: Final = frozenset({"invalidated", "quarantined"})


def standings(conn: sqlite3.Connection, limit: int, after: str) -> list[StandingRead]:
    """Assets by name, those behind `after`."""
    found = conn.execute(
        "SELECT a.asset_id, a.name, a.spec, e.start_us, e.end_us, e.due_us, ifnull(e.said, '') FROM asset a"
        " LEFT JOIN expected e ON e.asset_id = a.asset_id AND e.due_us = (SELECT min(x.due_us) FROM expected x"
        " WHERE x.asset_id = a.asset_id) WHERE a.name > ? GROUP BY a.asset_id ORDER BY a.name LIMIT ?",
        (after, limit),
    ).fetchall()
    return typed.convert(found, list[StandingRead])


def asset_id(conn: sqlite3.Connection, name: str) -> int | None:
    row = conn.execute("SELECT asset_id FROM asset WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def parts(
    conn: sqlite3.Connection, asset_id: int, limit: int, before: tuple[int, int] | None = None
) -> list[PartRead]:
    """The newest intervals, those before `(start, end)`: no more of them are read than are asked for."""
    rows = conn.execute(
        "SELECT start_us, end_us, asset_version_id, state, reason, created_us, limits FROM asset_version"
        " WHERE asset_id = ?1 AND shadow = 0 AND (start_us, end_us) < (?2, ?3)"
        " ORDER BY start_us DESC, end_us DESC",
        (asset_id, *(before or (2**63 - 1, 0))),
    )
    found: list[PartRead] = []
    for part in _parts(rows):
        found.append(part)
        if len(found) == limit:
            break
    rows.close()
    return found


def _parts(rows: Iterator[_Row]) -> Iterator[PartRead]:
    one: list[_Row] = []
    for row in rows:
        if one and one[0][:2] != row[:2]:
            yield _part(one)
            one = []
        one.append(row)
    if one:
        yield _part(one)


def _part(rows: list[_Row]) -> PartRead:
    """What consumers see counts; else what is known to be wrong; else the last that was made."""
    start, end, version, state, reason, created, limits = max(
        rows, key=lambda row: (row[3] in _USABLE, row[3] in _WRONG, row[2])
    )
    newest = max(rows, key=lambda row: row[2])
    return PartRead(start, end, version, state, reason, created, len(rows), newest[2], newest[3], limits)
