"""What a task instance asks before it begins: which questions, of which assets, and what has to be known for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.assets.judged import Phase
from bide.runtime.engine.assets import deciding
from bide.runtime.engine.assets.changed import looks_away
from bide.runtime.engine.messages import GuardAsked
from bide.runtime.engine.states import ApprovalKind
from bide.runtime.graph.spec import Lane, Role

if TYPE_CHECKING:
    from bide.runtime.engine.assets.state import Assets
    from bide.runtime.engine.turn import FactKey, Turn
    from bide.runtime.engine.world import Instance


def is_guarded(assets: Assets, inst: Instance) -> bool:
    """Whether something is to be asked before it begins. Handlers, callbacks and sensors ask nothing."""
    task = inst.task
    if task.effect is not None:
        return True
    if not (task.inlets or task.outlets) or task.role is not Role.TASK or task.lane is Lane.WAIT:
        return False
    return bool(task.inlets) or any(name in assets.catalog.of_downstream for name in task.outlets)


def reads(assets: Assets, inst: Instance) -> bool:
    """Whether versions that its body may read stand on record; of a mapped task those of the whole."""
    return is_guarded(assets, inst)


def hold(t: Turn, inst: Instance) -> None:
    """Its upstreams let it start: its contracts are asked in the next turn."""
    t.ask(GuardAsked(inst.instance_id), *keys_of(inst, questions_of(t, inst)))


def questions_of(t: Turn, inst: Instance) -> list[deciding.Question]:
    """One of each asset that it makes; what it reads without a contract stands with the first."""
    run, assets = inst.run, t.world.assets
    plan = deciding.plan_of(assets, run)
    backfill = deciding.is_backfill(run)
    phase = Phase.EXECUTING if inst.task.effect is None else Phase.EFFECT
    found = []
    under = set[str]()
    for name in inst.task.outlets:
        contracts = deciding.contracts_of(assets.catalog, name, backfill=backfill)
        if contracts:
            found.append(deciding.question(deciding.ask_of(run, phase, name, plan), contracts))
            under |= {contract.upstream for contract in contracts}
    rest = [name for name in inst.task.inlets if name not in under]
    if rest:
        of = inst.task.outlets[0] if inst.task.outlets else ""
        found.append(deciding.question(deciding.ask_of(run, phase, of, plan), (), rest))
    return found


def keys_of(inst: Instance, questions: list[deciding.Question]) -> list[FactKey]:
    return [*(key for each in questions for key in each.keys), *others_of(inst)]


def others_of(inst: Instance) -> list[FactKey]:
    """What has to be known beside its assets: what people have approved, and of an effect what has left."""
    keys = [approved_key(inst)]
    return keys if inst.task.effect is None else [*keys, ledger_key(inst), effect_key(inst)]


def ledger_key(inst: Instance) -> FactKey:
    spec, meta = inst.task.effect, inst.run.meta
    assert spec is not None
    return ("ledger", spec.asset, spec.target, meta.start_us, meta.end_us)


def effect_key(inst: Instance) -> FactKey:
    return (deciding.APPROVED, ApprovalKind.EFFECT.value, inst.instance_id)


def approved_key(inst: Instance) -> FactKey:
    return (deciding.APPROVED, ApprovalKind.CONTRACT.value, inst.instance_id)


def names_of(assets: Assets, inst: Instance) -> list[str]:
    """The assets that it looks at: what it reads, and what it makes, whose contracts may change."""
    names = [*inst.task.inlets, *inst.task.outlets]
    for name in inst.task.outlets:
        names += assets.catalog.of_downstream.get(name, ())
    return names


def left(t: Turn, inst: Instance) -> None:
    """It is over: it waits for nothing any more."""
    looks_away(t.world.assets, GuardAsked(inst.instance_id))
