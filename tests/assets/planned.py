"""Radii and producers for the tests of plans, in a line each; the case study of the seed (S1-53) as data."""

from __future__ import annotations

from typing import Any

from bide.runtime.assets.blast import BlastRadius, Impact, Impacted, Invalidation
from bide.runtime.assets.catalog import Catalog, Held
from bide.runtime.assets.contract import ContractSpec, Requirement
from bide.runtime.assets.plan import Known, plan_of
from bide.runtime.assets.producing import Producer, Work
from bide.runtime.assets.rerun import RerunPlan
from bide.runtime.assets.words import (
    Action,
    Cause,
    Criticality,
    Edge,
    Level,
    Node,
    Output,
    Severity,
    VersionState,
)

DAY = 86_400_000_000
JULY = 1_782_864_000_000_000
"""2026-07-01 00:00 UTC."""


def day(n: int) -> tuple[int, int]:
    """The n-th of July 2026."""
    return JULY + (n - 1) * DAY, JULY + n * DAY


def hit(
    version: int,
    asset: str,
    span: tuple[int, int],
    *,
    via: int | None = None,
    action: Action = Action.INVALIDATE_DOWNSTREAM,
    kind: Edge = Edge.INTERVAL_MATCH,
    state: VersionState = VersionState.PUBLISHED,
    reason: str = "",
    **fields: Any,
) -> Impacted:
    """One affected version."""
    decision = Impact(
        impacted=True,
        action=action,
        level=Level.PUBLICATION,
        severity=Severity.MAJOR,
        reason=reason or ("made of what is wrong" if via else "wrong itself"),
        corrected=(span,),
        to=VersionState.INVALIDATED,
    )
    return Impacted(
        asset=asset,
        start_us=span[0],
        end_us=span[1],
        version_id=version,
        state=state,
        decision=decision,
        via=via,
        kind=None if via is None else kind,
        **fields,
    )


def radius(*nodes: Impacted, **fields: Any) -> BlastRadius:
    """What an invalidation of the first of them affects."""
    first = nodes[0]
    said = {"cause": Cause.TRANSFORM_BUG, "invalidation_id": 3, **fields}
    return BlastRadius(
        Invalidation(asset=first.asset, start_us=first.start_us, end_us=first.end_us, **said), nodes
    )


def dag(name: str, *tasks: Work, version: str = "") -> Producer:
    return Producer(dag=name, version=version or f"{name}-1", tasks=tasks)


def contracts(
    *edges: tuple[str, str], kind: Edge = Edge.INTERVAL_MATCH, require: tuple[Requirement, ...] = ()
) -> Catalog:
    """(downstream, upstream)."""
    catalog = Catalog()
    for n, (down, up) in enumerate(edges, 1):
        catalog.put(
            Held(n, ContractSpec(downstream=down, upstream=up, kind=kind, require=require), "cases.py")
        )
    return catalog


def plan(found: BlastRadius, *dags: Producer, catalog: Catalog | None = None, **known: Any) -> RerunPlan:
    """The plan of a radius; lineage is what `via` says, unless `edges` says more."""
    made_by: dict[str, tuple[str, ...]] = {}
    for each in dags:
        for work in each.tasks:
            for name in work.outlets:
                made_by[name] = (*made_by.get(name, ()), each.dag)
    via = tuple((node.version_id, node.via) for node in found.nodes if node.via is not None)
    said = {"edges": via, **known}
    return plan_of(
        found,
        catalog or Catalog(),
        Known(producers={each.dag: each for each in dags}, made_by=made_by, **said),
    )


def enforcement() -> RerunPlan:
    """S1-53: the policy threshold of 1 July was corrected on the 4th; the corrected version is there (20)."""
    policy = hit(
        1, "reference.policy_threshold", day(1), node=Node.REFERENCE, owner="policy", dag="policy",
        reason="the threshold of 1 July was corrected on 4 July",
    )  # fmt: skip
    nodes = [policy]
    for n in (1, 2, 3):
        gold = 10 * n
        nodes += [
            hit(gold, "gold.case_sla_daily", day(n), via=1, kind=Edge.REFERENCE_DATA, dag="case_sla",
                criticality=Criticality.HIGH),
            hit(gold + 1, "regulatory_dashboard", day(n), via=gold, node=Node.PRODUCT, dag="dashboard"),
            hit(gold + 2, "sla_breach_alert_stream", day(n), via=gold, output=Output.APPEND_ONLY, dag="alerts"),
            hit(gold + 3, "external_regulator_export", day(n), via=gold, node=Node.EXTERNAL_EFFECT,
                action=Action.REQUIRE_MANUAL_APPROVAL, dag="export"),
        ]  # fmt: skip
    found = radius(
        *nodes,
        cause=Cause.REFERENCE_UPDATE,
        severity=Severity.CRITICAL,
        reason="the threshold was corrected three days late",
    )
    return plan(
        found,
        dag("policy", Work(name="load_policy", outlets=("reference.policy_threshold",))),
        dag(
            "case_sla",
            Work(name="silver", outlets=("silver.case_event",), seconds=40.0),
            Work(name="join_policy", upstream=("silver",), cost={"warehouse": 2.0}, seconds=20.0),
            Work(name="sla", upstream=("join_policy",), outlets=("gold.case_sla_daily",), cost={"warehouse": 1.0}, seconds=10.0),
            Work(name="vacuum", upstream=("sla",)),
        ),
        dag("dashboard", Work(name="refresh", outlets=("regulatory_dashboard",), seconds=5.0)),
        dag("alerts", Work(name="emit", outlets=("sla_breach_alert_stream",))),
        dag("export", Work(name="send", outlets=("external_regulator_export",), target="regulator",
                           semantics="append_only_export", reversible=False)),
        catalog=contracts(
            ("gold.case_sla_daily", "reference.policy_threshold"), ("regulatory_dashboard", "gold.case_sla_daily")
        ),
        instead={1: 60},
        history={"gold.case_sla_daily": 30, "regulatory_dashboard": 30, "sla_breach_alert_stream": 30},
    )  # fmt: skip
