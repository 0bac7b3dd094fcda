"""Contracts in the engine: before a task begins and before its version is seen, over late data and crashes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bide import Asset, Every, OnAssets
from bide.runtime.assets import AssetSpec, Contract, ContractSpec, GateSpec
from bide.runtime.assets.contract import SameInterval, SchemaCompat
from bide.runtime.assets.declarations import collecting
from bide.runtime.assets.evaluate import replay
from bide.runtime.assets.gate import CheckResult
from bide.runtime.assets.judged import Evidence
from bide.runtime.assets.words import Edge, Output, Severity
from bide.runtime.clock import from_us
from bide.runtime.engine.messages import AssetAnswered, AssetCalled
from tests.engine.declare import HOUR_US, job, mapped
from tests.engine.scene import T0, Scene

HOURLY = Every(hours=1, anchor=from_us(T0))
SAME = (SameInterval(),)
FAR = T0 + 1_000_000 * HOUR_US


def edge(up: str = "silver", down: str = "gold", *, require: Any = SAME, **on_failure: str) -> ContractSpec:
    """A contract; what follows from a result by its word: `missing="block_publication"`."""
    with collecting() as found:
        Contract(down, up, kind="interval_match", require=require, on_failure=on_failure)
    [said] = found.values()
    [spec] = said.contracts.values()
    found.clear()
    return spec


def gate(name: str = "rows", severity: Severity = Severity.CRITICAL, asset: str = "gold") -> GateSpec:
    return GateSpec(asset, name, severity=severity, owner="cases")


def found(**passed: bool | tuple[bool, Severity]) -> bytes:
    """What gates of gold found, as a body's end brings it."""
    results = [
        CheckResult(name, one[1], one[0])
        if isinstance(one, tuple)
        else CheckResult(name, Severity.CRITICAL, one)
        for name, one in passed.items()
    ]
    return msgspec.json.encode({"gold": results})


@pytest.fixture
def made(scene: Scene) -> Scene:
    """DAGs that make silver and gold by the hour; gold's task is `gold`."""
    scene.dag("make_silver", job("silver", outlets=("silver",)), schedule=HOURLY, start_us=FAR)
    scene.dag("make_gold", job("gold", outlets=("gold",)), schedule=HOURLY, start_us=FAR)
    return scene


def run(scene: Scene, name: str, hour: int = 0, **fields: Any) -> int:
    """A run of the DAG that makes this asset; its task succeeds where it has begun."""
    run_id = scene.trigger(f"make_{name}", logical_us=T0 + hour * HOUR_US, new=True)
    if name in scene.states(run_id) and scene.state(name, run_id) == "running":
        scene.end(name, run=run_id, **fields)
    return run_id


def versions(scene: Scene, name: str = "gold") -> list[str]:
    return [
        state
        for (state,) in scene._rows(
            "SELECT state FROM asset_version JOIN asset USING (asset_id) WHERE name = ? ORDER BY asset_version_id",
            name,
        )
    ]


def test_s1_3_an_asset_that_nobody_asks_anything_of_is_published_with_the_success(made: Scene) -> None:
    run(made, "silver")
    run(made, "silver")
    assert versions(made, "silver") == ["superseded", "published"]
    assert [now for now, _ in made.said("version")] == ["published", "published"]
    assert made._rows("SELECT count(*) FROM decision") == [(0,)]


def test_s1_42_a_task_whose_contract_says_no_is_blocked_and_goes_on_with_the_commit_that_changes_it(
    made: Scene,
) -> None:
    made.declare(edge(missing="block_execution"))
    first = run(made, "gold")
    assert made.state("gold", first) == "blocked"
    assert "silver" in made.reason("gold", first)
    run(made, "silver", 1)
    assert made.state("gold", first) == "blocked", "of another interval"
    run(made, "silver")
    assert made.state("gold", first) == "running"
    made.end("gold", run=first)
    assert versions(made) == ["published"]
    assert made._rows(
        "SELECT a.name, i.kind FROM asset_input i JOIN asset_version u ON u.asset_version_id = i.input_id"
        " JOIN asset a USING (asset_id)"
    ) == [("silver", "interval_match")]


