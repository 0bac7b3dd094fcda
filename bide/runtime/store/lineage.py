"""Where a version comes from and where it went: versions made of versions, with code, gates and deliveries."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bide.runtime import typed


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class LineageRead(_Read, frozen=True):
    """One version. `checks` is JSON: [[name, severity, passed], ...]; `code` the hash of the DAG's version."""

    version: int
    asset: str
    node: str
    owner: str
    start_us: int
    end_us: int
    state: str
    reason: str
    created_us: int
    label: str
    dag: str | None
    task: str | None
    run_id: int | None
    attempt: int | None
    code: str | None
    checks: str
    target: str | None
    delivery: str | None
    delivered_us: int | None


class EdgeRead(_Read, frozen=True):
    """`version` was made of `input`."""

    version: int
    input: int
    kind: str


_VERSION: Final = (
    "SELECT v.asset_version_id, a.name, a.node, a.owner, v.start_us, v.end_us, v.state, v.reason, v.created_us, v.label,"
    " d.name, i.task, v.run_id, t.number, c.hash,"
    " (SELECT json_group_array(json_array(k.name, k.severity, k.passed)) FROM asset_check k"
    " WHERE k.asset_version_id = v.asset_version_id), y.target, y.state, y.delivered_us"
    " FROM json_each(?) f CROSS JOIN asset_version v ON v.asset_version_id = f.value JOIN asset a USING (asset_id)"
    " LEFT JOIN dag d USING (dag_id) LEFT JOIN task_instance i USING (instance_id)"
    " LEFT JOIN attempt t ON t.attempt_id = v.attempt_id LEFT JOIN dag_version c ON c.version_id = v.dag_version_id"
    " LEFT JOIN delivery y ON y.asset_version_id = v.asset_version_id ORDER BY v.asset_version_id"
)


def versions(conn: sqlite3.Connection, numbers: Sequence[int]) -> list[LineageRead]:
    return typed.convert(conn.execute(_VERSION, (_listed(numbers),)).fetchall(), list[LineageRead])


def edges(conn: sqlite3.Connection, start: int, up: bool, depth: int, limit: int) -> list[EdgeRead]:
    """What a version was made of (`up`), or what was made of it: level by level, no more than `limit`."""
    side, other = ("asset_version_id", "input_id") if up else ("input_id", "asset_version_id")
    sql = (
        f"SELECT i.asset_version_id, i.input_id, i.kind FROM json_each(?) f CROSS JOIN asset_input i ON i.{side} = f.value"
        f" ORDER BY i.{side}, i.{other} LIMIT ?"
    )
    found: list[EdgeRead] = []
    seen, level = {start}, [start]
    while level and depth > 0 and len(found) < limit:
        rows = conn.execute(sql, (_listed(level), limit - len(found))).fetchall()
        found += typed.convert(rows, list[EdgeRead])
        level = sorted({row[1] if up else row[0] for row in rows} - seen)
        seen.update(level)
        depth -= 1
    return found


def told(conn: sqlite3.Connection, version: int) -> list[tuple[str, int]]:
    """(DAG, run) of those that were given this version and made a run of it."""
    return conn.execute(
        "SELECT d.name, r.run_id FROM run_trigger t JOIN run r USING (run_id) JOIN dag d USING (dag_id)"
        " WHERE t.asset_version_id = ? ORDER BY r.run_id LIMIT 100",
        (version,),
    ).fetchall()


def alerts(conn: sqlite3.Connection, version: int) -> list[tuple[int, str]]:
    """(alert, owner) of those who were told that it is affected by an invalidation."""
    return conn.execute(
        "SELECT l.alert_id, json_extract(l.payload, '$.owner') FROM invalidation_hit h JOIN asset_version v"
        " USING (asset_version_id) JOIN asset a USING (asset_id)"
        " JOIN alert l ON l.key = 'invalidation:' || h.invalidation_id || ':' || a.owner"
        " WHERE h.asset_version_id = ? ORDER BY l.alert_id",
        (version,),
    ).fetchall()


def _listed(numbers: Sequence[Any]) -> str:
    return msgspec.json.encode(numbers).decode()
