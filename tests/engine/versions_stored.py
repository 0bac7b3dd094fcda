"""Versions of a history in a database, as rows: what tests of spreading have before them."""

from __future__ import annotations

import sqlite3

import msgspec

from bide.runtime.assets.contract import ContractSpec
from tests.assets.world_of_versions import Versions


def store(conn: sqlite3.Connection, world: Versions) -> None:
    """Its assets, contracts, versions and their inputs. Assets that are there by name keep their numbers."""
    ids = dict(conn.execute("SELECT name, asset_id FROM asset").fetchall())
    names = {made.asset for made in world.made.values()} | world.catalog.assets.keys()
    names |= {name for held in world.catalog.contracts() for name in held.spec.edge}
    conn.execute("BEGIN")
    for name in sorted(names - ids.keys()):
        ids[name] = max(ids.values(), default=0) + 1
        spec = world.catalog.asset(name)
        conn.execute(
            "INSERT INTO asset (asset_id, name, created_us, node, owner, criticality, spec) VALUES (?, ?, 0, ?, ?, ?, ?)",
            (ids[name], name, spec.node, spec.owner, spec.criticality, _json(spec)),
        )
    known = {spec for (spec,) in conn.execute("SELECT spec FROM contract")}
    for held in world.catalog.contracts():
        if _json(held.spec) not in known:
            down, up = (ids[name] for name in held.spec.edge)
            conn.execute(
                "INSERT INTO contract (downstream_id, upstream_id, kind, spec, source, since_us) VALUES (?, ?, ?, ?, '', 0)",
                (down, up, held.spec.kind, _json(held.spec)),
            )
    conn.executemany(
        "INSERT INTO asset_version (asset_version_id, asset_id, start_us, end_us, state, created_us, shadow)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                each.version_id,
                ids[each.asset],
                each.start_us,
                each.end_us,
                each.state,
                each.created_us,
                each.shadow,
            )
            for each in world.made.values()
        ],
    )
    conn.executemany(
        "INSERT OR IGNORE INTO asset_input (asset_version_id, input_id, kind) VALUES (?, ?, ?)",
        [(use.made.version_id, each, use.kind) for each, uses in world.uses.items() for use in uses],
    )
    conn.execute("COMMIT")


def _json(spec: ContractSpec | msgspec.Struct) -> str:
    return msgspec.json.encode(spec).decode()