def test_s1_17_what_may_be_made_and_not_published_is_held_with_its_reason(made: Scene) -> None:
    made.declare(edge(missing="block_publication"))
    first = run(made, "gold")
    assert made.run_state(first) == "success"
    assert versions(made) == ["validated"]
    [(held, reason)] = made._rows("SELECT held, reason FROM asset_version")
    assert held == 1
    assert "silver" in reason
    made.crash()
    run(made, "silver")
    assert versions(made) == ["validated"], "what it was made of had no silver in it"
    made.command("rerun", run_id=first, whole=True)
    made.end("gold", run=first)
    assert versions(made) == ["failed", "published"]


def test_s1_42_what_is_held_is_let_out_by_the_declaration_that_no_longer_forbids_it(made: Scene) -> None:
    made.declare(edge(missing="block_publication"))
    run(made, "gold")
    made.declare(edge(missing="warn"))
    assert versions(made) == ["degraded"]
    [limits] = made._rows("SELECT limits FROM asset_version")
    assert "silver" in limits[0]


def test_s1_16_a_task_that_is_blocked_goes_on_when_its_contract_is_gone(made: Scene) -> None:
    made.declare(edge(missing="block_execution"))
    first = run(made, "gold")
    made.declare()
    assert made.state("gold", first) == "running"


def test_s1_8j_an_edge_of_invalidation_holds_nothing_up_and_is_on_record(made: Scene) -> None:
    edges = ContractSpec(downstream="gold", upstream="silver", kind=Edge.INVALIDATION)
    made.declare(edges)
    run(made, "gold")
    run(made, "silver")
    run(made, "gold", 0)
    assert versions(made) == ["superseded", "published"]
    assert made._rows("SELECT kind FROM asset_input") == [("invalidation",)]
    assert made._rows("SELECT DISTINCT level FROM decision") == [("none",)]


# --- gates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "state", "held"),
    [
        (Severity.CRITICAL, "quarantined", 0),
        (Severity.MAJOR, "validated", 1),
        (Severity.MINOR, "degraded", 0),
        (Severity.WARNING, "degraded", 0),
        (Severity.INFO, "published", 0),
    ],
)
def test_s1_7g_the_severity_of_a_gate_that_failed_says_what_becomes_of_the_version(
    made: Scene, severity: Severity, state: str, held: int
) -> None:
    made.declare(gate("rows", severity))
    first = run(made, "gold", checks=found(rows=(False, severity)))
    assert made.run_state(first) == "success", "the task did what it had to"
    assert made._rows("SELECT state, held FROM asset_version") == [(state, held)]
    assert made._rows("SELECT name, passed FROM asset_check") == [("rows", 0)]


@pytest.mark.parametrize("severity", list(Severity))
def test_s0_28_a_gate_that_failed_badly_stops_the_publish_path_and_alerts_the_owner(
    made: Scene, severity: Severity
) -> None:
    made.dag("mart", job("t"), schedule=OnAssets(Asset("gold"), consume="each"))
    made.declare(AssetSpec("gold", owner="finance"), gate("rows", severity))
    run(made, "gold", checks=found(rows=(False, severity)))
    bad = severity in (Severity.MAJOR, Severity.CRITICAL)
    alerts = made._rows("SELECT kind, subject, text, payload FROM alert")
    assert len(alerts) == bad
    assert [
        name
        for name, _ in made._rows("SELECT name, run_id FROM run JOIN dag USING (dag_id) WHERE name = 'mart'")
    ] == ([] if bad else ["mart"])
    if bad:
        kind, subject, text, payload = alerts[0]
        assert (kind, subject) == ("quality", "gold")
        assert "rows" in text
        assert msgspec.json.decode(payload)["owner"] == "finance"


def test_b40_gates_that_pass_let_it_out_and_stand_on_record(made: Scene) -> None:
    made.declare(gate("rows"), gate("unique"))
    run(made, "gold", checks=found(rows=True, unique=True))
    assert versions(made) == ["published"]
    assert made._rows("SELECT name, severity, passed FROM asset_check ORDER BY 1") == [
        ("rows", "critical", 1),
        ("unique", "critical", 1),
    ]


