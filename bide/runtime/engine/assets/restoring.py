"""Assets and consumers from rows: the world as it was, with nothing decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.catalog import Catalog, Held, HeldGate
from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.gate import GateSpec
from bide.runtime.assets.pending import Unit
from bide.runtime.engine.assets.state import AssetState, Consumer, Cursor
from bide.runtime.schedules.on_assets import on_assets

if TYPE_CHECKING:
    from bide.runtime.engine.world import DagState, World
    from bide.runtime.store.load import WorldRows


def restore_assets(world: World, rows: WorldRows, dags: Mapping[int, DagState]) -> None:
    """Before the runs are: they are noted with their consumers."""
    assets = world.assets
    _restore_catalog(assets.catalog, rows)
    names: dict[int, AssetState] = {}
    for row in rows.assets:
        assets.named[row.name] = names[row.asset_id] = AssetState(row.asset_id, row.name, row.last)
    for cursor in rows.cursors:
        dag, asset = dags[cursor.dag_id], names[cursor.asset_id]
        consumer = assets.consumers.get(dag.dag_id)
        if consumer is None:
            schedule = on_assets(dag.schedule)
            if schedule is None:
                continue
            consumer = assets.consumers[dag.dag_id] = Consumer(dag, schedule)
        consumer.cursors[asset.name] = Cursor(cursor.asset_version_id, cursor.split_us)
        asset.consumers[dag.dag_id] = consumer
    for pending in rows.pending:
        owner = assets.consumers.get(pending.dag_id)
        if owner is not None:
            owner.pending.add(
                Unit(
                    pending.asset_version_id, pending.asset, pending.start_us, pending.end_us, pending.part_us,
                    pending.again,
                )
            )  # fmt: skip


def _restore_catalog(catalog: Catalog, rows: WorldRows) -> None:
    for declared in rows.declared:
        catalog.assets[declared.name] = msgspec.json.decode(declared.spec, type=AssetSpec)
    for contract in rows.contracts:
        spec = msgspec.json.decode(contract.spec, type=ContractSpec)
        catalog.put(Held(contract.contract_id, spec, contract.source))
    for gate in rows.gates:
        one = msgspec.json.decode(gate.spec, type=GateSpec)
        catalog.put_gate(HeldGate(gate.gate_id, one, gate.source))
