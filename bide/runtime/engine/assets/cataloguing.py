"""What modules declare of assets becomes rows, and the catalogue that decisions are made with."""

from __future__ import annotations

import msgspec

from bide.runtime.assets.catalog import Held, HeldGate, difference
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.messages import AssetsDeclared
from bide.runtime.engine.turn import Turn


def assets_declared(t: Turn, e: AssetsDeclared) -> None:
    """Take what the files say now; what one of them had said, and says no more, is over."""
    catalog = t.world.assets.catalog
    change = difference(catalog, e.said)
    for spec in change.assets:
        asset = asset_named(t, spec.name)
        catalog.assets[spec.name] = spec
        t.changes.assets_set.append(
            (spec.node.value, spec.owner, spec.criticality.value, _json(spec), asset.asset_id)
        )
    for held in change.over:
        catalog.drop(held)
        t.changes.contracts_over.append((t.now, held.contract_id))
        t.journal("contract", held.contract_id, None, "held", "over", _edge(held))
    for gate in change.gates_over:
        catalog.drop_gate(gate)
        t.changes.gates_over.append((t.now, gate.gate_id))
    for contract, source in change.contracts:
        held = Held(t.world.take_id("contract"), contract, source)
        down, up = (asset_named(t, name).asset_id for name in contract.edge)
        catalog.put(held)
        t.changes.contracts_new.append(
            (held.contract_id, down, up, contract.kind.value, _json(contract), source, t.now)
        )
        t.journal("contract", held.contract_id, None, "", "held", _edge(held))
    for one, source in change.gates:
        gate_id, asset_id = t.world.take_id("gate"), asset_named(t, one.asset).asset_id
        catalog.put_gate(HeldGate(gate_id, one, source))
        t.changes.gates_new.append(
            (gate_id, asset_id, one.name, one.severity.value, one.owner, _json(one), source, t.now)
        )


def _edge(held: Held) -> str:
    return f"{held.spec.downstream} on {held.spec.upstream}: {held.spec.kind}"


def _json(spec: msgspec.Struct) -> str:
    return msgspec.json.encode(spec).decode()
