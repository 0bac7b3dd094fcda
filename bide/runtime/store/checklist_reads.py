"""What the database knows of one asset: what is declared, who makes and uses it, what its versions were made of."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.checklist import Known, Stands
from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.gate import GateSpec
from bide.runtime.store.asset_reads import consumers

_LOADED: Final = "dag d JOIN dag_version v ON v.version_id = d.version_id AND d.removed = 0"
_MAKERS: Final = (
    "SELECT d.name, json_extract(v.spec, '$.owner'), t.value"
    f" FROM {_LOADED}, json_each(v.spec, '$.tasks') t WHERE instr(v.spec, ?1) > 0"
    " AND (EXISTS (SELECT 1 FROM json_each(t.value, '$.outlets') o WHERE o.value = ?2)"
    " OR json_extract(t.value, '$.effect.name') = ?2) ORDER BY d.name"
)
_READ: Final = (  # inlet, what is made of it (null: no asset), the task
    "SELECT i.value AS inlet, o.value AS outlet, d.name || '.' || json_extract(t.value, '$.name') AS task"
    f" FROM {_LOADED}, json_each(v.spec, '$.tasks') t, json_each(t.value, '$.inlets') i"
    " LEFT JOIN json_each(t.value, '$.outlets') o WHERE instr(v.spec, '\"inlets\"') > 0"
)
_VISIBLE: Final = "('published', 'stale', 'degraded')"


def names(conn: sqlite3.Connection) -> list[str]:
    """Every asset there is."""
    return [name for (name,) in conn.execute("SELECT name FROM asset ORDER BY name")]


def known(conn: sqlite3.Connection, asset: str) -> Known | None:
    """None when there is no such asset."""
    row = conn.execute("SELECT asset_id, spec, node, owner FROM asset WHERE name = ?", (asset,)).fetchone()
    if row is None:
        return None
    asset_id, spec, node, owner = row
    said: dict[str, Any] = {"name": asset, "node": node, "owner": owner, **msgspec.json.decode(spec)}
    makers = [
        (dag, dag_owner, msgspec.json.decode(task))
        for dag, dag_owner, task in conn.execute(_MAKERS, (msgspec.json.encode(asset).decode(), asset))
    ]
    asked = _contracts(conn, "upstream_id", asset_id)
    versions, with_inputs = conn.execute(
        "SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT 1 FROM asset_input n"
        " WHERE n.asset_version_id = v.asset_version_id)) FROM (SELECT asset_version_id FROM asset_version"
        " WHERE asset_id = ? ORDER BY asset_version_id DESC LIMIT 1000) v",
        (asset_id,),
    ).fetchone()
    newest = conn.execute(
        f"SELECT asset_version_id FROM asset_version WHERE asset_id = ? AND state IN {_VISIBLE}"
        " ORDER BY asset_version_id DESC LIMIT 1",
        (asset_id,),
    ).fetchone()
    return Known(
        spec=typed.convert(said, AssetSpec),
        asks=_contracts(conn, "downstream_id", asset_id),
        asked=asked,
        gates=tuple(
            typed.decode(gate, GateSpec)
            for (gate,) in conn.execute(
                "SELECT spec FROM gate WHERE asset_id = ? AND ended_us IS NULL ORDER BY name", (asset_id,)
            )
        ),
        inlets=tuple(dict.fromkeys(name for *_, task in makers for name in task.get("inlets", ()))),
        producers=tuple(f"{dag}.{task['name']}" for dag, _, task in makers),
        producer_owners=tuple(
            dict.fromkeys(
                str(task.get("owner") or owned) for _, owned, task in makers if task.get("owner") or owned
            )
        ),
        looked_at_by=tuple(dag for name, dag in consumers(conn) if name == asset),
        read_by=_read_by(conn, asset),
        effects=_effects(conn, asset_id),
        versions=versions,
        with_inputs=with_inputs,
        newest=None if newest is None else newest[0],
        newest_inputs=() if newest is None else _inputs(conn, newest[0]),
        newest_decision=None if newest is None else _decision(conn, newest[0]),
    )


def _contracts(conn: sqlite3.Connection, end: str, asset_id: int) -> tuple[Stands, ...]:
    rows = conn.execute(
        f"SELECT spec, source FROM contract WHERE {end} = ? AND ended_us IS NULL ORDER BY contract_id",
        (asset_id,),
    )
    return tuple(Stands(typed.decode(spec, ContractSpec), source) for spec, source in rows)


def _effects(conn: sqlite3.Connection, asset_id: int) -> tuple[tuple[str, bool], ...]:
    """The external effects that are reached by contracts and inlets from it, near or far, and which need an approval."""
    rows = conn.execute(
        f"WITH RECURSIVE reading AS MATERIALIZED ({_READ}), edge (up, down) AS MATERIALIZED ("
        "SELECT upstream_id, downstream_id FROM contract WHERE ended_us IS NULL"
        " UNION SELECT u.asset_id, l.asset_id FROM reading JOIN asset u ON u.name = inlet JOIN asset l ON l.name = outlet),"
        " below (asset_id) AS (SELECT ?1 UNION SELECT e.down FROM edge e JOIN below ON e.up = below.asset_id)"
        " SELECT a.name FROM below JOIN asset a USING (asset_id)"
        " WHERE a.node = 'external_effect' AND a.asset_id <> ?1 ORDER BY a.name",
        (asset_id,),
    ).fetchall()
    return tuple((name, _approved(conn, name)) for (name,) in rows)


def _read_by(conn: sqlite3.Connection, asset: str) -> tuple[str, ...]:
    """What tasks make that read it."""
    rows = conn.execute(
        f"SELECT DISTINCT coalesce(outlet, task) FROM ({_READ}) WHERE inlet = ? ORDER BY 1", (asset,)
    )
    return tuple(name for (name,) in rows)


def _approved(conn: sqlite3.Connection, effect: str) -> bool:
    rows = conn.execute(_MAKERS, (msgspec.json.encode(effect).decode(), effect)).fetchall()
    return any(
        (msgspec.json.decode(task).get("effect") or {}).get("requires_approval", False) for *_, task in rows
    )


def _inputs(conn: sqlite3.Connection, version: int) -> tuple[str, ...]:
    rows = conn.execute(
        "SELECT a.name || ' version ' || n.input_id FROM asset_input n"
        " JOIN asset_version v ON v.asset_version_id = n.input_id JOIN asset a USING (asset_id)"
        " WHERE n.asset_version_id = ? ORDER BY a.name, n.input_id LIMIT 20",
        (version,),
    )
    return tuple(text for (text,) in rows)


def _decision(conn: sqlite3.Connection, version: int) -> int | None:
    [found] = conn.execute(
        "SELECT max(decision_id) FROM decision WHERE asset_id = (SELECT asset_id FROM asset_version"
        " WHERE asset_version_id = ?1) AND asset_version_id = ?1",
        (version,),
    ).fetchone()
    return None if found is None else int(found)
