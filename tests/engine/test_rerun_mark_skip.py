"""Verbs on what has run (S3-15..22, B48, C69, C70): rerun runs again, mark says how it ended, skip lets it be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.spec import Role
from tests.engine.declare import HOUR_US, job
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


def chain(scene: Scene, **options: Any) -> None:
    """a -> b -> c, b has failed."""
    scene.dag("d", job("a", **options), job("b", "a", **options), job("c", "b", **options))
    scene.trigger("d", logical_us=T0)
    scene.end("a", output=1)
    scene.fails("b")


def test_s3_15_a_task_instance_is_the_smallest_thing_that_is_rerun_with_attempts_of_its_own(
    scene: Scene,
) -> None:
    chain(scene)
    scene.command("rerun", run_id=1, task="b")
    scene.end("b")
    assert (scene.attempts("a"), scene.attempts("b")) == (["success"], ["failed", "success"])


def test_s3_15_what_waits_for_the_run_before_waits_for_an_upstream_that_is_rerun_as_well(
    scene: Scene,
) -> None:
    scene.dag("d", job("a"), job("b", "a", depends_on_past=True))
    for hour in range(2):
        scene.trigger("d", logical_us=T0 + hour * HOUR_US)
        scene.end("a", run=hour + 1)
    scene.command("rerun", run_id=2, task="a")
    scene.end("b", run=1)
    assert scene.going == ["a"]
    scene.end("a", run=2)
    assert scene.going == ["b"]


def test_s3_16_a_retry_is_the_same_instance_date_and_interval(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1))
    scene.trigger("d", logical_us=T0)
    [first] = scene.bodies.values()
    scene.fails("a")
    [second] = scene.bodies.values()
    assert (first.instance_id, first.run_id) == (second.instance_id, second.run_id)
    assert (first.number, second.number) == (1, 2)
    assert scene.world.runs[1].meta.logical_us == T0


def test_s3_17_each_date_has_a_retry_budget_of_its_own(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1))
    scene.trigger("d", logical_us=T0)
    scene.trigger("d", logical_us=T0 + HOUR_US)
    scene.fails("a", run=1)
    scene.fails("a", run=1)
    assert (scene.run_state(1), scene.run_state(2)) == ("failed", "running")
    scene.fails("a", run=2)
    assert scene.run_state(2) == "running", "the failures of the other date are not counted here"
    scene.end("a", run=2)
    assert scene.run_state(2) == "success"


def test_s3_18_retries_are_of_a_task_with_its_delay_and_backoff(scene: Scene) -> None:
    scene.dag("d", job("never"), job("twice", retries=2, delay=10, backoff=3.0))
    scene.trigger("d", logical_us=T0)
    scene.fails("never")
    assert scene.state("never") == "failed"
    scene.fails("twice")
    scene.advance(10)
    scene.fails("twice")
    scene.advance(29)
    assert scene.state("twice") == "up_for_retry"
    scene.advance(1)
    assert scene.going == ["twice"]


def test_s3_19_b48_a_rerun_resumes_from_the_failed_task_and_successes_keep_their_state(scene: Scene) -> None:
    chain(scene)
    assert scene.command("rerun", run_id=1)["tasks"] == ["b", "c"]
    assert scene.going == ["b"]
    scene.end("b")
    scene.end("c")
    assert scene.run_state() == "success"
    assert scene.attempts("a") == ["success"], "it was not run again"
    assert scene.attempts("b") == ["failed", "success"], "attempts stay"


def test_b48_attempts_stay_through_reruns_marks_and_a_restart(scene: Scene) -> None:
    chain(scene)
    for _ in range(3):
        scene.command("rerun", run_id=1, task="b")
        scene.fails("b")
    scene.crash()
    scene.command("mark", run_id=1, task="b", state="success")
    assert scene.attempts("b") == ["failed"] * 4


def test_s3_20_a_whole_run_is_rerun_only_when_that_is_said(scene: Scene) -> None:
    chain(scene)
    scene.command("rerun", run_id=1)
    scene.end("b")
    scene.end("c")
    with pytest.raises(RefusedError, match="nothing to rerun: say which task, or rerun it as a whole"):
        scene.command("rerun", run_id=1)
    assert scene.command("rerun", run_id=1, whole=True)["tasks"] == ["a", "b", "c"]
    assert scene.going == ["a"]
    scene.end("a", "b", "c")


def test_s3_21_a_rerun_days_later_keeps_the_logical_date_and_its_params(scene: Scene) -> None:
    chain(scene)
    before = scene.world.runs.get(1)
    assert before is None, "the run is over and has left"
    scene.advance(5 * 86_400)
    scene.command("rerun", run_id=1)
    meta = scene.world.runs[1].meta
    assert meta.logical_us == T0
    assert scene.now > meta.logical_us + 4 * 86_400_000_000
    scene.end("b", "c")


def test_s3_22_a_rerun_runs_the_graph_of_its_run_though_the_dag_has_another_by_now(scene: Scene) -> None:
    chain(scene)
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"), job("new", "c"))
    scene.command("rerun", run_id=1)
    scene.end("b", "c")
    assert sorted(scene.states(1)) == ["a", "b", "c"]
    scene.trigger("d", logical_us=T0 + HOUR_US)
    assert sorted(scene.states()) == ["a", "b", "c", "new"]
    scene.end("a", "b", "c", "new")


@pytest.mark.parametrize("how", ["rerun", "mark"])
def test_c69_what_is_fixed_upstream_arms_what_could_not_start_for_it(scene: Scene, how: str) -> None:
    chain(scene)
    assert scene.states() == {"a": "success", "b": "failed", "c": "upstream_failed"}
    if how == "rerun":
        scene.command("rerun", run_id=1, task="b")
        scene.end("b")
    else:
        scene.command("mark", run_id=1, task="b", state="success")
    assert scene.going == ["c"], "nobody has to clear it by hand"
    scene.end("c")
    assert scene.run_state() == "success"


def test_c69_the_policy_of_a_task_decides_whether_it_is_armed(scene: Scene) -> None:
    scene.dag("d", job("a"), job("all", "a"), job("done", "a", rule="all_done"))
    scene.trigger("d", logical_us=T0)
    scene.fails("a")
    scene.end("done")
    scene.command("mark", run_id=1, task="a", state="success")
    assert scene.going == ["all"], "all_done has run for the failure, and is not run again by a mark"
    scene.end("all")


def test_c70_mark_failed_with_downstream_runs_nothing(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"), job("other"))
    scene.trigger("d", logical_us=T0)
    scene.end("a")
    done = scene.command("mark", run_id=1, task="b", state="failed", downstream=True)
    assert done["tasks"] == ["b", "c"]
    scene.stopped("b")
    scene.end("other")
    assert scene.states() == {"a": "success", "b": "failed", "c": "failed", "other": "success"}
    assert scene.run_state() == "failed"
    assert scene.attempts("c") == []


def test_c70_mark_success_with_downstream_on_a_finished_run_ends_it_so(scene: Scene) -> None:
    chain(scene)
    scene.command("mark", run_id=1, task="b", state="success", downstream=True)
    assert scene.going == []
    assert scene.states() == {"a": "success", "b": "success", "c": "success"}
    assert scene.run_state() == "success"


def test_c70_skip_is_a_verb_of_its_own_and_what_is_below_decides_by_its_rule(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("any", "a", "x", rule="none_failed"), job("x"))
    scene.trigger("d", logical_us=T0)
    assert scene.command("skip", run_id=1, task="a")["state"] == "skipped"
    assert scene.reason("a") == "skipped by hand"
    scene.stopped("a")
    assert scene.state("b") == "skipped"
    scene.end("x")
    assert scene.going == ["any"]
    scene.end("any")
    assert scene.run_state() == "success", "a skip is no failure"


def test_c70_skip_with_downstream_and_what_cannot_be_meant(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b", rule="always"))
    scene.trigger("d", logical_us=T0)
    scene.end("c")
    with pytest.raises(UsageError, match="as a whole"):
        scene.command("skip", run_id=1, task="a", downstream=True, map_index=2)
    scene.command("skip", run_id=1, task="a", downstream=True)
    scene.stopped("a")
    assert set(scene.states().values()) == {"skipped"}
    with pytest.raises(RefusedError, match="is skipped already"):
        scene.command("skip", run_id=1, task="a")


def test_c70_a_skipped_task_is_run_by_a_rerun_that_names_it(scene: Scene) -> None:
    chain(scene)
    scene.command("skip", run_id=1, task="b")
    assert scene.states() == {"a": "success", "b": "skipped", "c": "skipped"}
    scene.command("rerun", run_id=1, task="b", downstream=True)
    scene.end("b")
    scene.end("c")
    assert scene.run_state() == "success"


# --- several tasks by one name -------------------------------------------------------------------


def grouped(scene: Scene) -> None:
    """extract.a and extract.b, then load.x and load.y, then report; extract.b has failed."""
    scene.dag(
        "d",
        job("extract.a"),
        job("extract.b"),
        job("load.x", "extract.a"),
        job("load.y", "extract.b"),
        job("report", "load.x", "load.y"),
        job("alert", role=Role.HANDLER, handles=("report",)),
    )
    scene.trigger("d", logical_us=T0)
    scene.end("extract.a")
    scene.end("load.x")
    scene.fails("extract.b")
    assert scene.run_state() == "failed"


def test_s3_15_a_group_is_rerun_by_one_name_whatever_its_tasks_had_come_to(scene: Scene) -> None:
    grouped(scene)
    done = scene.command("rerun", run_id=1, task="extract.*")
    assert done["tasks"][:2] == ["extract.a", "extract.b"]
    assert sorted(scene.going) == ["extract.a", "extract.b"]
    assert scene.states()["load.y"] == "pending", "what could not start for it waits again"
    assert scene.states()["load.x"] == "success", "and what has run keeps its state"
    for name in ("extract.a", "extract.b", "load.y", "report"):
        scene.end(name)
    assert (scene.run_state(), scene.attempts("load.x")) == ("success", ["success"])


def test_s3_15_a_group_is_rerun_with_all_that_is_below_it(scene: Scene) -> None:
    grouped(scene)
    scene.command("rerun", run_id=1, task="extract.?", downstream=True)
    for name in ("extract.b", "extract.a", "load.y", "load.x", "report"):
        scene.end(name)
    assert (scene.run_state(), len(scene.attempts("load.x"))) == ("success", 2)


def test_a_name_that_matches_nothing_is_refused_with_what_there_is(scene: Scene) -> None:
    grouped(scene)
    for verb, more in (("rerun", {}), ("mark", {"state": "success"}), ("skip", {})):
        with pytest.raises(
            NotFoundError, match=r"no task that matches 'extrct\.\*'; it has: extract\.\*, load\.\*, report$"
        ):
            scene.command(verb, run_id=1, task="extrct.*", **more)
        with pytest.raises(UsageError, match="an index is of one"):
            scene.command(verb, run_id=1, task="extract.*", map_index=1, **more)
    with pytest.raises(NotFoundError, match="no task that matches 'aler\\*'"):
        scene.command("rerun", run_id=1, task="aler*")
    assert scene.run_state() == "failed"


def test_c69_a_group_is_marked_at_once_and_what_could_not_start_for_it_does(scene: Scene) -> None:
    grouped(scene)
    done = scene.command("mark", run_id=1, task="extract.*", state="success")
    assert done["tasks"] == ["extract.b"], "the other one is that already"
    assert scene.going == ["load.y"]
    with pytest.raises(RefusedError, match=r"extract\.\* of run 1 is success already"):
        scene.command("mark", run_id=1, task="extract.*", state="success")
    scene.end("load.y")
    scene.end("report")
    assert scene.run_state() == "success"


@pytest.mark.parametrize("state", ["success", "failed", "skipped"])
def test_c69_c70_a_mark_of_several_that_stand_below_each_other_opens_none_of_them(
    scene: Scene, state: str
) -> None:
    grouped(scene)
    scene.command("mark", run_id=1, task="*", state=state)
    tasks = {name: now for name, now in scene.states().items() if name != "alert"}
    assert set(tasks.values()) == {state}
    while scene.going:
        scene.end(scene.going[0])
    assert scene.run_state() == ("failed" if state == "failed" else "success")


def test_c70_a_mark_of_what_runs_and_what_is_over_counts_each_end_once(scene: Scene) -> None:
    scene.dag("d", job("e.a"), job("e.b"), job("all", "e.a", "e.b"), job("fan.a", "all"), job("fan.b", "all"))
    scene.trigger("d", logical_us=T0)
    scene.fails("e.a")
    scene.command("mark", run_id=1, task="e.*", state="success")
    scene.stopped("e.b")
    scene.end("all")
    assert sorted(scene.going) == ["fan.a", "fan.b"]
    scene.command("skip", run_id=1, task="fan.*")
    scene.stopped("fan.a")
    scene.stopped("fan.b")
    assert scene.run_state() == "success"


def test_c70_a_group_is_marked_with_all_that_is_below_it(scene: Scene) -> None:
    grouped(scene)
    done = scene.command("mark", run_id=1, task="extract.*", state="success", downstream=True)
    assert sorted(done["tasks"]) == ["extract.b", "load.y", "report"]
    assert scene.run_state() == "success"
    assert scene.going == []
