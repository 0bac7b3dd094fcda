"""May a consumer use an asset for its purpose (S1-57)? Asked of the contract that is held for that purpose.

Who has no contract is asked for what anybody may expect: a version of the interval that can be trusted, and of
what much hangs on, its critical gates passed. Every answer is on record with what it was made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.assets.contract import ContractSpec, Quality, Requirement, Rule
from bide.runtime.assets.judged import Asked, Phase
from bide.runtime.assets.words import Action, Criticality, Edge, Level, Node, Result, Severity
from bide.runtime.engine.assets import deciding
from bide.runtime.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from bide.runtime.assets.asset import AssetSpec
    from bide.runtime.engine.turn import Turn

_MUCH = frozenset({Criticality.HIGH, Criticality.CRITICAL})


def asset_use(t: Turn, args: dict[str, Any]) -> Any:
    """{asset, start_us | None, end_us | None, at_us, purpose, by} -> {decision, allowed, contract, versions}.

    Without an interval the newest version is meant, as at `at_us`.
    """
    name, purpose = args["asset"], str(args.get("purpose") or "").strip()
    if not purpose:
        raise UsageError("use it for what? name the consumer, its purpose, such as regulatory_dashboard")
    assets = t.world.assets
    if name not in assets.named:
        raise NotFoundError(f"there is no asset {name!r}: `bide assets list` lists those there are")
    held = assets.catalog.of_downstream.get(purpose, {}).get(name)
    start, end = args.get("start_us"), args.get("end_us")
    contract = held.spec if held is not None else default_contract(
        purpose, assets.catalog.asset(name), whole=start is None
    )  # fmt: skip
    at = args["at_us"]  # never the instant of the turn: what is asked stays the same from turn to turn
    asked = Asked(
        phase=Phase.USE, asset=name, start_us=at if start is None else start, end_us=at if end is None else end,
        now_us=t.now, consumer=purpose,
    )  # fmt: skip
    question = deciding.question(asked, (contract,))
    for key in question.keys:
        t.fact(*key)
    answer = deciding.answer(t, question)
    decision = deciding.record(t, answer, by=str(args.get("by") or ""))
    return {
        "decision": msgspec.to_builtins(decision),
        "allowed": decision.allowed,
        "contract": None if held is None else held.contract_id,
        "versions": [msgspec.to_builtins(used.version) for used in answer.use],
    }


def default_contract(purpose: str, asset: AssetSpec, *, whole: bool) -> ContractSpec:
    """What anybody may expect of an asset. `whole`: of its newest version, else of an interval."""
    require: tuple[Requirement, ...] = (Quality("critical"),) if asset.criticality in _MUCH else ()
    latest = whole or asset.node is Node.REFERENCE
    return ContractSpec(
        downstream=purpose,
        upstream=asset.name,
        kind=Edge.REFERENCE_DATA if latest else Edge.INTERVAL_MATCH,
        require=require,
        on_failure={
            Result.MISSING: Rule(Action.BLOCK, Level.EXECUTION),
            Result.INVALID: Rule(Action.BLOCK, Level.EXECUTION),
            Result.QUALITY: Rule(Action.BLOCK, Level.EXECUTION),
            Result.DEGRADED: Rule(Action.WARN),
            Result.STALE: Rule(Action.WARN),
        },
        severity={Result.INVALID: Severity.CRITICAL},
        rationale=f"{purpose} has no contract on {asset.name}: this is what anybody may expect of it",
    )
