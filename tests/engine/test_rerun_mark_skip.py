"""Verbs on what has run (S3-15..22, B48, C69, C70): rerun runs again, mark says how it ended, skip lets it be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bide.runtime.errors import RefusedError, UsageError
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