def test_b40_a_gate_that_was_not_run_holds_it_back(made: Scene) -> None:
    made.declare(gate("rows"))
    first = made.trigger("make_gold", logical_us=T0)
    made.command("mark", run_id=first, task="gold", state="success")
    made.stopped("gold", first)
    assert made._rows("SELECT state, held, reason FROM asset_version") == [
        ("validated", 1, "its gate rows has not been run")
    ]


# --- people --------------------------------------------------------------------------------------


def asked(scene: Scene) -> list[tuple[Any, ...]]:
    return scene._rows("SELECT approval_id, kind, subject_id, state FROM approval ORDER BY approval_id")


def test_s1_16f_a_person_lets_a_task_begin_whose_contract_asks_for_that_over_a_crash(made: Scene) -> None:
    made.declare(edge(missing="require_approval"))
    first = run(made, "gold")
    assert made.state("gold", first) == "awaiting_approval"
    [(approval, kind, _, state)] = asked(made)
    assert (kind, state) == ("contract", "open")
    made.crash()
    assert made.state("gold", first) == "awaiting_approval"
    assert len(asked(made)) == 1, "asked once"
    made.command("approve", approval_id=approval, by="ann", why="known gap")
    assert made.state("gold", first) == "running"
    made.crash()
    assert made.state("gold", first) == "running"


def test_s1_16f_what_a_person_rejects_fails_with_the_reason(made: Scene) -> None:
    made.declare(edge(missing="require_approval"))
    first = run(made, "gold")
    made.command("reject", approval_id=asked(made)[0][0], by="ann", why="not without silver")
    assert made.state("gold", first) == "failed"
    assert "not without silver" in made.reason("gold", first)
    assert made.run_state(first) == "failed"


def test_s1_42_an_approval_is_taken_back_when_the_contract_holds_by_itself(made: Scene) -> None:
    made.declare(edge(missing="require_approval"))
    first = run(made, "gold")
    run(made, "silver")
    assert made.state("gold", first) == "running"
    assert [state for *_, state in asked(made)] == ["withdrawn"]


def test_s1_16f_a_version_waits_for_a_person_and_is_published_when_one_agrees(made: Scene) -> None:
    made.declare(edge(missing="block_publication"))
    first = run(made, "gold")
    made.declare(edge(missing="require_approval"))
    assert versions(made) == ["validated"]
    [(approval, kind, subject, state)] = asked(made)
    assert (kind, subject, state) == ("publication", 1, "open")
    made.crash()
    made.command("approve", approval_id=approval, by="ann", why="it is known")
    assert versions(made) == ["degraded"], "what was missing is said on it"
    assert made.run_state(first) == "success"


def test_s1_16f_a_version_that_a_person_rejects_is_given_up(made: Scene) -> None:
    made.declare(edge(missing="block_publication"))
    run(made, "gold")
    made.declare(edge(missing="require_approval"))
    made.command("reject", approval_id=asked(made)[0][0], by="ann", why="no")
    assert versions(made) == ["failed"]


def test_s1_16f_nobody_is_asked_of_a_version_that_another_has_overtaken(made: Scene) -> None:
    made.declare(edge(missing="block_publication"))
    run(made, "gold")
    run(made, "gold")
    made.declare(edge(missing="require_approval"))
    made.command("approve", approval_id=asked(made)[1][0], by="ann", why="it is known")
    assert versions(made) == ["failed", "degraded"]
    assert [state for *_, state in asked(made)] == ["withdrawn", "approved"]


