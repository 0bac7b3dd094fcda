"""How assets stand, interval by interval: the version that counts for each, and by when the next one is promised."""

from __future__ import annotations

import sqlite3
from typing import Final, TypeVar

import msgspec

from bide.runtime.store.rows import in_one, in_words, instant, number, object_of, span

L = TypeVar("L", bound=msgspec.Struct)


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class StandingRead(_Read, frozen=True):
    """An asset, the promise of it that is judged next, and its newest intervals, JSON of their shape."""

    name: str
    spec: str
    start_us: int | None
    end_us: int | None
    due_us: int | None
    said: str
    parts: msgspec.Raw


_USABLE: Final = "('published', 'stale', 'degraded')"
_WRONG: Final = "('invalidated', 'quarantined')"
_PLACE: Final = 2**61
"""More than any version's number: what consumers see counts; else what is known to be wrong; else the last that was made."""
_LAST: Final = """(SELECT n.{what} FROM asset_version n WHERE n.asset_id = found.asset_id AND n.start_us = found.start_us
  AND n.end_us = found.end_us AND n.shadow = 0 ORDER BY n.asset_version_id DESC LIMIT 1)"""
# with one `max` the other columns are those of its row
_PARTS: Final = f"""
SELECT asset_id, start_us, end_us, asset_version_id, state, reason, created_us, limits, count(*) AS versions,
  max((CASE WHEN state IN {_USABLE} THEN 2 WHEN state IN {_WRONG} THEN 1 ELSE 0 END) * {_PLACE} + asset_version_id)
FROM asset_version WHERE asset_id = {{asset}} AND shadow = 0 AND (start_us, end_us) < ({{start}}, {{end}})
GROUP BY start_us, end_us ORDER BY start_us DESC, end_us DESC LIMIT {{limit}}
"""
_LIMITS: Final = (
    "json_object('reason', ifnull(json_extract(limits, '$.reason'), ''),"
    " 'known_limitations', json(ifnull(json_extract(limits, '$.known_limitations'), '[]')),"
    " 'approved_by', ifnull(json_extract(limits, '$.approved_by'), ''),"
    " 'expires_at', " + instant("json_extract(limits, '$.expires_us')") + ")"
)
_WORDS: Final = {
    "interval": span("start_us", "end_us"),
    "version": number("asset_version_id"),
    "created_at": instant("created_us"),
    "newest": f"iif(versions = 1, {number('asset_version_id')}, {number(_LAST.format(what='asset_version_id'))})",
    "newest_state": f"iif(versions = 1, state, {_LAST.format(what='state')})",
    "place": "start_us || '.' || end_us",
    "limits": f"json(iif(limits IS NULL, NULL, {_LIMITS}))",
}
_NEWEST: Final = 2**63 - 1


def standings(
    conn: sqlite3.Connection, part: type[msgspec.Struct], shown: int, limit: int, after: str
) -> list[StandingRead]:
    """Assets by name, those behind `after`, each with `shown` intervals in the shape `part`."""
    parts = _PARTS.format(asset="a.asset_id", start=_NEWEST, end=0, limit="?3")
    return in_one(
        conn,
        StandingRead,
        "SELECT a.name, a.spec, e.start_us, e.end_us, e.due_us, ifnull(e.said, ''),"
        f" json((SELECT json_group_array({object_of(part, _WORDS)}) FROM ({parts}) found))"
        " FROM (SELECT asset_id, name, spec FROM asset WHERE name > ?1 ORDER BY name LIMIT ?2) a"
        " LEFT JOIN expected e ON e.asset_id = a.asset_id AND e.due_us = (SELECT min(x.due_us) FROM expected x"
        " WHERE x.asset_id = a.asset_id) GROUP BY a.asset_id ORDER BY a.name LIMIT -1",
        (after, limit, shown),
        parsed=("parts",),
    )


def asset_id(conn: sqlite3.Connection, name: str) -> int | None:
    row = conn.execute("SELECT asset_id FROM asset WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def parts(
    conn: sqlite3.Connection,
    shape: type[L],
    asset_id: int,
    limit: int,
    before: tuple[int, int] | None = None,
) -> list[L]:
    """The newest intervals, those before `(start, end)`: no more of them are read than are asked for."""
    sql = _PARTS.format(asset="?1", start="?2", end="?3", limit="?4").strip()
    return in_words(conn, shape, sql, _WORDS, (asset_id, *(before or (_NEWEST, 0)), limit))
