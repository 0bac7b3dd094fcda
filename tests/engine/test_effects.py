"""What leaves the platform: written before its body begins, once for the same inputs, corrected for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bide import Asset
from bide.runtime.assets import AssetSpec, ContractSpec
from bide.runtime.assets.contract import Rule
from bide.runtime.assets.words import Action, Edge, Node, Result, Semantics
from bide.runtime.engine.messages import AssetAnswered, AssetCalled, Command, DagLoaded
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.spec import DagSpec, EffectSpec, TaskSpec
from bide.runtime.schedules import OnAssets
from bide.runtime.store import delivery_rows, invariants
from tests.engine.declare import HOUR_US, job
from tests.engine.scene import T0, Scene

GOLD = "gold"


def export(
    name: str = "export",
    *upstream: str,
    semantics: str = "append_only_export",
    approval: bool = False,
    **fields: Any,
) -> TaskSpec:
    spec = EffectSpec(
        asset="partner-export", target="partner-a", semantics=Semantics(semantics), requires_approval=approval,
        who=("ann",) if approval else (), expires_us=3600_000_000,
    )  # fmt: skip
    fields.setdefault("idempotent", semantics == "idempotent_put")
    fields.setdefault("inlets", (GOLD,))
    return job(name, *upstream, effect=spec, outlets=("partner-export",), **fields)


@pytest.fixture
def partner(scene: Scene) -> Scene:
    return set_up(scene)


def set_up(scene: Scene, **fields: Any) -> Scene:
    """`make` makes gold, `d` exports it."""
    scene.dag("make", job("gold", outlets=(GOLD,)))
    scene.dag("d", export(**fields), job("tell", "export"))
    return scene


def gold(scene: Scene, hour: int = 0) -> None:
    run = scene.trigger("make", logical_us=T0 + hour * HOUR_US, new=True)
    scene.end("gold", run=run)


def deliver(scene: Scene, hour: int = 0) -> int:
    """A run that exports; its body is left going, if it has begun."""
    return scene.trigger("d", logical_us=T0 + hour * HOUR_US, new=True)


def ledger(scene: Scene) -> list[tuple[Any, ...]]:
    """(id, state, corrects) of every delivery."""
    return scene._rows("SELECT delivery_id, state, corrects FROM delivery ORDER BY delivery_id")


def made_of(scene: Scene, delivery: int = 1) -> list[int]:
    return [
        number
        for (number,) in scene._rows(
            "SELECT input_id FROM delivery d JOIN asset_input i USING (asset_version_id) WHERE delivery_id = ?"
            " ORDER BY 1",
            delivery,
        )
    ]


def test_s1_49_b45_a_delivery_is_in_the_ledger_before_its_body_begins(partner: Scene) -> None:
    gold(partner)
    deliver(partner)
    assert ledger(partner) == [(1, "pending", None)]
    assert made_of(partner) == [1]
    [start] = [each for each in partner.bodies.values() if each.task.name == "export"]
    assert start.delivery == 1
    given = delivery_rows.given(partner.store._raw, 1)
    [(key,)] = partner._rows("SELECT key FROM delivery")
    assert (given.key, given.target, given.inputs, given.previous) == (key, "partner-a", (1,), None)
    assert len(key) == 64


def test_s1_49_b45_its_receipt_is_what_the_body_returned(partner: Scene) -> None:
    gold(partner)
    deliver(partner)
    partner.end("export", output={"ack": 7})
    [(state, receipt, at)] = partner._rows("SELECT state, receipt, delivered_us FROM delivery")
    assert (state, msgspec.json.decode(receipt), at) == ("delivered", {"ack": 7}, partner.now)
    assert partner.going == ["tell"]


def test_s1_37_a_delivery_is_a_version_of_the_effect_with_its_inputs(partner: Scene) -> None:
    gold(partner)
    deliver(partner)
    [(state, run)] = partner._rows(
        "SELECT v.state, v.run_id FROM asset_version v JOIN asset a USING (asset_id) WHERE a.name = 'partner-export'"
    )
    assert (state, run) == ("validated", 2)
    partner.end("export")
    assert partner._rows("SELECT v.state FROM asset_version v JOIN asset a USING (asset_id) WHERE a.name = 'partner-export'") == [("published",)]  # fmt: skip


def test_s1_50_an_effect_that_looks_at_its_inputs_begins_no_version_beside_its_delivery(
    partner: Scene,
) -> None:
    """Its delivery is its version: the body may ask for what it reads, and has nothing to stage."""
    gold(partner)
    run = deliver(partner)
    attempt = partner.attempt("export", run)
    partner.feed(AssetCalled(attempt, 1, "begin", "partner-export", b"{}"))
    staged = partner.feed(AssetCalled(attempt, 2, "stage", "partner-export", b'{"label": "x"}'))
    [answer] = [each for each in staged if isinstance(each, AssetAnswered)]
    assert answer.error == (
        "'partner-export' is an external effect, whose delivery is its version: return the receipt, and stage nothing"
    )
    partner.end("export", run=run, output={"sent": 1})
    rows = "SELECT state FROM asset_version JOIN asset USING (asset_id) WHERE name = 'partner-export'"
    assert partner._rows(rows) == [("published",)]


def test_b45_the_same_inputs_are_never_delivered_twice(partner: Scene) -> None:
    gold(partner)
    deliver(partner)
    partner.end("export", output={"ack": 7})
    partner.end("tell")
    second = deliver(partner)
    assert partner.state("export", second) == "success"
    assert partner.attempts("export", second) == []
    assert partner.reason("export", second) == (
        "an earlier delivery of the same inputs stands: delivery 1 of run 2"
    )
    [output] = partner._rows(
        "SELECT value FROM output JOIN task_instance USING (instance_id) WHERE run_id = ?", second
    )
    assert msgspec.json.decode(output[0]) == {"ack": 7}
    partner.command("rerun", run_id=2, whole=True)
    assert partner.state("export", 2) == "success"
    assert partner.attempts("export", 2) == ["success"]
    assert ledger(partner) == [(1, "delivered", None)]


def test_d19_new_inputs_make_one_correction_that_sees_what_stands(partner: Scene) -> None:
    gold(partner)
    deliver(partner)
    partner.end("export", output={"ack": 7})
    gold(partner)
    third = deliver(partner)
    assert partner.state("export", third) == "running"
    assert ledger(partner) == [(1, "delivered", None), (2, "pending", 1)]
    given = delivery_rows.given(partner.store._raw, 2)
    assert given.previous is not None
    assert (given.previous.delivery_id, given.previous.receipt, given.previous.inputs) == (
        1,
        {"ack": 7},
        (1,),
    )
    partner.end("export", run=third, output={"ack": 8})
    assert ledger(partner) == [(1, "corrected", None), (2, "delivered", 1)]
    again = deliver(partner)
    assert partner.state("export", again) == "success"
    assert len(ledger(partner)) == 2


@pytest.mark.parametrize(
    ("semantics", "becomes"),
    [
        ("idempotent_put", "superseded"),
        ("human_visible_publication", "superseded"),
        ("append_only_export", "corrected"),
        ("notification", "corrected"),
        ("stateful_remote_mutation", "corrected"),
    ],
)
def test_s1_51_what_a_correction_does_to_the_one_before_follows_its_semantics(
    scene: Scene, semantics: str, becomes: str
) -> None:
    set_up(scene, semantics=semantics)
    for _ in range(2):
        gold(scene)
        scene.end("export", run=deliver(scene))
    assert ledger(scene) == [(1, becomes, None), (2, "delivered", 1)]
    states = scene._rows(
        "SELECT v.state FROM asset_version v JOIN asset a USING (asset_id) WHERE a.name = 'partner-export' ORDER BY asset_version_id"
    )
    assert states == [("superseded",), ("published",)]


def test_s1_49_another_interval_is_another_delivery(partner: Scene) -> None:
    for hour in range(2):
        gold(partner, hour)
        partner.end("export", run=deliver(partner, hour))
    assert ledger(partner) == [(1, "delivered", None), (2, "delivered", None)]


# --- failure and death -----------------------------------------------------------------------------


def test_b45_an_attempt_that_fails_is_retried_with_the_same_key(scene: Scene) -> None:
    set_up(scene, retries=1, delay=10)
    gold(scene)
    deliver(scene)
    [(key,)] = scene._rows("SELECT key FROM delivery")
    scene.fails("export")
    assert ledger(scene) == [(1, "pending", None)]
    scene.advance(11)
    [start] = [each for each in scene.bodies.values() if each.task.name == "export"]
    assert start.delivery == 1
    scene.fails("export")
    assert ledger(scene) == [(1, "failed", None)]
    scene.command("rerun", run_id=2)
    assert ledger(scene) == [(1, "pending", None)]
    assert scene._rows("SELECT key FROM delivery") == [(key,)]
    scene.end("export")
    assert ledger(scene) == [(1, "delivered", None)]


def test_b45_what_is_not_idempotent_waits_for_a_person_when_its_process_died(partner: Scene) -> None:
    gold(partner)
    deliver(partner)
    partner.crash()
    assert (partner.state("export"), ledger(partner)) == ("lost", [(1, "pending", None)])
    partner.command("mark", run_id=2, task="export", state="success")
    assert ledger(partner) == [(1, "delivered", None)], "somebody has looked: it had left"


def test_b45_a_lost_delivery_that_a_person_runs_again_keeps_its_key(partner: Scene) -> None:
    gold(partner)
    deliver(partner)
    [before] = partner._rows("SELECT key FROM delivery")
    partner.crash()
    partner.command("rerun", run_id=2)
    assert (partner.state("export"), ledger(partner)) == ("running", [(1, "pending", None)])
    assert partner._rows("SELECT key FROM delivery") == [before]
    partner.end("export")
    assert ledger(partner) == [(1, "delivered", None)]


def test_b45_an_idempotent_one_is_driven_again_with_the_same_key(scene: Scene) -> None:
    set_up(scene, semantics="idempotent_put")
    gold(scene)
    deliver(scene)
    [before] = scene._rows("SELECT key FROM delivery")
    scene.crash()
    assert scene.state("export") == "running"
    [start] = [each for each in scene.bodies.values() if each.task.name == "export"]
    assert (start.delivery, scene._rows("SELECT key FROM delivery")) == (1, [before])
    scene.end("export")
    assert ledger(scene) == [(1, "delivered", None)]


@pytest.mark.parametrize("turns", [2, 3, 4, 5])
def test_b45_a_crash_between_any_two_commits_leaves_one_delivery(scene: Scene, turns: int) -> None:
    set_up(scene, semantics="idempotent_put")
    gold(scene)
    scene.crash_after(turns, Command(91, "trigger", {"dag": "d", "logical_us": T0, "new": True}))
    assert ledger(scene) == [(1, "pending", None)]
    scene.crash_after(turns, scene.ended(scene.attempt("export")))
    assert [state for _, state, _ in ledger(scene)] in (["delivered"], ["pending"])
    while "export" in scene.going:
        scene.end("export")
    assert ledger(scene) == [(1, "delivered", None)]


def test_b45_a_cancelled_one_is_pending_until_its_body_has_stopped(partner: Scene) -> None:
    gold(partner)
    run = deliver(partner)
    partner.command("cancel", run_id=run)
    assert (partner.run_state(run), ledger(partner)) == ("cancelled", [(1, "pending", None)])
    partner.stopped("export")
    assert ledger(partner) == [(1, "failed", None)]


def test_b45_a_cancelled_one_that_had_left_all_the_same_is_in_the_ledger(partner: Scene) -> None:
    gold(partner)
    run = deliver(partner)
    partner.command("cancel", run_id=run)
    partner.end("export", output={"ack": 7})
    assert (partner.run_state(run), ledger(partner)) == ("cancelled", [(1, "delivered", None)])
    second = deliver(partner)
    assert partner.state("export", second) == "success"


def test_b45_a_cancelled_one_whose_process_dies_failed(partner: Scene) -> None:
    gold(partner)
    partner.command("cancel", run_id=deliver(partner))
    partner.crash()
    assert ledger(partner) == [(1, "failed", None)]


def test_b45_two_runs_of_one_interval_deliver_one_after_the_other(partner: Scene) -> None:
    gold(partner)
    first = deliver(partner)
    second = deliver(partner)
    assert partner.state("export", second) == "blocked"
    assert partner.reason("export", second) == f"waits for delivery 1 of run {first}, which is under way"
    assert invariants.check(partner.store._raw) == [], (
        "no contract holds it up, so no decision has to say why"
    )
    partner.crash()
    assert partner.state("export", second) == "blocked"
    partner.command("mark", run_id=first, task="export", state="failed")
    assert (partner.state("export", second), ledger(partner)) == ("running", [(1, "pending", None)])
    partner.end("export", run=second, output={"ack": 1})
    assert ledger(partner) == [(1, "delivered", None)]


def test_b45_the_second_of_two_gets_the_receipt_of_the_first(partner: Scene) -> None:
    gold(partner)
    first, second = deliver(partner), deliver(partner)
    partner.end("export", run=first, output={"ack": 1})
    assert partner.state("export", second) == "success"
    assert ledger(partner) == [(1, "delivered", None)]


def test_b45_a_rerun_while_the_old_body_stops_waits_for_it(partner: Scene) -> None:
    gold(partner)
    run = deliver(partner)
    partner.command("mark", run_id=run, task="export", state="failed")
    partner.command("rerun", run_id=run)
    assert partner.state("export", run) == "blocked"
    partner.end("export", output={"ack": 1})
    assert (partner.state("export", run), ledger(partner)) == ("success", [(1, "delivered", None)])


# --- approvals, contracts, shadow ------------------------------------------------------------------


def test_s1_50_s1_52_an_approval_of_exactly_this_delivery_comes_first(scene: Scene) -> None:
    set_up(scene, approval=True)
    gold(scene)
    run = deliver(scene)
    assert (scene.state("export", run), ledger(scene)) == ("awaiting_approval", [])
    [(prompt, who)] = scene._rows("SELECT prompt, who FROM approval")
    assert prompt == "deliver partner-export to partner-a, made of gold version 1?"
    assert who == '["ann"]'
    scene.crash()
    scene.command("approve", approval_id=1, by="ann", why="checked")
    assert (scene.state("export", run), ledger(scene)) == ("running", [(1, "pending", None)])
    scene.end("export")


def test_s1_50_what_changes_while_a_person_thinks_is_asked_anew(scene: Scene) -> None:
    set_up(scene, approval=True)
    gold(scene)
    deliver(scene)
    gold(scene)
    assert scene._rows("SELECT approval_id, state FROM approval") == [(1, "withdrawn"), (2, "open")]
    scene.command("approve", approval_id=2, by="ann", why="checked")
    assert made_of(scene) == [2]
    scene.end("export")
    gold(scene)
    deliver(scene)
    [(prompt,)] = scene._rows("SELECT prompt FROM approval WHERE approval_id = 3")
    assert prompt.endswith(", in place of delivery 1?")


def test_s1_50_rejected_or_expired_nothing_leaves(scene: Scene) -> None:
    set_up(scene, approval=True)
    gold(scene)
    first, second = deliver(scene), deliver(scene)
    scene.command("reject", approval_id=1, by="ann", why="wrong month")
    assert (scene.state("export", first), scene.reason("export", first)) == (
        "failed",
        "rejected by ann: wrong month",
    )
    scene.advance(3601)
    assert scene.state("export", second) == "failed"
    assert ledger(scene) == []


def test_s1_52_a_contract_of_the_effect_is_asked_in_its_own_phase(partner: Scene) -> None:
    partner.declare(
        AssetSpec("partner-export", node=Node.EXTERNAL_EFFECT),
        ContractSpec(downstream="partner-export", upstream=GOLD, kind=Edge.INTERVAL_MATCH),
    )
    run = deliver(partner)
    assert partner.state("export", run) == "blocked"
    gold(partner)
    assert (partner.state("export", run), ledger(partner)) == ("running", [(1, "pending", None)])
    partner.end("export")
    assert partner._rows("SELECT phase FROM decision ORDER BY decision_id DESC LIMIT 1") == [("effect",)]


def test_s1_17_a_shadow_run_delivers_nothing(scene: Scene) -> None:
    scene.dag("make", job("gold", outlets=(GOLD,)))
    spec = DagSpec(name="d", tasks=(export(), job("tell", "export")), shadow=True)
    dag = Dag(spec, code={})
    options = {"max_active_runs": 10, "on_pause": "freeze", "catchup": "latest"}
    scene.dags["d"] = DagLoaded("d", dag.encoded, dag.hash, dag.schedule.to_json(), options)
    scene.feed(scene.dags["d"])
    gold(scene)
    run = deliver(scene)
    assert scene.states(run) == {"export": "skipped", "tell": "skipped"}
    assert ledger(scene) == []


def test_s1_49_an_effect_without_inputs_is_delivered_once_an_interval(scene: Scene) -> None:
    set_up(scene, inlets=())
    scene.end("export", run=deliver(scene))
    assert scene.state("export", deliver(scene)) == "success"
    assert ledger(scene) == [(1, "delivered", None)]


def test_s1_49_a_delivery_makes_runs_of_those_who_look_at_it(partner: Scene) -> None:
    partner.dag("audit", job("note"), schedule=OnAssets(Asset("partner-export"), consume="each"))
    gold(partner)
    partner.end("export", run=deliver(partner))
    assert len(partner.runs("audit")) == 1


def test_s1_30_what_is_delivered_with_limitations_is_a_degraded_version_of_it(partner: Scene) -> None:
    partner.declare(
        AssetSpec("partner-export", node=Node.EXTERNAL_EFFECT),
        ContractSpec(
            downstream="partner-export", upstream=GOLD, kind=Edge.INTERVAL_MATCH,
            on_failure={Result.MISSING: Rule(Action.WARN)},
        ),
    )  # fmt: skip
    deliver(partner)
    partner.crash()
    partner.command("rerun", run_id=1)
    partner.end("export")
    [(state, limits)] = partner._rows(
        "SELECT v.state, v.limits FROM asset_version v JOIN asset a USING (asset_id) WHERE a.name = 'partner-export'"
    )
    assert state == "degraded"
    assert "gold" in limits


def test_b45_a_backfill_of_what_has_left_delivers_nothing_again(partner: Scene) -> None:
    gold(partner)
    for number in (1, 2):
        partner.backfill("d", 2, overwrite="overwrite", max_active=2)
        assert partner.going.count("export") == (2 if number == 1 else 0)
        while partner.going:
            partner.end(partner.going[0])
        assert partner.backfill_state(number) == "success"
    assert ledger(partner) == [(1, "delivered", None), (2, "delivered", None)]


def test_d19_s1_53_a_corrected_input_makes_one_correction_however_often_it_is_asked_for(
    partner: Scene,
) -> None:
    gold(partner)
    partner.end("export", run=deliver(partner), output={"ack": 1})
    gold(partner)
    first, second = deliver(partner), deliver(partner)
    partner.crash()
    assert (partner.state("export", first), partner.state("export", second)) == ("lost", "blocked")
    partner.command("rerun", run_id=first)
    partner.end("export", run=first, output={"ack": 2})
    assert (partner.state("export", first), partner.state("export", second)) == ("success", "success")
    while partner.going:
        partner.end("tell")
    partner.command("rerun", run_id=first, whole=True)
    assert partner.state("export", first) == "success"
    assert ledger(partner) == [(1, "corrected", None), (2, "delivered", 1)]


# --- what it is made of is found wrong meanwhile ---------------------------------------------------


def of_export(scene: Scene) -> list[str]:
    """The states of the versions of the effect, oldest first."""
    rows = (
        "SELECT state FROM asset_version JOIN asset USING (asset_id) WHERE name = 'partner-export' ORDER BY 1"
    )
    return [state for (state,) in scene._rows(rows)]


@pytest.mark.parametrize("crashing", [False, True])
def test_s1_34_what_is_found_wrong_while_it_leaves_is_invalidated_when_it_has_left(
    partner: Scene, crashing: bool
) -> None:
    gold(partner)
    run = deliver(partner)
    partner.command("asset_invalidate", version=1)
    assert (of_export(partner), ledger(partner)) == (["validated"], [(1, "pending", None)])
    if crashing:
        partner.crash()
        partner.command("mark", run_id=run, task="export", state="success")
    else:
        partner.end("export", run=run)
    assert (of_export(partner), ledger(partner)) == (["invalidated"], [(1, "delivered", None)])


def test_s1_34_what_was_found_wrong_is_not_delivered_by_a_retry(scene: Scene) -> None:
    set_up(scene, retries=1, delay=60)
    gold(scene)
    run = deliver(scene)
    scene.fails("export")
    scene.command("asset_invalidate", version=1)
    gold(scene)
    scene.crash()
    scene.advance(61)
    assert (scene.going, made_of(scene, 2)) == (["export"], [3])
    scene.end("export", run=run)
    assert [state for _, state, _ in ledger(scene)] == ["failed", "delivered"]


def test_s1_34_a_retry_of_what_was_found_wrong_waits_until_its_contract_holds(scene: Scene) -> None:
    set_up(scene, retries=1)
    scene.declare(ContractSpec(downstream="partner-export", upstream=GOLD, kind=Edge.INTERVAL_MATCH))
    gold(scene)
    run = deliver(scene)
    scene.command("asset_invalidate", version=1)
    scene.fails("export")
    assert (scene.state("export", run), scene.going) == ("blocked", [])
    scene.crash()
    gold(scene)
    assert (scene.going, made_of(scene, 2)) == (["export"], [3])


def test_s1_34_what_was_found_wrong_before_it_began_is_asked_once_more(
    new_scene: Callable[..., Scene],
) -> None:
    scene = set_up(new_scene(slots=1))
    scene.dag("other", job("long"))
    gold(scene)
    scene.trigger("other")
    run = deliver(scene)
    assert (scene.state("export", run), scene.going) == ("ready", ["long"])
    scene.command("asset_invalidate", version=1)
    scene.end("long")
    assert scene.going == ["export"]
    assert (made_of(scene, 1), made_of(scene, 2)) == ([1], []), (
        "nothing that is right is there, and no contract asks for it"
    )


def test_s1_34_an_idempotent_one_whose_process_died_is_left_to_a_person_when_it_was_found_wrong(
    scene: Scene,
) -> None:
    set_up(scene, semantics="idempotent_put")
    gold(scene)
    run = deliver(scene)
    scene.command("asset_invalidate", version=1)
    scene.crash()
    assert scene.state("export", run) == "lost"
    gold(scene)
    scene.command("rerun", run_id=run)
    assert (scene.going, made_of(scene, 2)) == (["export"], [3])


def test_b66_a_delivery_that_fails_is_told_to_the_owner_of_the_effect(partner: Scene) -> None:
    gold(partner)
    deliver(partner)
    partner.fails("export")
    kinds = [kind for (kind,) in partner._rows("SELECT kind FROM alert ORDER BY alert_id")]
    assert sorted(kinds) == ["effect", "failure"]
    [(text, severity)] = partner._rows("SELECT text, severity FROM alert WHERE kind = 'effect'")
    assert "delivery 1 of partner-export to partner-a" in text
    assert severity == "major"
