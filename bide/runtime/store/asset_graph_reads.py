"""What the asset graph is made of, as the database has it: DAGs, and what is declared of assets now."""

from __future__ import annotations

import sqlite3

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.declarations import Declared
from bide.runtime.assets.gate import GateSpec
from bide.runtime.store.rows import in_one


class _Row(msgspec.Struct, frozen=True, array_like=True):
    pass


class DagRow(_Row, frozen=True):
    """A DAG that is not removed: its newest graph, its schedule and options as JSON."""

    name: str
    spec: str
    schedule: str
    options: str
    anchor_us: int | None


class Since(_Row, frozen=True):
    """A contract that is in force: its number, its file, and since when."""

    contract_id: int
    downstream: str
    upstream: str
    source: str
    since_us: int


def dags(conn: sqlite3.Connection) -> list[DagRow]:
    """The DAGs, by name."""
    return in_one(
        conn,
        DagRow,
        "SELECT d.name, v.spec, d.schedule, d.options, d.anchor_us FROM dag d"
        " JOIN dag_version v ON v.version_id = d.version_id WHERE d.removed = 0 ORDER BY d.name",
    )


def declared(conn: sqlite3.Connection) -> Declared:
    """What is declared of assets now; assets of which nothing was said are left out."""
    specs = [
        typed.decode(spec, AssetSpec)
        for (spec,) in conn.execute("SELECT spec FROM asset WHERE spec <> '{}' ORDER BY name")
    ]
    contracts = [
        (typed.decode(spec, ContractSpec), source)
        for spec, source in conn.execute(
            "SELECT spec, source FROM contract WHERE ended_us IS NULL ORDER BY contract_id"
        )
    ]
    gates = [
        (typed.decode(spec, GateSpec), source)
        for spec, source in conn.execute(
            "SELECT spec, source FROM gate WHERE ended_us IS NULL ORDER BY gate_id"
        )
    ]
    return Declared(tuple(specs), tuple(contracts), tuple(gates))


def since(conn: sqlite3.Connection) -> list[Since]:
    """Since when each contract is in force."""
    return in_one(
        conn,
        Since,
        "SELECT c.contract_id, d.name, u.name, c.source, c.since_us FROM contract c"
        " JOIN asset d ON d.asset_id = c.downstream_id JOIN asset u ON u.asset_id = c.upstream_id"
        " WHERE c.ended_us IS NULL",
    )
