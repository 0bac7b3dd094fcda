"""What is asked about assets, on a connection that may be read-only: versions, consumers, events."""

from __future__ import annotations

import sqlite3
from typing import Final, TypeVar

import msgspec

from bide.runtime import typed
from bide.runtime.store.facts import VersionRow, versions_over
from bide.runtime.store.rows import in_one, in_words, instant, number, span

L = TypeVar("L", bound=msgspec.Struct)


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class VersionRead(_Read, frozen=True):
    version: int
    state: str
    start_us: int
    end_us: int
    created_us: int
    run_id: int | None
    dag: str | None
    task: str | None
    runs: str
    """Ids of the runs it made, JSON."""
    reason: str
    label: str
    held: int
    shadow: int
    meta: str | None
    limits: str | None
    checks: str
    """What its gates found, JSON: objects."""


class EventRead(_Read, frozen=True):
    """A version as a consumer has it: `state` is pending, used, superseded or dropped."""

    asset: str
    version: int
    start_us: int
    end_us: int
    part_us: int
    again: int
    state: str
    run_id: int | None
    reason: str
    created_us: int


class CursorRead(_Read, frozen=True):
    asset: str
    version: int
    newest: int


class ConsumerRead(_Read, frozen=True):
    dag_id: int
    schedule: str
    options: str
    paused: int
    removed: int
    open_runs: int


_SEEN: Final = "('published', 'stale', 'degraded', 'superseded', 'invalidated')"
_LINE: Final = {
    "asset": "name",
    "version": number("asset_version_id"),
    "interval": f"json(iif(start_us IS NULL, NULL, {span('start_us', 'end_us')}))",
    "created_at": instant("created_us"),
    "producers": "json('[]')",
    "consumers": "json('[]')",
}
_ASSETS: Final = (
    "SELECT a.name, v.asset_version_id, v.start_us, v.end_us, v.created_us FROM asset a LEFT JOIN asset_version v"
    " ON v.asset_version_id = (SELECT w.asset_version_id FROM asset_version w WHERE w.asset_id = a.asset_id"
    f" AND w.state IN {_SEEN} ORDER BY w.asset_version_id DESC LIMIT 1)"
)
_LOADED: Final = "dag d JOIN dag_version v ON v.version_id = d.version_id AND d.removed = 0"


def declared(conn: sqlite3.Connection, name: str) -> str:
    """JSON of what is declared of an asset; "{}" where nothing is."""
    row = conn.execute("SELECT spec FROM asset WHERE name = ?", (name,)).fetchone()
    return "{}" if row is None else str(row[0])


def asset_of(conn: sqlite3.Connection, version_id: int) -> str | None:
    """The asset that a version is of; None: there is no such version."""
    row = conn.execute(
        "SELECT a.name FROM asset_version v JOIN asset a USING (asset_id) WHERE v.asset_version_id = ?",
        (version_id,),
    ).fetchone()
    return None if row is None else str(row[0])


def names(conn: sqlite3.Connection) -> list[str]:
    """Of all assets."""
    return [row[0] for row in conn.execute("SELECT name FROM asset ORDER BY name").fetchall()]


def assets(conn: sqlite3.Connection, shape: type[L], name: str | None, limit: int, after: str) -> list[L]:
    """Assets by name, those behind `after`, or the one of that name; in the words of the doors, but for who makes and who uses them."""
    sql = f"{_ASSETS} WHERE (?1 IS NULL OR a.name = ?1) AND a.name > ?3 ORDER BY a.name LIMIT ?2"
    return in_words(conn, shape, sql, _LINE, (name, limit, after))


