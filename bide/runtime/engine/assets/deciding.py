"""Contracts are asked: what has to be known, the decision, and its record with all that it was made of.

What is known of assets comes from the database, between two turns. Where a version has changed in this very
turn it is asked again: no decision is made on what was true a moment ago.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.evaluate import evaluate_all, inlet
from bide.runtime.assets.judged import Asked, Decision, Evidence, Observed, Phase, Used
from bide.runtime.assets.reading import wanted
from bide.runtime.assets.wish import Wish
from bide.runtime.assets.words import Edge, Level
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.turn import FactKey, NeedFacts

if TYPE_CHECKING:
    from bide.runtime.assets.catalog import Catalog
    from bide.runtime.engine.assets.state import Assets
    from bide.runtime.engine.messages import Input
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Run

SEEN = "seen"
APPROVED = "approved"


class Question(msgspec.Struct, frozen=True):
    """A question with the contracts that answer it, what has to be known for that, and what is read besides."""

    asked: Asked
    contracts: tuple[ContractSpec, ...]
    wishes: tuple[Wish, ...]
    inlets: tuple[Wish, ...] = ()

    @property
    def keys(self) -> tuple[FactKey, ...]:
        return tuple((SEEN, wish) for wish in (*self.wishes, *self.inlets))


class Answer(msgspec.Struct, frozen=True):
    """The decision, the versions that may be read by it, and what was observed."""

    decision: Decision
    use: tuple[Used, ...]
    evidence: Evidence


def contracts_of(catalog: Catalog, asset: str, *, backfill: bool) -> tuple[ContractSpec, ...]:
    """The contracts that say something of an asset that is made."""
    of = catalog.of_downstream.get(asset)
    if not of:
        return ()
    return tuple(held.spec for held in of.values() if backfill or held.spec.during == "always")


def question(
    asked: Asked,
    contracts: tuple[ContractSpec, ...],
    inlets: Iterable[str] = (),
    instance_id: int | None = None,
    version_id: int | None = None,
) -> Question:
    """`inlets` are read without a contract. `version_id`, which `instance_id` has made: what it is made of is judged."""
    known = {contract.upstream for contract in contracts}
    plain = [
        ContractSpec(downstream=asked.asset, upstream=name, kind=Edge.INTERVAL_MATCH)
        for name in inlets
        if name not in known
    ]
    return Question(
        asked,
        contracts,
        tuple(_wish(contract, asked, instance_id, version_id) for contract in contracts),
        tuple(_wish(contract, asked) for contract in plain),
    )


def _wish(
    contract: ContractSpec, asked: Asked, instance_id: int | None = None, version_id: int | None = None
) -> Wish:
    want = wanted(contract, asked)
    return Wish(
        upstream=want.upstream, start_us=want.start_us, end_us=want.end_us, exact=want.exact, plan_id=asked.plan_id,
        instance_id=instance_id, version_id=version_id, downstream=asked.asset,
    )  # fmt: skip


def known(t: Turn, then: Input, questions: Iterable[Question], *others: FactKey) -> bool:
    """Whether all of it is known, as it is now; otherwise `then` is offered again with it.

    Raises `NeedFacts` for what the database has not been asked, before anything is changed.
    """
    keys = [*(key for each in questions for key in each.keys), *others]
    missing = [key for key in keys if key not in t.facts]
    if missing:
        raise NeedFacts(*keys)
    if any(key[0] == SEEN and key[1].upstream in t.touched for key in keys):
        t.ask(then, *keys)
        return False
    return True


def answer(t: Turn, one: Question) -> Answer:
    """Decide; what has to be known is."""
    asked = msgspec.structs.replace(one.asked, now_us=t.now)
    seen: dict[str, Observed] = {wish.upstream: t.facts[SEEN, wish] for wish in one.wishes}
    use, decision = evaluate_all(one.contracts, seen, asked)
    besides = tuple(
        used for wish in one.inlets for used in inlet(asked.asset, t.facts[SEEN, wish], asked).use
    )
    return Answer(decision, (*use, *besides), Evidence(asked, one.contracts, tuple(seen.values()), t.now))


def record(
    t: Turn, one: Answer, *, run_id: int | None = None, instance_id: int | None = None, version_id: int | None = None,
    by: str = "",
) -> Decision:  # fmt: skip
    """Keep a decision with all that it was made of (S1-18, D21); it has its number then."""
    decision, asked = one.decision, one.evidence.asked
    decision_id = t.world.take_id("decision")
    t.changes.decisions_new.append(
        (decision_id, t.now, asked.phase.value, asset_named(t, asked.asset).asset_id, run_id, instance_id, version_id,
         asked.consumer, asked.start_us, asked.end_us, decision.level.value, int(decision.retryable), decision.reason,
         _json(decision.issues), _json(one.evidence), by)
    )  # fmt: skip
    return msgspec.structs.replace(decision, id=str(decision_id))


def about(decision: Decision) -> str:
    """What exactly a person approves who lets this go on: other issues are another question."""
    asks = sorted(
        f"{issue.upstream}\0{issue.requirement}\0{issue.result.value}"
        for issue in decision.issues
        if issue.level is Level.MANUAL_APPROVAL
    )
    return hashlib.sha256("\n".join(asks).encode()).hexdigest()[:16]


def stops(decision: Decision, approved: Iterable[str] = ()) -> frozenset[Level]:
    """The levels by which it stops what was asked; what people have approved stops nothing any more."""
    from bide.runtime.assets.judged import STOPS

    levels = decision.levels & STOPS[decision.phase]
    if Level.MANUAL_APPROVAL in levels and about(decision) in set(approved):
        return levels - {Level.MANUAL_APPROVAL}
    return levels


def plan_of(assets: Assets, run: Run) -> int | None:
    """The rerun plan that a run is a step of."""
    return assets.plans.get(run.run_id)


def is_backfill(run: Run) -> bool:
    return run.backfill is not None or run.kind == "backfill"


def ask_of(run: Run, phase: Phase, asset: str, plan_id: int | None) -> Asked:
    """The question of a run about an asset that it makes."""
    meta = run.meta
    return Asked(
        phase=phase, asset=asset, start_us=meta.start_us, end_us=meta.end_us, now_us=0, backfill=is_backfill(run),
        plan_id=plan_id, tz=meta.tz,
    )  # fmt: skip


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
