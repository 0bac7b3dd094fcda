"""A rerun plan runs out of sight, is published in one turn, and changes nothing when a part of it fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.contract import ContractSpec, Rule
from bide.runtime.assets.gate import GateSpec
from bide.runtime.assets.rerun import RerunPlan
from bide.runtime.assets.words import Action, Criticality, Edge, Level, Node, Result, Severity
from bide.runtime.clock import from_us
from bide.runtime.engine.messages import Command
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.schedules import Every, OnAssets
from bide.triggers.external_task import ExternalTaskTrigger
from tests.engine.declare import HOUR_US, job, sensor
from tests.engine.planning import invalidate, keep, planned, state_of, steps_of, visible
from tests.engine.scene import T0, Scene

FIRST = (T0, T0 + HOUR_US)
HOURLY = Every(timedelta(hours=1), anchor=from_us(T0))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "plans.db", slots=8, now=T0 + 50 * HOUR_US + 1)  # nothing is due meanwhile
    yield scene
    scene.close()


def chain(scene: Scene, hours: int = 2, **options: Any) -> None:
    """raw -> silver -> gold, each of a DAG of its own, for so many hours."""
    scene.dag("raw", job("load", outlets=("raw",)), schedule=HOURLY, **options)
    scene.dag("silver", job("clean", outlets=("silver",), inlets=("raw",)), schedule=HOURLY, **options)
    scene.dag("gold", job("sum", outlets=("gold",), inlets=("silver",)), schedule=HOURLY, **options)
    for n in range(hours):
        for dag, task in (("raw", "load"), ("silver", "clean"), ("gold", "sum")):
            run = scene.trigger(dag, logical_us=T0 + n * HOUR_US)
            scene.end(task, run=run)


def wrong(scene: Scene, asset: str = "raw", first: int = 0, hours: int = 1) -> RerunPlan:
    """Some hours of an asset are wrong; the plan of that."""
    lo, hi = T0 + first * HOUR_US, T0 + (first + hours) * HOUR_US
    return planned(scene, invalidate(scene, asset, lo, hi))


def started(scene: Scene, plan: RerunPlan) -> int:
    n = keep(scene, plan)
    if plan.requires_approval:
        scene.command("plan_approve", plan_id=n, hash=plan.hash, by="ada", why="seen")
    scene.command("plan_run", plan_id=n, hash=plan.hash)
    return n


def of_plan(scene: Scene) -> list[str]:
    """The tasks of plans whose bodies go."""
    return [s.task.name for s in scene.bodies.values() if scene.world.runs[s.run_id].apart]


def finish(scene: Scene) -> None:
    """Bodies of plans succeed until none goes."""
    for _ in range(200):
        going = [s.attempt_id for s in scene.bodies.values() if scene.world.runs[s.run_id].apart]
        if not going:
            return
        scene.feed(scene.ended(going[0]))
    raise AssertionError("it does not end")


def dump(scene: Scene) -> list[Any]:
    """All that a plan could change, and the journal."""
    tables = (
        "asset_version",
        "asset_input",
        "rerun_plan",
        "rerun_step",
        "run",
        "task_instance",
        "approval",
        "event",
    )
    return [scene._rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


# --- to its end ----------------------------------------------------------------------------------


def test_s1_24_steps_run_in_order_out_of_sight_and_all_is_published_in_one_turn(scene: Scene) -> None:
    chain(scene)
    plan = wrong(scene)
    before = visible(scene)
    n = started(scene, plan)
    seen = [(of_plan(scene), steps_of(scene, n))]
    for task in ("load", "clean"):
        scene.end(task)
        assert visible(scene) == before
        seen.append((of_plan(scene), steps_of(scene, n)))
    assert seen == [
        (["load"], ["running", "pending", "pending"]),
        (["clean"], ["staged", "running", "pending"]),
        (["sum"], ["staged", "staged", "running"]),
    ]
    scene.end("sum")
    assert (state_of(scene, n), steps_of(scene, n)) == ("published", ["published"] * 3)
    assert {key: version for key, version in visible(scene).items() if key[1] == T0} == {
        ("raw", T0): 7, ("silver", T0): 8, ("gold", T0): 9,
    }  # fmt: skip


def test_s1_24_each_step_reads_what_the_plan_has_staged_before_it(scene: Scene) -> None:
    chain(scene)
    n = started(scene, wrong(scene))
    finish(scene)
    inputs = scene._rows(
        "SELECT asset_version_id, input_id FROM asset_input JOIN asset_version USING (asset_version_id)"
        " WHERE plan_id = ? ORDER BY 1",
        n,
    )
    assert inputs == [(8, 7), (9, 8)]


def test_s1_22_what_read_a_version_since_superseded_is_made_of_its_successor(scene: Scene) -> None:
    """It was made of another version of the interval; made anew it reads the one that the plan makes."""
    scene.dag("raw", job("load", outlets=("raw",)), schedule=HOURLY)
    scene.dag("again", job("load2", outlets=("raw",)), schedule=HOURLY)
    scene.dag("silver", job("clean", outlets=("silver",), inlets=("raw",)), schedule=HOURLY)
    for dag, task in (("raw", "load"), ("silver", "clean"), ("again", "load2")):
        scene.end(task, run=scene.trigger(dag, logical_us=T0))
    plan = wrong(scene)
    assert [(step.pipeline, step.depends_on_steps) for step in plan.steps] == [
        ("again", ()),
        ("silver", (plan.steps[0].name,)),
    ]
    n = started(scene, plan)
    finish(scene)
    seen = visible(scene)
    assert state_of(scene, n) == "published"
    assert scene._rows("SELECT input_id FROM asset_input WHERE asset_version_id = ?", seen["silver", T0]) == [
        (seen["raw", T0],)
    ]


@pytest.mark.parametrize("last", ["wide", "narrow"])
def test_s1_24_of_two_versions_of_an_interval_that_a_plan_makes_the_later_is_seen(
    scene: Scene, last: str
) -> None:
    scene.dag("src", job("s", outlets=("src",)), schedule=HOURLY)
    scene.dag("a", job("wide", outlets=("raw", "extra"), inlets=("src",)), schedule=HOURLY)
    scene.dag("b", job("narrow", outlets=("extra",), inlets=("src",)), schedule=HOURLY)
    for dag, task in (("src", "s"), ("a", "wide"), ("b", "narrow")):
        scene.end(task, run=scene.trigger(dag, logical_us=T0))
    n = started(scene, wrong(scene, "src"))
    [first] = of_plan(scene)
    for task in (first, *(each for each in ("narrow", "wide") if each != last), last):
        [attempt] = [s.attempt_id for s in scene.bodies.values() if s.task.name == task]
        scene.feed(scene.ended(attempt))
    assert (state_of(scene, n), set(steps_of(scene, n))) == ("published", {"published"})
    extras = scene._rows(
        "SELECT asset_version_id FROM asset_version JOIN asset USING (asset_id) WHERE name = 'extra' ORDER BY 1"
    )
    assert visible(scene)["extra", T0] == extras[-1][0]
    assert set(visible(scene)) == {("src", T0), ("raw", T0), ("extra", T0)}


def test_s1_24_a_plan_run_to_its_end_leaves_nothing_to_plan(scene: Scene) -> None:
    chain(scene)
    number = invalidate(scene, "raw", *FIRST)
    started(scene, planned(scene, number))
    finish(scene)
    again = planned(scene, number)
    assert (again.steps, again.summary[-1]) == ((), "nothing has to be made anew")


def test_b44_a_second_run_of_the_same_plan_changes_nothing(scene: Scene) -> None:
    chain(scene)
    plan = wrong(scene)
    n = started(scene, plan)
    twice = scene.command("plan_run", plan_id=n, hash=plan.hash)
    finish(scene)
    before = dump(scene)
    again = scene.command("plan_run", plan_id=n, hash=plan.hash)
    assert (twice, again) == (
        {"plan_id": n, "state": "running", "started": False},
        {"plan_id": n, "state": "published", "started": False},
    )
    assert dump(scene) == before


def test_b44_the_same_plan_is_kept_once(scene: Scene) -> None:
    chain(scene)
    plan = wrong(scene)
    assert keep(scene, plan) == keep(scene, plan)
    assert len(scene._rows("SELECT * FROM rerun_plan")) == 1


def test_s1_24_a_plan_without_steps_is_published_at_once(scene: Scene) -> None:
    chain(scene, 1)
    number = invalidate(scene, "raw", *FIRST)
    started(scene, planned(scene, number))
    finish(scene)
    n = started(scene, planned(scene, number))
    assert state_of(scene, n) == "published"


def test_s1_22_only_the_tasks_of_the_plan_run_and_in_their_order(scene: Scene) -> None:
    scene.dag(
        "etl",
        job("fetch", outlets=("raw",)),
        job("make", "fetch", outlets=("silver",), inlets=("raw",)),
        job("other", "make", outlets=("other",), inlets=("silver",)),
        job("sum", "other", outlets=("gold",), inlets=("silver",)),
        schedule=HOURLY,
    )
    scene.trigger("etl", logical_us=T0)
    scene.end("fetch", "make", "other", "sum")
    stands = Rule(Action.WARN)
    scene.declare(ContractSpec(downstream="other", upstream="silver", on_failure={Result.INVALID: stands}))
    n = started(scene, wrong(scene, "silver"))
    assert of_plan(scene) == ["make"]
    scene.end("make")
    assert of_plan(scene) == ["sum"]  # what stood between them is left out, their order is not
    scene.end("sum")
    assert state_of(scene, n) == "published"


def test_s1_24_of_a_dag_a_plan_runs_no_more_at_once_than_it_may_have_runs(scene: Scene) -> None:
    chain(scene, 4, max_active_runs=2)
    n = started(scene, wrong(scene, "gold", hours=4))
    assert of_plan(scene) == ["sum", "sum"]
    scene.end("sum")
    assert of_plan(scene) == ["sum", "sum"]
    finish(scene)
    assert state_of(scene, n) == "published"


def test_s1_24_steps_of_a_plan_take_no_place_of_live_runs(scene: Scene) -> None:
    """A live run that holds the only place, and waits for what is wrong, would wait for ever."""
    chain(scene, 1, max_active_runs=1)
    plan = wrong(scene)
    live = scene.trigger("silver", logical_us=T0 + 5 * HOUR_US)
    n = started(scene, plan)
    scene.end("load")
    assert of_plan(scene) == ["clean"]
    assert scene.run_state(live) == "running"
    finish(scene)
    scene.end("clean", run=live)
    assert state_of(scene, n) == "published"


def test_s1_22_what_else_is_wrong_of_what_its_steps_read_is_mended_with_it(scene: Scene) -> None:
    """Each of two plans would wait for the other, for gold is not seen while one of its inputs is wrong."""
    scene.declare(
        *(ContractSpec(downstream="gold", upstream=up, kind=Edge.INTERVAL_MATCH) for up in ("raw", "rates"))
    )
    scene.dag("raw", job("load", outlets=("raw",)), schedule=HOURLY)
    scene.dag("rates", job("rate", outlets=("rates",)), schedule=HOURLY)
    scene.dag("gold", job("sum", outlets=("gold",)), schedule=HOURLY)
    for dag, task in (("raw", "load"), ("rates", "rate"), ("gold", "sum"), ("rates", "rate")):
        run = scene.trigger(dag, logical_us=T0, new=True)
        scene.end(task, run=run)
    first = invalidate(scene, "raw", *FIRST)
    second = invalidate(scene, "rates", *FIRST)  # of which gold has read an older version
    plan = planned(scene, first)
    assert sorted(step.pipeline for step in plan.steps) == ["gold", "rates", "raw"]
    n = started(scene, plan)
    finish(scene)
    assert state_of(scene, n) == "published"
    assert planned(scene, second).steps == ()


# --- a part fails --------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["load", "clean", "sum"])
def test_s1_24_a_step_that_fails_ends_the_plan_and_nothing_that_is_seen_has_changed(
    scene: Scene, task: str
) -> None:
    chain(scene)
    plan = wrong(scene)
    before = visible(scene)
    n = started(scene, plan)
    for each in ("load", "clean", "sum"):
        if each == task:
            scene.fails(each)
            break
        scene.end(each)
    assert (state_of(scene, n), visible(scene)) == ("failed", before)
    made = scene._rows("SELECT DISTINCT state FROM asset_version WHERE plan_id = ?", n)
    assert made in ([], [("failed",)])
    with pytest.raises(
        RefusedError, match=f"plan {n} is failed .* make another one with `bide assets plan 1`"
    ):
        scene.command("plan_run", plan_id=n, hash=plan.hash)


def test_s1_24_the_other_runs_of_a_plan_that_failed_are_cancelled(scene: Scene) -> None:
    chain(scene, 3)
    n = started(scene, wrong(scene, "gold", hours=3))
    assert of_plan(scene) == ["sum"] * 3
    scene.end("sum")
    scene.fails("sum")
    assert sorted(steps_of(scene, n)) == ["failed", "skipped", "skipped"]
    assert [state for _, state in scene.runs("gold")][3:].count("cancelled") == 1
    for attempt in list(scene.stops):
        scene.feed(scene.ended(attempt, "cancelled"))


def test_s1_24_a_cancelled_plan_leaves_what_is_seen_as_it_was(scene: Scene) -> None:
    chain(scene)
    plan = wrong(scene)
    before = visible(scene)
    n = started(scene, plan)
    scene.end("load")
    assert scene.command("plan_cancel", plan_id=n, reason="not today") == {"plan_id": n, "state": "cancelled"}
    assert (state_of(scene, n), steps_of(scene, n), visible(scene)) == ("cancelled", ["skipped"] * 3, before)
    scene.stopped("clean")
    with pytest.raises(RefusedError, match="is cancelled already"):
        scene.command("plan_cancel", plan_id=n)


def test_s1_24_a_run_of_a_plan_that_a_person_cancels_fails_the_plan(scene: Scene) -> None:
    chain(scene)
    n = started(scene, wrong(scene))
    run = max(scene.world.runs)
    scene.command("cancel", run_id=run)
    assert state_of(scene, n) == "failed"
    scene.stopped("load")


def test_s1_24_a_body_that_makes_nothing_fails_the_plan(scene: Scene) -> None:
    chain(scene)
    n = started(scene, wrong(scene))
    scene.feed(scene.ended(scene.attempt("load"), "skipped"))
    assert state_of(scene, n) == "failed"
    [(reason,)] = scene._rows("SELECT reason FROM rerun_plan")
    assert "has made no validated version of raw" in reason


def test_c69_a_gate_that_fails_in_a_step_fails_the_plan(scene: Scene) -> None:
    chain(scene)
    scene.declare(GateSpec(asset="silver", name="rows", severity=Severity.CRITICAL))
    plan = wrong(scene)
    before = visible(scene)
    n = started(scene, plan)
    scene.end("load")
    found = b'{"silver":[{"name":"rows","severity":"critical","passed":false}]}'
    scene.feed(scene.ended(scene.attempt("clean"), checks=found))
    assert (state_of(scene, n), visible(scene)) == ("failed", before)


def test_s1_24_a_live_version_of_the_interval_fails_a_plan_that_is_older(scene: Scene) -> None:
    chain(scene)
    plan = wrong(scene)
    n = started(scene, plan)
    scene.end("load")
    live = scene.trigger("raw", logical_us=T0, new=True)
    scene.end("load", run=live)
    finish(scene)
    assert state_of(scene, n) == "failed"
    assert visible(scene)["raw", T0] == 8
    assert ("silver", T0) not in visible(scene)


# --- approval ------------------------------------------------------------------------------------


def risky(scene: Scene) -> tuple[int, RerunPlan]:
    chain(scene)
    scene.declare(AssetSpec("gold", criticality=Criticality.HIGH))
    plan = wrong(scene)
    assert plan.requires_approval
    return keep(scene, plan), plan


def test_s1_24_a_plan_that_needs_approval_is_not_run_without(scene: Scene) -> None:
    n, plan = risky(scene)
    with pytest.raises(RefusedError, match=f"plan {n} is not approved: `bide approvals approve 1`"):
        scene.command("plan_run", plan_id=n, hash=plan.hash)
    scene.command("approve", approval_id=1, by="ada", why="the figures are wrong")
    assert state_of(scene, n) == "approved"
    scene.command("plan_run", plan_id=n, hash=plan.hash)
    finish(scene)
    assert state_of(scene, n) == "published"


def test_b55_who_approved_a_plan_and_why_are_kept(scene: Scene) -> None:
    n, plan = risky(scene)
    for said in ({}, {"by": "ada"}, {"why": "x"}):
        with pytest.raises(UsageError, match="say it with `by` and `why`"):
            scene.command("plan_approve", plan_id=n, hash=plan.hash, **said)
    scene.command("plan_approve", plan_id=n, hash=plan.hash, by="ada", why="the figures are wrong")
    assert (
        scene.command("plan_approve", plan_id=n, hash=plan.hash, by="bob", why="me too")["state"]
        == "approved"
    )
    [row] = scene._rows("SELECT kind, subject_id, state, by, why FROM approval")
    assert row == ("plan", n, "approved", "ada", "the figures are wrong")


def test_s1_24_a_plan_that_was_rejected_is_over(scene: Scene) -> None:
    n, plan = risky(scene)
    scene.command("reject", approval_id=1, by="ada", why="not now")
    assert state_of(scene, n) == "cancelled"
    with pytest.raises(RefusedError, match="rejected by ada: not now"):
        scene.command("plan_run", plan_id=n, hash=plan.hash)


def test_s1_24_cancelling_a_proposal_takes_its_approval_back(scene: Scene) -> None:
    n, _ = risky(scene)
    scene.command("plan_cancel", plan_id=n)
    assert scene._rows("SELECT state FROM approval") == [("withdrawn",)]


def test_b44_another_hash_is_another_plan(scene: Scene) -> None:
    n, plan = risky(scene)
    for verb, args in (("plan_run", {}), ("plan_approve", {"by": "ada", "why": "x"})):
        with pytest.raises(
            RefusedError, match=f"plan {n} has the hash {plan.hash[:12]}, and what was given has 0000"
        ):
            scene.command(verb, plan_id=n, hash="0" * 64, **args)
    with pytest.raises(NotFoundError, match="there is no plan 9"):
        scene.command("plan_run", plan_id=9, hash=plan.hash)


# --- the world moves -----------------------------------------------------------------------------


def test_b44_a_dag_that_has_changed_since_the_plan_was_made_refuses_it(scene: Scene) -> None:
    chain(scene)
    plan = wrong(scene)
    n = keep(scene, plan)
    scene.dag("silver", job("clean", outlets=("silver",), inlets=("raw",), retries=3), schedule=HOURLY)
    with pytest.raises(
        RefusedError, match=f"plan {n} is not run, for the DAG silver was .* when it was planned"
    ):
        scene.command("plan_run", plan_id=n, hash=plan.hash)
    assert state_of(scene, n) == "proposed"


def test_b44_a_dag_that_changes_while_the_plan_runs_ends_it(scene: Scene) -> None:
    chain(scene)
    plan = wrong(scene)
    before = visible(scene)
    n = started(scene, plan)
    scene.dag("silver", job("clean", outlets=("silver",), inlets=("raw",), retries=3), schedule=HOURLY)
    scene.end("load")
    assert (state_of(scene, n), visible(scene)) == ("failed", before)


def test_s1_24_what_no_task_makes_has_to_be_there_before_a_plan_runs(scene: Scene) -> None:
    chain(scene)
    number = invalidate(scene, "raw", *FIRST)
    scene.dag("raw", job("load"), schedule=HOURLY)
    plan = planned(scene, number)
    n = keep(scene, plan)
    with pytest.raises(
        RefusedError, match=r"version 1 of raw .* is wrong, and no task that is loaded makes it"
    ):
        scene.command("plan_run", plan_id=n, hash=plan.hash)


def test_b44_a_step_of_a_plan_that_is_over_is_not_opened_by_a_mark(scene: Scene) -> None:
    """What stands below it would run and be seen, and nobody has approved that any more."""
    both = (job("load", outlets=("raw",)), job("clean", "load", outlets=("silver",), inlets=("raw",)))
    scene.dag("both", *both, schedule=HOURLY)
    run = scene.trigger("both", logical_us=T0)
    scene.end("load", "clean", run=run)
    n = started(scene, wrong(scene))
    before = visible(scene)
    scene.fails("load")
    [step] = [number for (number,) in scene._rows("SELECT run_id FROM run WHERE kind = 'plan'")]
    for verb in ({"state": "success"}, {"state": "skipped", "downstream": True}):
        with pytest.raises(RefusedError, match="is a step of a rerun plan"):
            scene.command("mark", run_id=step, task="load", **verb)
    assert (state_of(scene, n), scene.going, visible(scene)) == ("failed", [], before)


def test_b44_a_run_of_a_plan_is_not_rerun_by_hand(scene: Scene) -> None:
    chain(scene)
    started(scene, wrong(scene))
    run = max(scene.world.runs)
    scene.end("load")
    with pytest.raises(RefusedError, match=f"run {run} is a step of a rerun plan"):
        scene.command("rerun", run_id=run, whole=True)
    finish(scene)


# --- contracts -----------------------------------------------------------------------------------


def contract(action: Action, level: Level | None = None) -> ContractSpec:
    """gold asks the rates of its interval before it is seen."""
    rule = Rule(action, level)
    return ContractSpec(
        downstream="gold", upstream="rates", kind=Edge.INTERVAL_MATCH, on_failure={Result.MISSING: rule}
    )


def test_s1_42_contracts_are_asked_again_before_a_plan_is_published(scene: Scene) -> None:
    chain(scene)
    scene.declare(contract(Action.BLOCK, Level.PUBLICATION))
    plan = wrong(scene)
    before = visible(scene)
    n = started(scene, plan)
    finish(scene)
    assert (state_of(scene, n), visible(scene)) == ("failed", before)
    [(reason,)] = scene._rows("SELECT reason FROM rerun_plan")
    assert "rates" in reason
    assert "nothing that consumers see was changed" in reason


@pytest.mark.parametrize(("verb", "end"), [("approve", "published"), ("reject", "failed")])
def test_s1_14i_a_contract_that_asks_a_person_before_publication_holds_the_whole_plan(
    scene: Scene, verb: str, end: str
) -> None:
    chain(scene)
    plan = wrong(scene)
    before = visible(scene)
    n = started(scene, plan)
    scene.end("load", "clean")
    scene.declare(contract(Action.REQUIRE_MANUAL_APPROVAL))  # while gold is being made
    scene.end("sum")
    assert (state_of(scene, n), steps_of(scene, n), visible(scene)) == ("running", ["staged"] * 3, before)
    scene.crash()
    [(approval,)] = scene._rows("SELECT approval_id FROM approval WHERE state = 'open'")
    scene.command(verb, approval_id=approval, by="ada", why="seen")
    assert state_of(scene, n) == end
    assert (visible(scene) == before) == (end == "failed")


def held_by_a_person(scene: Scene) -> tuple[int, int]:
    """A plan whose last version waits for a person, and so does that of a live run; their numbers."""
    chain(scene)
    n = started(scene, wrong(scene))
    scene.end("load", "clean")
    live = scene.trigger("gold", logical_us=T0, new=True)
    scene.declare(contract(Action.REQUIRE_MANUAL_APPROVAL))  # while both are being made
    finish(scene)
    scene.end("sum", run=live)
    assert state_of(scene, n) == "running"
    [(version,)] = scene._rows("SELECT max(asset_version_id) FROM asset_version")
    return n, version


@pytest.mark.parametrize("crashing", [False, True])
def test_s1_24_a_live_version_ends_a_plan_that_waits_for_a_person(scene: Scene, crashing: bool) -> None:
    n, live = held_by_a_person(scene)
    if crashing:
        scene.crash()
    scene.command("asset_publish", version_id=live, by="ada", why="it is known")
    assert (state_of(scene, n), visible(scene)["gold", T0]) == ("failed", live)
    assert scene._rows("SELECT DISTINCT state FROM approval") == [("withdrawn",)], "nobody is asked in vain"


@pytest.mark.parametrize("crashing", [False, True])
def test_s1_42_a_plan_that_waits_for_a_person_goes_on_when_the_contract_asks_for_none(
    scene: Scene, crashing: bool
) -> None:
    n, live = held_by_a_person(scene)
    [(of_live,)] = scene._rows("SELECT approval_id FROM approval WHERE subject_id = ?", live)
    scene.command("reject", approval_id=of_live, by="ada", why="the plan makes it")
    if crashing:
        scene.crash()
    scene.declare()
    assert state_of(scene, n) == "published"
    assert scene._rows("SELECT state FROM approval ORDER BY 1") == [("rejected",), ("withdrawn",)]


# --- what has left -------------------------------------------------------------------------------


def exported(scene: Scene) -> RerunPlan:
    """gold has left by `send`, which is corrected with it."""
    chain(scene, 1)
    scene.declare(AssetSpec("out", node=Node.EXTERNAL_EFFECT))
    scene.dag("export", job("send_out", outlets=("out",), inlets=("gold",)), schedule=HOURLY)
    run = scene.trigger("export", logical_us=T0)
    scene.end("send_out", run=run)
    plan = wrong(scene)
    assert [step.pipeline for step in plan.compensations] == ["export"]
    return plan


def test_s1_22g_a_correction_leaves_after_all_else_is_seen(scene: Scene) -> None:
    n = started(scene, exported(scene))
    scene.end("load", "clean")
    assert of_plan(scene) == ["sum"]
    scene.end("sum")
    assert (of_plan(scene), steps_of(scene, n)) == (["send_out"], ["published"] * 3 + ["running"])
    assert ("gold", T0) in visible(scene)
    scene.crash()
    scene.end("send_out")
    assert (state_of(scene, n), steps_of(scene, n)) == ("published", ["published"] * 4)


def test_s1_22g_a_correction_that_fails_says_so_and_what_was_published_stays(scene: Scene) -> None:
    n = started(scene, exported(scene))
    scene.end("load", "clean", "sum")
    scene.fails("send_out")
    assert (state_of(scene, n), steps_of(scene, n)) == ("failed", ["published"] * 3 + ["failed"])
    [(reason,)] = scene._rows("SELECT reason FROM rerun_plan")
    assert reason.startswith("what it made is published, and 1 of its corrections failed: export@2026-01-01")
    assert ("gold", T0) in visible(scene)


# --- who looks at it -----------------------------------------------------------------------------


def test_s1_24_dags_that_the_plan_runs_are_not_started_by_what_it_publishes(scene: Scene) -> None:
    """One that is scheduled by the asset, and is in the plan, has run; another one is started as ever."""
    scene.dag("raw", job("load", outlets=("raw",)), schedule=HOURLY)
    scene.dag(
        "gold", job("sum", outlets=("gold",), inlets=("raw",)), schedule=OnAssets("raw", consume="each")
    )
    scene.dag("mail", job("post"), schedule=OnAssets("raw", consume="each"))
    scene.trigger("raw", logical_us=T0)
    scene.end("load", "sum", "post")
    number = invalidate(scene, "raw", *FIRST)
    n = started(scene, planned(scene, number))
    scene.end("load", "sum")
    assert state_of(scene, n) == "published"
    assert scene.going == ["post"]
    scene.crash()
    assert scene.going == ["post"]
    scene.end("post")
    again = scene.trigger("raw", logical_us=T0 + HOUR_US)
    scene.end("load", run=again)
    assert sorted(scene.going) == ["post", "sum"]
    assert len(scene._rows("SELECT * FROM asset_drop")) == 1


def test_s1_24_steps_are_no_runs_of_their_date_for_anybody_else(scene: Scene) -> None:
    """A sensor on another task of that date would be told that there is none."""
    scene.dag("etl", job("make", outlets=("raw",)), job("late", "make", outlets=("late",)), schedule=HOURLY)
    run = scene.trigger("etl", logical_us=T0)
    scene.end("make", "late", run=run)
    trigger = ExternalTaskTrigger(dag="etl", task="late", logical_us=T0)
    number = invalidate(scene, "raw", *FIRST)
    n = started(scene, planned(scene, number))
    scene.dag("down", sensor("wait", waits_for=trigger), job("go", "wait"))
    scene.trigger("down")
    assert "go" in scene.going
    with pytest.raises(RefusedError, match=f"has run {run} "):
        scene.command("trigger", dag="etl", logical_us=T0)
    finish(scene)
    assert state_of(scene, n) == "published"
    scene.end("go")


# --- the process dies ----------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(9))
def test_b44_a_plan_goes_on_after_a_crash_at_any_turn(scene: Scene, at: int) -> None:
    chain(scene, 1)
    plan = wrong(scene)
    n = keep(scene, plan)
    scene.crash_after(at % 3, Command(99, "plan_run", {"plan_id": n, "hash": plan.hash}))
    scene.command("plan_run", plan_id=n, hash=plan.hash)
    for place, task in enumerate(("load", "clean", "sum")):
        ended = scene.ended(scene.attempt(task))
        if place == at // 3:
            scene.crash_after(at % 3, ended)
            if task in of_plan(scene):  # its end was not heard: it is started again
                scene.end(task)
        else:
            scene.feed(ended)
    assert (state_of(scene, n), steps_of(scene, n)) == ("published", ["published"] * 3)
    assert [asset for asset, _ in visible(scene)] == ["raw", "silver", "gold"]