def test_s1_36_what_is_held_is_judged_by_its_own_inputs_and_not_by_those_of_a_rerun(made: Scene) -> None:
    made.declare(edge(invalid="block_publication"))
    run(made, "silver")
    first = run_only(made)
    made.command("asset_invalidate", version=1)
    made.end("gold", run=first)
    assert versions(made) == ["validated"]
    run(made, "silver")
    made.command("rerun", run_id=first, task="gold")
    assert made.state("gold", first) == "running"
    say(made, "stage", {"label": "gold/2"})  # whoever looks at gold asks again
    assert versions(made) == ["validated", "staged"]
    made.end("gold", run=first)
    assert versions(made) == ["failed", "published"]


# --- consumers -----------------------------------------------------------------------------------


def of_mart(scene: Scene) -> list[int]:
    """The versions that made runs of the DAG `mart`, in the order of its runs."""
    return [
        version
        for (version,) in scene._rows(
            "SELECT asset_version_id FROM run_trigger JOIN run USING (run_id) JOIN dag USING (dag_id)"
            " WHERE name = 'mart' ORDER BY run_id"
        )
    ]


@pytest.mark.parametrize("budget", [1, 300])
def test_s1_17_a_version_that_is_let_out_late_makes_its_run_once(made: Scene, budget: int) -> None:
    made.dag("mart", job("t"), schedule=OnAssets(Asset("gold"), consume="each"))
    made.declare(edge(missing="block_publication"))
    run(made, "gold", 0)
    run(made, "silver", 1)
    run(made, "gold", 1)
    gold = made._rows(
        "SELECT asset_version_id FROM asset_version JOIN asset USING (asset_id) WHERE name = 'gold' ORDER BY 1"
    )
    late, early = gold[0][0], gold[1][0]
    assert of_mart(made) == [early]
    made.budget = budget
    assert made.declared is not None
    made.crash_after(1, made.declared)
    made.declare(edge(missing="warn"))
    assert of_mart(made) == [early, late]
    made.crash()
    assert of_mart(made) == [early, late]


def test_s1_16d_a_version_may_be_published_without_telling_its_consumers(made: Scene) -> None:
    made.dag("mart", job("t"), schedule=OnAssets(Asset("gold"), consume="each"))
    made.declare(edge(missing="block_consumer_notification"))
    run(made, "gold", 0)
    assert versions(made) == ["degraded"], "it is seen, with what is missing said on it"
    made.crash()
    assert of_mart(made) == []
    run(made, "silver", 1)
    run(made, "gold", 1)
    assert len(of_mart(made)) == 1


def test_s1_11i_a_version_that_nobody_was_told_of_is_superseded_as_well(made: Scene) -> None:
    made.declare(edge(missing="block_consumer_notification"))
    run(made, "gold")
    run(made, "gold")
    assert versions(made) == ["superseded", "degraded"]


def test_s1_11i_a_newer_version_of_the_interval_supersedes_and_what_was_held_of_it_is_given_up(
    made: Scene,
) -> None:
    made.declare(edge(missing="block_publication"))
    first = run(made, "gold")
    run(made, "silver")
    second = run(made, "gold")
    third = run(made, "gold")
    assert versions(made) == ["failed", "superseded", "published"]
    assert len({first, second, third}) == 3


def test_s1_23c_a_version_of_a_projection_replaces_all_before_it(made: Scene) -> None:
    made.declare(AssetSpec("gold", output=Output.CURRENT_PROJECTION))
    run(made, "gold", 0)
    run(made, "gold", 1)
    assert versions(made) == ["superseded", "published"]


# --- the attempt ends otherwise ------------------------------------------------------------------


def say(scene: Scene, verb: str, data: Any = None, task: str = "gold") -> Any:
    """A body says something of gold; the answer."""
    scene.token += 1
    call = scene.token
    scene.feed(AssetCalled(scene.attempt(task), call, verb, "gold", msgspec.json.encode(data or {})))
    for each in scene.effects:
        if isinstance(each, AssetAnswered) and each.call == call:
            return each.error or msgspec.json.decode(each.value)
    return None


