"""What the database has of incidents: their rows and entries, and all that the runbook is answered from."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.runbook import Facts, Hit, Note
from bide.runtime.assets.words import Criticality, Severity
from bide.runtime.clock import from_us
from bide.runtime.store.rows import in_one


class IncidentRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of `incident`, and how many entries it has."""

    incident_id: int
    invalidation_id: int | None
    plan_id: int | None
    severity: str
    state: str
    closed_us: int | None
    closed_by: str
    entries: int


class IncidentRead(msgspec.Struct, frozen=True, array_like=True):
    """An incident as it is listed."""

    incident_id: int
    title: str
    asset: str | None
    invalidation_id: int | None
    plan_id: int | None
    severity: str
    state: str
    opened_us: int
    opened_by: str
    closed_us: int | None
    closed_by: str


class EntryRead(msgspec.Struct, frozen=True, array_like=True):
    n: int
    at_us: int
    step: str
    by: str
    text: str
    data: str


_INCIDENT: Final = (
    "SELECT i.incident_id, i.title, a.name, i.invalidation_id, i.plan_id, i.severity, i.state, i.opened_us,"
    " i.opened_by, i.closed_us, i.closed_by FROM incident i LEFT JOIN asset a ON a.asset_id = i.asset_id"
)


def incident_row(conn: sqlite3.Connection, incident_id: int) -> IncidentRow | None:
    """What a command needs of it; None when there is none."""
    row = conn.execute(
        "SELECT incident_id, invalidation_id, plan_id, severity, state, closed_us, closed_by,"
        " (SELECT coalesce(max(n), 0) FROM incident_entry e WHERE e.incident_id = i.incident_id)"
        " FROM incident i WHERE incident_id = ?",
        (incident_id,),
    ).fetchone()
    return None if row is None else typed.convert(row, IncidentRow)


def invalidation_row(conn: sqlite3.Connection, invalidation_id: int) -> tuple[int, str] | None:
    """(asset_id, severity)."""
    found: tuple[int, str] | None = conn.execute(
        "SELECT asset_id, severity FROM invalidation WHERE invalidation_id = ?", (invalidation_id,)
    ).fetchone()
    return found


def plan_state(conn: sqlite3.Connection, plan_id: int) -> str | None:
    row = conn.execute("SELECT state FROM rerun_plan WHERE plan_id = ?", (plan_id,)).fetchone()
    return None if row is None else str(row[0])


def newest_plan(conn: sqlite3.Connection, invalidation_id: int) -> int | None:
    """The newest plan that mends an invalidation."""
    [found] = conn.execute(
        "SELECT max(plan_id) FROM rerun_plan WHERE invalidation_id = ?", (invalidation_id,)
    ).fetchone()
    return None if found is None else int(found)


def listed(
    conn: sqlite3.Connection, state: str | None, limit: int, before: int = 2**63 - 1
) -> list[IncidentRead]:
    """The newest first."""
    return in_one(
        conn,
        IncidentRead,
        f"{_INCIDENT} WHERE (?1 IS NULL OR i.state = ?1) AND i.incident_id < ?3 ORDER BY i.incident_id DESC LIMIT ?2",
        (state, limit, before),
    )


def one(conn: sqlite3.Connection, incident_id: int) -> IncidentRead | None:
    row = conn.execute(f"{_INCIDENT} WHERE i.incident_id = ?", (incident_id,)).fetchone()
    return None if row is None else typed.convert(row, IncidentRead)


def entries(conn: sqlite3.Connection, incident_id: int) -> list[EntryRead]:
    """What was noted, the first first."""
    return in_one(
        conn,
        EntryRead,
        "SELECT n, at_us, step, by, text, data FROM incident_entry WHERE incident_id = ? ORDER BY n",
        (incident_id,),
    )


_HITS: Final = (
    "SELECT v.asset_version_id, a.name, h.was, v.state, a.node, h.action, (SELECT max(o.asset_version_id)"
    " FROM asset_version o WHERE o.asset_id = v.asset_id AND o.start_us = v.start_us AND o.end_us = v.end_us"
    " AND o.asset_version_id > v.asset_version_id AND o.state IN ('published', 'stale', 'degraded')) AS next, 0,"
    " a.criticality"
    " FROM invalidation_hit h JOIN asset_version v ON v.asset_version_id = h.asset_version_id"
    " JOIN asset a ON a.asset_id = v.asset_id WHERE h.invalidation_id = ? ORDER BY v.asset_version_id"
)
_FAILED: Final = "SELECT count(*) FROM asset_check WHERE asset_version_id = ? AND passed = 0"


