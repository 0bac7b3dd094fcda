"""Assets and consumers from rows: the world as it was, with nothing decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.catalog import Catalog, Held, HeldGate
from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.gate import GateSpec
from bide.runtime.assets.judged import Checked
from bide.runtime.assets.pending import Unit
from bide.runtime.assets.words import Severity
from bide.runtime.engine.assets import asking, releasing
from bide.runtime.engine.assets.changed import looks_at
from bide.runtime.engine.assets.state import AssetState, Consumer, Cursor, Open, Stale
from bide.runtime.engine.assets.versions import enter
from bide.runtime.engine.messages import GuardAsked, PublicationAsked
from bide.runtime.engine.states import ApprovalKind, State
from bide.runtime.engine.world import Due
from bide.runtime.schedules.on_assets import on_assets

if TYPE_CHECKING:
    from bide.runtime.engine.world import DagState, World
    from bide.runtime.store.world_rows import WorldRows


_LOOKING: Final = (ApprovalKind.CONTRACT, ApprovalKind.EFFECT)
"""What is asked of people by what assets are: who waits for them looks at these."""


def restore_assets(world: World, rows: WorldRows, dags: Mapping[int, DagState]) -> None:
    """Before the runs are: they are noted with their consumers."""
    assets = world.assets
    _restore_catalog(assets.catalog, rows)
    assets.spreading = dict.fromkeys(rows.wrong.spreading)
    assets.invalidated = rows.wrong.ever
    names: dict[int, AssetState] = {}
    for row in rows.assets:
        assets.named[row.name] = names[row.asset_id] = AssetState(row.asset_id, row.name, row.last)
    for late in rows.stale:
        names[late.asset_id].stale = Stale(late.version_id, late.run_id, late.start_us, late.end_us)
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


def restore_open(world: World, rows: WorldRows) -> None:
    """Versions that are not settled, and who looks at assets: after the runs are."""
    assets = world.assets
    for row in rows.open_versions:
        one = Open(
            row.version_id, row.asset, row.dag_id, row.run_id, row.instance_id, row.attempt_id,
            (row.start_us, row.end_us), row.created_us, plan_id=row.plan_id, shadow=bool(row.shadow),
            backfill=bool(row.backfill),
        )  # fmt: skip
        one.state, one.reason, one.made = row.state, row.reason, bool(row.made)
        one.checks = tuple(
            Checked(name, Severity(severity), bool(passed))
            for name, severity, passed in sorted(msgspec.json.decode(row.checks))
        )
        enter(assets, one)
        asks = one.plan_id is None or (ApprovalKind.PUBLICATION, one.version_id) in world.approvals.of
        if one.made and asks and not one.shadow:
            looks_at(assets, PublicationAsked(one.version_id), releasing.names_of(assets, one))
    for settled in rows.settled_versions:
        assets.settled.setdefault(settled.attempt_id, set()).add(settled.asset)
    for accepted in rows.accepted:
        assets.expiring[accepted.version_id] = accepted.expires_us
        world.timer(accepted.expires_us, Due.ACCEPTED, accepted.version_id)
    for inst in world.instances.values():
        asked = any((kind, inst.instance_id) in world.approvals.of for kind in _LOOKING)
        if inst.state is State.BLOCKED or asked:
            looks_at(assets, GuardAsked(inst.instance_id), asking.names_of(assets, inst))


def _restore_catalog(catalog: Catalog, rows: WorldRows) -> None:
    for declared in rows.declared:
        catalog.assets[declared.name] = typed.decode(declared.spec, AssetSpec)
    for contract in rows.contracts:
        spec = typed.decode(contract.spec, ContractSpec)
        catalog.put(Held(contract.contract_id, spec, contract.source))
    for gate in rows.gates:
        one = typed.decode(gate.spec, GateSpec)
        catalog.put_gate(HeldGate(gate.gate_id, one, gate.source))