def test_s1_11_a_version_is_built_staged_validated_and_published_by_its_body(made: Scene) -> None:
    made.declare(gate("rows"))
    first = run_only(made)
    say(made, "begin")
    assert versions(made) == ["building"]
    say(made, "stage", {"label": "gold/1", "rows": 3, "schema": ["id"], "meta": {"a": 1}})
    assert versions(made) == ["staged"]
    assert made._rows("SELECT label, meta, schema_id FROM asset_version") == [
        ("gold/1", '{"rows":3,"a":1}', 1)
    ]
    assert say(made, "publish")["level"] == "publication", "its gates have not been run"
    say(made, "check", [CheckResult("rows", Severity.CRITICAL, True)])
    assert versions(made) == ["validated"]
    assert say(made, "publish")["level"] == "none"
    assert versions(made) == ["published"]
    made.end("gold", run=first)
    assert versions(made) == ["published"], "published once"
    assert [now for now, _ in made.said("version")] == ["building", "staged", "validated", "published"]


def run_only(scene: Scene, hour: int = 0) -> int:
    return scene.trigger("make_gold", logical_us=T0 + hour * HOUR_US, new=True)


def test_s1_12_what_an_attempt_staged_fails_with_it_and_what_was_published_before_stays(made: Scene) -> None:
    run(made, "gold")
    run_only(made)
    say(made, "stage", {"label": "gold/2"})
    made.fails("gold")
    assert versions(made) == ["published", "failed"]


def test_what_a_lost_attempt_staged_is_given_up_and_its_successor_makes_its_own(made: Scene) -> None:
    first = run_only(made)
    say(made, "stage", {"label": "gold/1"})
    made.crash()
    assert versions(made) == ["failed"]
    say(made, "stage", {"label": "gold/2"})
    made.end("gold", run=first)
    assert versions(made) == ["failed", "published"]


def test_a_body_that_is_to_stop_is_answered_and_changes_nothing(made: Scene) -> None:
    """A thread cannot be interrupted: without an answer it would keep its slot for ever."""
    first = run_only(made)
    made.command("cancel", run_id=first)
    said = say(made, "stage", {"label": "gold/1"})
    assert said == "stage of 'gold' was left undone: the attempt is being stopped"
    assert versions(made) == []
    made.stopped("gold")


def test_what_is_staged_twice_is_one_version_and_schemas_are_kept_once(made: Scene) -> None:
    first = run_only(made)
    say(made, "stage", {"label": "gold/1", "schema": {"b": 1, "a": 2}})
    say(made, "stage", {"label": "gold/2", "schema": {"a": 2, "b": 1}})
    made.end("gold", run=first)
    assert made._rows("SELECT label, state, schema_id FROM asset_version") == [("gold/2", "published", 1)]
    assert made._rows("SELECT count(*) FROM asset_schema") == [(1,)]


# --- everything else that moves an instance ------------------------------------------------------


def test_a_blocked_task_is_cancelled_marked_and_rerun_as_any_other(made: Scene) -> None:
    made.declare(edge(missing="block_execution"))
    first, second, third = run(made, "gold", 0), run(made, "gold", 1), run(made, "gold", 2)
    made.command("cancel", run_id=first)
    assert made.state("gold", first) == "cancelled"
    made.command("mark", run_id=second, task="gold", state="skipped")
    assert made.run_state(second) == "success"
    assert len(made.world.assets.looks) == 1
    run(made, "silver", 0)
    made.command("rerun", run_id=first, whole=True)
    assert made.state("gold", first) == "running"
    assert made.state("gold", third) == "blocked"


def test_a_rerun_asks_anew_and_reads_what_there_is_then(made: Scene) -> None:
    made.declare(edge(missing="block_execution"))
    run(made, "silver")
    first = run(made, "gold")
    run(made, "silver")
    made.command("rerun", run_id=first, whole=True)
    made.end("gold", run=first)
    made_of = made._rows("SELECT asset_version_id, input_id FROM asset_input ORDER BY 1")
    assert made_of == [(2, 1), (4, 3)]


def test_a_blocked_task_of_a_paused_dag_waits_for_both(made: Scene) -> None:
    made.declare(edge(missing="block_execution"))
    first = run(made, "gold")
    made.command("pause", dag="make_gold")
    run(made, "silver")
    assert made.state("gold", first) == "ready"
    assert "paused" in made.reason("gold", first)
    made.command("unpause", dag="make_gold")
    assert made.state("gold", first) == "running"


