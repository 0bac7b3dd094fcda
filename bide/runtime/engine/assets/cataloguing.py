"""What modules declare of assets becomes rows, and the catalogue that decisions are made with."""

from __future__ import annotations

import msgspec

from bide.runtime.assets.catalog import Held, HeldGate, difference
from bide.runtime.engine.assets import asking, releasing
from bide.runtime.engine.assets.changed import looks_at, versions_changed
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.messages import AssetsDeclared, GuardAsked
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
    changed = {each.spec.downstream for each in change.over} | {
        spec.downstream for spec, _ in change.contracts
    }
    changed |= {gate.spec.asset for gate in change.gates_over} | {gate.asset for gate, _ in change.gates}
    for name in sorted(changed):
        _ask_again(t, name)


def _ask_again(t: Turn, name: str) -> None:
    """Who was refused by what was declared of an asset asks again, and looks at what is declared now."""
    assets = t.world.assets
    for who in list(assets.looking.get(name, ())):
        if isinstance(who, GuardAsked):
            looks_at(assets, who, asking.names_of(assets, t.world.instances[who.instance_id]))
        else:
            looks_at(assets, who, releasing.names_of(assets, assets.open[who.version_id]))
    versions_changed(t, name)


def _edge(held: Held) -> str:
    return f"{held.spec.downstream} on {held.spec.upstream}: {held.spec.kind}"


def _json(spec: msgspec.Struct) -> str:
    return msgspec.json.encode(spec).decode()