def producers(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    """(asset, `dag.task`) of the DAGs that are loaded."""
    return conn.execute(
        "SELECT o.value, d.name || '.' || json_extract(t.value, '$.name')"
        f" FROM {_LOADED}, json_each(v.spec, '$.tasks') t, json_each(t.value, '$.outlets') o"
        " WHERE instr(v.spec, '\"outlets\"') > 0 ORDER BY 1, 2"
    ).fetchall()


def zone(conn: sqlite3.Connection, asset: str) -> str:
    """The zone that dates of an asset are read in: its own, else that of the DAGs that make it, where it is one."""
    own = conn.execute("SELECT json_extract(spec, '$.tz') FROM asset WHERE name = ?", (asset,)).fetchone()
    if own is not None and own[0]:
        return str(own[0])
    made = conn.execute(
        f"SELECT DISTINCT coalesce(json_extract(v.spec, '$.tz'), 'UTC') FROM {_LOADED}, json_each(v.spec, '$.tasks') t,"
        " json_each(t.value, '$.outlets') o WHERE o.value = ? AND instr(v.spec, '\"outlets\"') > 0",
        (asset,),
    ).fetchall()
    return str(made[0][0]) if len(made) == 1 else "UTC"


def consumers(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    """(asset, dag) of the DAGs whose schedule looks at it."""
    return conn.execute(
        "SELECT a.name, d.name FROM asset_cursor c JOIN asset a USING (asset_id) JOIN dag d USING (dag_id)"
        " WHERE d.removed = 0 ORDER BY 1, 2"
    ).fetchall()


def versions(conn: sqlite3.Connection, asset: str, limit: int, before: int = 2**63 - 1) -> list[VersionRead]:
    """The newest first of those below `before`, each with the runs that it made."""
    return in_one(
        conn,
        VersionRead,
        "SELECT v.asset_version_id, v.state, v.start_us, v.end_us, v.created_us, v.run_id, d.name, i.task,"
        " (SELECT json_group_array(DISTINCT r.run_id) FROM run_trigger r"
        " WHERE r.asset_version_id = v.asset_version_id AND r.used = 1), v.reason, v.label, v.held, v.shadow, v.meta,"
        " v.limits, (SELECT json_group_array(json_object('name', c.name, 'severity', c.severity, 'passed',"
        " json(iif(c.passed, 'true', 'false')), 'observed', json(c.observed), 'expected', json(c.expected), 'message',"
        " c.message)) FROM asset_check c WHERE c.asset_version_id = v.asset_version_id)"
        " FROM asset_version v LEFT JOIN dag d USING (dag_id) LEFT JOIN task_instance i USING (instance_id)"
        " WHERE v.asset_id = (SELECT asset_id FROM asset WHERE name = ?)"
        " AND v.asset_version_id < ? ORDER BY v.asset_version_id DESC LIMIT ?",
        (asset, before, limit),
    )


def consumer(conn: sqlite3.Connection, dag: str) -> ConsumerRead | None:
    """A DAG with its schedule, None when there is none of that name."""
    row = conn.execute(
        "SELECT dag_id, schedule, options, paused, removed, (SELECT count(*) FROM run r WHERE r.dag_id = d.dag_id"
        " AND r.kind = 'asset' AND r.ended_us IS NULL) FROM dag d WHERE name = ?",
        (dag,),
    ).fetchone()
    return None if row is None else typed.convert(row, ConsumerRead)


def cursors(conn: sqlite3.Connection, dag_id: int) -> list[CursorRead]:
    """How far a consumer has been given each of its assets, and the newest version there is."""
    return in_one(
        conn,
        CursorRead,
        "SELECT a.name, c.asset_version_id, (SELECT coalesce(max(v.asset_version_id), 0) FROM asset_version v"
        f" WHERE v.asset_id = a.asset_id AND v.quiet = 0 AND v.state IN {_SEEN}) FROM asset_cursor c JOIN asset a USING (asset_id) WHERE c.dag_id = ?"
        " ORDER BY a.name",
        (dag_id,),
    )


_EVENT: Final = (
    "SELECT a.name, v.asset_version_id, v.start_us, v.end_us, e.part_us, e.again, e.state, e.run_id, e.reason,"
    " v.created_us FROM ({}) e JOIN asset_version v USING (asset_version_id) JOIN asset a USING (asset_id)"
)
_PENDING: Final = (
    "SELECT asset_version_id, part_us, again, 'pending' AS state, NULL AS run_id, '' AS reason"
    " FROM asset_pending WHERE dag_id = ?1"
)
_ALL: Final = (
    f"{_PENDING} UNION ALL SELECT t.asset_version_id, t.part_us, t.again,"
    " CASE t.used WHEN 1 THEN 'used' ELSE 'superseded' END, t.run_id, ''"
    " FROM run_trigger t JOIN run r USING (run_id) WHERE r.dag_id = ?1"
    " UNION ALL SELECT asset_version_id, part_us, again, 'dropped', NULL, reason FROM asset_drop WHERE dag_id = ?1"
)


Place = tuple[int, int, int, int]
"""(version, part, again, run or 0) of an event, by which they are in order."""
_OLDEST: Final[Place] = (-1, 0, 0, 0)
_NEWEST: Final[Place] = (2**63 - 1, 0, 0, 0)
_AT: Final = "v.asset_version_id, e.part_us, e.again, ifnull(e.run_id, 0)"
_DOWN: Final = "v.asset_version_id DESC, e.part_us DESC, e.again DESC, ifnull(e.run_id, 0) DESC"


def pending(
    conn: sqlite3.Connection, dag_id: int, limit: int = 100_000, last: Place | None = None
) -> list[EventRead]:
    """What a consumer has before it, oldest first, behind a place."""
    sql = f"{_EVENT.format(_PENDING)} WHERE ({_AT}) > (?3, ?4, ?5, ?6) ORDER BY {_AT} LIMIT ?2"
    return in_one(conn, EventRead, sql, (dag_id, limit, *(last or _OLDEST)))


def events(conn: sqlite3.Connection, dag_id: int, limit: int, last: Place | None = None) -> list[EventRead]:
    """What a consumer has been given, whatever became of it, newest first, behind a place."""
    sql = f"{_EVENT.format(_ALL)} WHERE ({_AT}) < (?3, ?4, ?5, ?6) ORDER BY {_DOWN} LIMIT ?2"
    return in_one(conn, EventRead, sql, (dag_id, limit, *(last or _NEWEST)))


def made_of(conn: sqlite3.Connection, run_id: int) -> list[tuple[str, int, int, int, int]]:
    """(asset, version, start_us, end_us, used) of the versions that made a run; none made most runs."""
    return conn.execute(
        "SELECT a.name, v.asset_version_id, v.start_us, v.end_us, t.used FROM run_trigger t"
        " JOIN asset_version v USING (asset_version_id) JOIN asset a USING (asset_id) WHERE t.run_id = ?"
        " ORDER BY t.used DESC, v.asset_version_id LIMIT 100",
        (run_id,),
    ).fetchall()


def published_over(conn: sqlite3.Connection, asset: str, start_us: int, end_us: int) -> list[VersionRow]:
    """The versions of an asset that share something with `[start, end)`."""
    return versions_over(conn, asset, start_us, end_us)