def test_a_mapped_task_asks_as_a_whole(scene: Scene) -> None:
    scene.dag("make_silver", job("silver", outlets=("silver",)), schedule=HOURLY, start_us=FAR)
    scene.dag("make_gold", mapped("gold", over=[1, 2], outlets=("gold",)), schedule=HOURLY, start_us=FAR)
    scene.declare(edge(missing="block_execution"))
    first = scene.trigger("make_gold", logical_us=T0)
    assert scene.states(first) == {"gold": "blocked"}
    run(scene, "silver")
    assert scene.states(first) == {"gold": "mapped", "gold[0]": "running", "gold[1]": "running"}
    scene.end("gold[0]", "gold[1]")
    assert versions(scene) == ["published"]
    assert scene._rows("SELECT count(*) FROM asset_input") == [(1,)]


def test_a_backfill_is_asked_as_live_runs_are_and_by_its_own_contracts(made: Scene) -> None:
    only = edge("bronze", missing="block_execution")
    made.declare(edge(missing="block_execution"), msgspec.structs.replace(only, during="backfill"))
    run(made, "silver", 0)
    run(made, "silver", 1)
    live = run(made, "gold", 1)
    assert made.run_state(live) == "success"
    made.backfill("make_gold", 1)
    assert made.state("gold") == "blocked"
    assert "bronze" in made.reason("gold")


def test_s1_1_inlets_without_a_contract_hold_nothing_up_and_are_on_record(scene: Scene) -> None:
    scene.dag("make_silver", job("silver", outlets=("silver",)), schedule=HOURLY, start_us=FAR)
    scene.dag("make_gold", job("gold", inlets=("silver",), outlets=("gold",)), schedule=HOURLY, start_us=FAR)
    run(scene, "gold", 1)
    run(scene, "silver", 0)
    run(scene, "gold", 0)
    assert versions(scene) == ["published", "published"]
    assert scene._rows("SELECT asset_version_id, input_id, kind FROM asset_input") == [(3, 2, "read")]
    assert scene._rows("SELECT count(*) FROM decision") == [(0,)]


def test_d21_a_decision_is_made_again_of_its_evidence(made: Scene) -> None:
    made.declare(edge(missing="block_execution"))
    run(made, "gold")
    run(made, "silver")
    rows = made._rows("SELECT level, reason, issues, observed FROM decision ORDER BY decision_id")
    assert [level for level, *_ in rows] == ["execution", "none"]
    for level, reason, issues, observed in rows:
        again = replay(msgspec.json.decode(observed, type=Evidence))
        assert (again.level, again.reason) == (level, reason)
        assert msgspec.json.encode(again.issues).decode() == issues


def test_b66_what_only_waits_for_its_time_is_no_news(made: Scene) -> None:
    made.declare(edge(missing="block_execution"))
    run(made, "gold")
    assert made.state("gold") == "blocked"
    assert made._rows("SELECT count(*) FROM alert") == [(0,)], "the version may still come"


def test_b66_a_schema_that_breaks_what_depends_on_it_is_told_once(made: Scene) -> None:
    made.declare(
        AssetSpec("gold", owner="finance"),
        edge(require=(SameInterval(), SchemaCompat("backward_transitive")), schema="block_execution"),
    )
    for hour, schema in enumerate(({"id": "int64"}, {"id": "string"})):
        made.trigger("make_silver", logical_us=T0 + hour * HOUR_US, new=True)
        data = msgspec.json.encode({"label": f"silver/{hour}", "schema": schema})
        made.feed(AssetCalled(made.attempt("silver"), 1, "stage", "silver", data))
        made.end("silver")
    run(made, "gold", 1)
    assert made.state("gold") == "blocked"
    told = made._rows("SELECT kind, subject, owners FROM alert")
    assert told == [("blocked", "gold", '["finance"]')]
    made.crash()
    assert made._rows("SELECT count(*) FROM alert") == [(1,)]