def facts(conn: sqlite3.Connection, incident: IncidentRead) -> Facts:
    """All that is recorded and answers a step of the runbook."""
    said = Facts(
        asset=incident.asset,
        severity=Severity(incident.severity),
        notes=tuple(Note(each.step, each.by, each.text) for each in entries(conn, incident.incident_id)),
        dimensions=_dimensions(conn, incident.incident_id),
        closed_by=incident.closed_by,
    )
    if incident.asset is not None:
        [node] = conn.execute("SELECT node FROM asset WHERE name = ?", (incident.asset,)).fetchone()
        said = msgspec.structs.replace(said, node=node)
    since = incident.opened_us
    if incident.invalidation_id is not None:
        said, since = _invalidated(conn, said, incident.invalidation_id)
    if incident.plan_id is not None:
        said = _planned(conn, said, incident.plan_id)
    assets = [hit.asset for hit in said.hits] or ([said.asset] if said.asset is not None else [])
    return msgspec.structs.replace(
        said, blocked=_blocked(conn, assets, since), told=_told(conn, said, assets, since)
    )


def _dimensions(conn: sqlite3.Connection, incident_id: int) -> tuple[str, ...]:
    rows = conn.execute(
        "SELECT d.value FROM incident_entry e, json_each(e.data, '$.dimensions') d WHERE e.incident_id = ?"
        " ORDER BY e.n, d.key",
        (incident_id,),
    )
    return tuple(dict.fromkeys(name for (name,) in rows))


def _invalidated(conn: sqlite3.Connection, said: Facts, invalidation_id: int) -> tuple[Facts, int]:
    start, end, cause, reason, state, since = conn.execute(
        "SELECT start_us, end_us, cause, reason, state, discovered_us FROM invalidation WHERE invalidation_id = ?",
        (invalidation_id,),
    ).fetchone()
    hits = typed.convert(
        [tuple(row) for row in conn.execute(_HITS, (invalidation_id,))],
        list[tuple[int, str, str, str, str, str, int | None, int, Criticality]],
    )
    found = tuple(
        Hit(*hit[:7], 0 if hit[6] is None else int(conn.execute(_FAILED, (hit[6],)).fetchone()[0]), hit[8])
        for hit in hits
    )
    interval = f"{_iso(start)} to {_iso(end)}"
    return (
        msgspec.structs.replace(
            said, invalidation=invalidation_id, interval=interval, cause=cause, reason=reason,
            spread=state == "spread", hits=found,
        ),
        since,
    )  # fmt: skip


def _planned(conn: sqlite3.Connection, said: Facts, plan_id: int) -> Facts:
    digest, state = conn.execute(
        "SELECT hash, state FROM rerun_plan WHERE plan_id = ?", (plan_id,)
    ).fetchone()
    steps = conn.execute(
        "SELECT state, count(*) FROM rerun_step WHERE plan_id = ? GROUP BY state ORDER BY state", (plan_id,)
    ).fetchall()
    return msgspec.structs.replace(said, plan=plan_id, plan_hash=digest, plan_state=state, steps=tuple(steps))


def _blocked(conn: sqlite3.Connection, assets: list[str], since: int) -> tuple[str, ...]:
    rows = conn.execute(
        "SELECT DISTINCT a.name FROM decision d JOIN asset a USING (asset_id)"
        " WHERE a.name IN (SELECT value FROM json_each(?)) AND d.at_us >= ?"
        " AND d.level IN ('execution', 'publication', 'manual_approval', 'external_side_effect') ORDER BY a.name",
        (_json(assets), since),
    )
    return tuple(name for (name,) in rows)


def _told(conn: sqlite3.Connection, said: Facts, assets: list[str], since: int) -> tuple[str, ...]:
    """Whom alerts were raised for: owners that an invalidation concerns, and those of gates that have failed."""
    rows = conn.execute(
        "SELECT DISTINCT coalesce(nullif(json_extract(l.payload, '$.owner'), ''), nullif(a.owner, ''), l.subject)"
        " FROM alert l LEFT JOIN asset a ON a.name = l.subject WHERE l.key LIKE 'invalidation:' || ?1 || ':%'"
        " OR l.kind = 'quality' AND l.fired_us >= ?2 AND l.subject IN (SELECT value FROM json_each(?3)) ORDER BY 1",
        (said.invalidation or 0, since, _json(assets)),
    )
    return tuple(name for (name,) in rows)


def _json(names: list[str]) -> str:
    return msgspec.json.encode(names).decode()


def _iso(at_us: int) -> str:
    return from_us(at_us).isoformat().replace("+00:00", "Z")
