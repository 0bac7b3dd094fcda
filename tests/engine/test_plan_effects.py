"""The case study of the seed through the engine (S1-53): a policy threshold that was corrected three days late.

Figures are made anew for the intervals that used it, the dashboard with them; the export waits for a person and
goes out as a correction; alerts are corrected and never sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.assets import AssetSpec, ContractSpec, Latest
from bide.runtime.assets.rerun import RerunPlan, Risk
from bide.runtime.assets.words import Criticality, Edge, Node, Output, Semantics
from bide.runtime.clock import from_us
from bide.runtime.graph.spec import EffectSpec, TaskSpec
from bide.runtime.schedules import Every
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.store.reader import Reader
from tests.engine.declare import HOUR_US, job
from tests.engine.planning import keep, planned, state_of, steps_of, visible
from tests.engine.scene import T0, Scene
from tests.service.test_assets import Clock, Direct

HOURLY = Every(timedelta(hours=1), anchor=from_us(T0))
HOURS = 2


def effect(name: str, asset: str, semantics: str, *, approval: bool = False) -> TaskSpec:
    spec = EffectSpec(
        asset=asset, target="regulator", semantics=Semantics(semantics), requires_approval=approval,
        who=("ann",) if approval else (), expires_us=None,
    )  # fmt: skip
    return job(name, effect=spec, inlets=("gold",), outlets=(asset,), idempotent=False)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "case.db", slots=8, now=T0 + 50 * HOUR_US + 1)
    scene.declare(
        AssetSpec("policy", node=Node.REFERENCE),
        AssetSpec("gold", criticality=Criticality.HIGH),
        AssetSpec("dashboard", node=Node.PRODUCT),
        AssetSpec("export", node=Node.EXTERNAL_EFFECT, output=Output.EXPORT),
        AssetSpec("alerts", node=Node.EXTERNAL_EFFECT, output=Output.EXPORT),
        ContractSpec(downstream="gold", upstream="policy", kind=Edge.REFERENCE_DATA, require=(Latest(),)),
    )
    scene.dag("policies", job("policy", outlets=("policy",)), schedule=HOURLY)
    scene.dag("golds", job("sla", outlets=("gold",)), schedule=HOURLY)
    scene.dag("dashboards", job("refresh", inlets=("gold",), outlets=("dashboard",)), schedule=HOURLY)
    scene.dag("exports", effect("send", "export", "append_only_export", approval=True), schedule=HOURLY)
    scene.dag("alerting", effect("alert", "alerts", "notification"), schedule=HOURLY)
    run = scene.trigger("policies", logical_us=T0)
    scene.end("policy", run=run)
    for hour in range(HOURS):
        for dag, task in (
            ("golds", "sla"),
            ("dashboards", "refresh"),
            ("exports", "send"),
            ("alerting", "alert"),
        ):
            run = scene.trigger(dag, logical_us=T0 + hour * HOUR_US)
            approve(scene)
            scene.end(task, run=run, output={"receipt": run})
    yield scene
    scene.close()


def approve(scene: Scene) -> int:
    """Everything that a person is asked for; how much that was."""
    found = scene._rows("SELECT approval_id FROM approval WHERE state = 'open'")
    for (number,) in found:
        scene.command("approve", approval_id=number, by="ann", why="seen")
    return len(found)


def corrected(scene: Scene) -> RerunPlan:
    """The threshold is corrected, the old version of it is invalidated; the plan of that."""
    run = scene.trigger("policies", logical_us=T0, new=True)
    scene.end("policy", run=run)
    number = scene.command(
        "asset_invalidate", version=1, cause="reference_update", severity="critical",
        reason="the threshold was corrected three days late", by="ann",
    )["invalidation_id"]  # fmt: skip
    return planned(scene, number)


def ledger(scene: Scene) -> list[tuple[Any, ...]]:
    """(asset, hour, state, hour of what it corrects) of every delivery."""
    return scene._rows(
        "SELECT a.name, (v.start_us - ?) / ?, d.state, d.corrects IS NOT NULL FROM delivery d"
        " JOIN asset_version v USING (asset_version_id) JOIN asset a USING (asset_id) ORDER BY d.delivery_id",
        T0,
        HOUR_US,
    )


def test_s1_53_d7_the_plan_names_what_the_threshold_has_reached_and_asks_for_approval(scene: Scene) -> None:
    plan = corrected(scene)
    made = sorted((made.asset, step.interval.start[11:13]) for step in plan.steps for made in step.makes)
    assert made == [
        (name, hour) for name in ("alerts", "dashboard", "export", "gold") for hour in ("00", "01")
    ]
    assert [step.compensates for step in plan.steps] == [False] * 4 + [True] * 4
    assert [(left.asset, left.why) for left in plan.left] == [("policy", "version 10 has taken its place")]
    assert (plan.risk, plan.requires_approval) == (Risk.CRITICAL, True)


def test_s1_53_the_threshold_is_corrected_three_days_late(scene: Scene) -> None:
    plan = corrected(scene)
    assert not {name for name, _ in visible(scene)} & {
        "gold",
        "dashboard",
    }  # (b): nobody is shown wrong counts
    n = keep(scene, plan)
    assert approve(scene) == 1
    scene.command("plan_run", plan_id=n, hash=plan.hash)
    sent = len(ledger(scene))
    scene.crash()
    for _ in range(2 * HOURS):  # (a): figures and dashboard are made anew, out of sight
        assert "gold" not in {name for name, _ in visible(scene)}
        scene.feed(scene.ended(next(iter(scene.bodies))))
    assert steps_of(scene, n)[: 2 * HOURS] == ["published"] * 2 * HOURS
    seen = {name for name, _ in visible(scene)}
    assert {"gold", "dashboard"} <= seen
    assert scene.going.count("send") == 0  # (c): the export waits for a person
    ops = Operations(scene.db, AtOnce(Reader(scene.db)), Direct(scene), Clock(scene), held=True)
    shown = asyncio.run(ops.plans.show(str(n)))
    assert shown.why.startswith("what it made is seen, and these go: run ")
    approve(scene)
    while scene.bodies:
        attempt = next(iter(scene.bodies))
        scene.feed(scene.ended(attempt, output=b'{"receipt":"again"}'))
        approve(scene)
    assert state_of(scene, n) == "published"
    assert sorted(ledger(scene)[sent:]) == [  # (c), (d): each is corrected, and none is sent twice
        (name, hour, "delivered", 1) for name in ("alerts", "export") for hour in range(HOURS)
    ]
    assert {state for _, _, state, _ in ledger(scene)[:sent]} == {"corrected"}
    before = scene._rows("SELECT * FROM delivery")
    scene.command("plan_run", plan_id=n, hash=plan.hash)
    assert planned(scene, 1).steps == ()
    assert scene._rows("SELECT * FROM delivery") == before
