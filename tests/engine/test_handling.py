"""Failure handlers and callbacks of a graph: which of them start, when, and that they start once."""

from __future__ import annotations

from typing import Any

import pytest

from bide.runtime.engine.backfills import restricted
from bide.runtime.errors import GraphError, RefusedError
from bide.runtime.graph.spec import DagSpec, Role, TaskSpec
from bide.runtime.store import invariants
from tests.engine.declare import job, loaded, mapped, sensor
from tests.engine.scene import Scene


def handler(name: str, *handles: str, **fields: Any) -> TaskSpec:
    return job(name, role=Role.HANDLER, handles=handles, **fields)


def all_failed(name: str = "all_failed", **fields: Any) -> TaskSpec:
    return job(name, role=Role.ON_ALL_FAILED, **fields)


def on_success(name: str = "on_success", **fields: Any) -> TaskSpec:
    return job(name, role=Role.ON_SUCCESS, **fields)


# --- one task's handler ----------------------------------------------------------------------------


def test_s2_22_the_handler_of_a_success_never_starts_and_says_so(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), handler("h", "a"))
    scene.trigger("d")
    scene.end("a")
    assert scene.going == ["b"]
    assert (scene.state("h"), scene.reason("h")) == ("skipped", "a did not fail")
    scene.end("b")
    assert scene.run_state() == "success"


def test_s2_22_a_failure_starts_the_handler_and_nothing_downstream(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"), handler("h", "a"))
    scene.trigger("d")
    scene.fails("a")
    assert scene.going == ["h"]
    assert scene.run_state() == "running", "a run is over when its handlers are"
    scene.end("h")
    assert scene.states() == {"a": "failed", "b": "upstream_failed", "c": "upstream_failed", "h": "success"}
    assert scene.run_state() == "failed"


def test_b51_s2_21_a_handler_is_scoped_to_its_task_without_a_cascade(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c"), handler("of_b", "b"), handler("of_c", "c"))
    scene.trigger("d")
    scene.fails("a")
    scene.end("c")
    assert scene.going == []
    assert (scene.state("of_b"), scene.reason("of_b")) == ("skipped", "b did not fail itself")
    assert (scene.state("of_c"), scene.reason("of_c")) == ("skipped", "c did not fail")


def test_s2_21_retries_come_first(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1), handler("h", "a"))
    scene.trigger("d")
    scene.fails("a")
    assert scene.going == ["a"]
    scene.fails("a")
    assert scene.going == ["h"]
    scene.end("h")


def test_s2_21_a_time_out_a_deadline_and_a_sensor_that_fails_are_failures(scene: Scene) -> None:
    scene.dag(
        "d", job("slow", timeout=10), job("late", deadline=20), sensor("file"), handler("h1", "slow"),
        handler("h2", "late"), handler("h3", "file"),
    )  # fmt: skip
    scene.trigger("d")
    scene.advance(10)
    scene.stopped("slow")
    scene.breaks("file")
    scene.advance(10)
    assert sorted(scene.going) == ["h1", "h2", "h3", "late"]
    scene.stopped("late")
    scene.end("h1", "h2", "h3")


def test_s2_21_one_handler_of_many_tasks_starts_once_at_the_first_failure(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b"), job("c"), handler("h", "a", "b", "c"))
    scene.trigger("d")
    scene.end("a")
    scene.fails("b")
    assert scene.going == ["c", "h"], "it does not wait for the others"
    scene.end("h")
    scene.fails("c")
    assert (scene.going, scene.attempts("h")) == ([], ["success"])


def test_s2_21_a_task_may_have_several_handlers(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h1", "a"), handler("h2", "a"))
    scene.trigger("d")
    scene.fails("a")
    assert scene.going == ["h1", "h2"]
    scene.end("h1", "h2")


def test_s2_21_a_lost_task_waits_for_a_person_and_its_handler_with_it(scene: Scene) -> None:
    scene.dag("d", job("a", idempotent=False), handler("h", "a"))
    run = scene.trigger("d")
    scene.crash()
    assert (scene.state("a"), scene.going) == ("lost", [])
    scene.command("mark", run_id=run, task="a", state="failed")
    assert scene.going == ["h"]
    scene.end("h")


def test_s2_30_a_handler_may_have_a_handler_of_its_own(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"), handler("hh", "h"))
    scene.trigger("d")
    scene.fails("a")
    scene.fails("h")
    assert scene.going == ["hh"]
    scene.end("hh")
    assert scene.run_state() == "failed"


def test_s2_32_a_handler_that_fails_fails_the_run_and_its_reason_says_so(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"))
    run = scene.trigger("d")
    scene.fails("a")
    scene.fails("h")
    [(reason,)] = scene._rows("SELECT reason FROM run WHERE run_id = ?", run)
    assert (scene.run_state(), reason) == ("failed", "failed: a; the failure handler h")


def test_a_handler_that_may_fail_without_harm_does_not_fail_its_run(scene: Scene) -> None:
    scene.dag("d", job("a", fails_run=False), handler("h", "a", fails_run=False), all_failed())
    scene.trigger("d")
    scene.fails("a")
    scene.fails("h")
    assert (scene.run_state(), scene.state("all_failed")) == ("success", "skipped")


def test_a_branch_does_not_choose_among_handlers(scene: Scene) -> None:
    scene.dag(
        "d", job("pick", branch=True), job("x", "pick"), job("y", "pick"), handler("h", "pick"), handler("hx", "x"),
        all_failed(), on_success(),
    )  # fmt: skip
    scene.trigger("d")
    scene.end("pick", output="x")
    assert (scene.going, scene.state("h")) == (["x"], "skipped")
    scene.fails("x")
    scene.end("hx", "all_failed")
    assert scene.states() == {
        "pick": "success", "x": "failed", "y": "skipped", "h": "skipped", "hx": "success",
        "all_failed": "success", "on_success": "skipped",
    }  # fmt: skip


# --- the graph's callbacks -------------------------------------------------------------------------


def test_s2_26_on_all_failed_starts_once_after_all_tasks_and_handlers(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b"), job("c", "a"), handler("h", "a"), all_failed())
    scene.trigger("d")
    scene.fails("a")
    scene.end("h")
    assert scene.going == ["b"], "b has not ended"
    scene.end("b")
    assert scene.going == ["all_failed"]
    assert scene.run_state() == "running"
    scene.end("all_failed")
    assert (scene.run_state(), scene.attempts("all_failed")) == ("failed", ["success"])


def test_s2_26_it_waits_for_handlers_of_handlers(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"), handler("hh", "h"), all_failed())
    scene.trigger("d")
    scene.fails("a")
    scene.fails("h")
    assert scene.going == ["hh"]
    scene.end("hh")
    assert scene.going == ["all_failed"]
    scene.end("all_failed")


def test_s2_27_on_all_failed_never_starts_on_success(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), handler("h", "a"), all_failed())
    scene.trigger("d")
    scene.end("a", "b")
    assert (scene.run_state(), scene.reason("all_failed")) == ("success", "nothing failed")


def test_s2_28_it_coexists_with_handlers_of_each_task(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b"), handler("ha", "a"), handler("hb", "b"), all_failed())
    scene.trigger("d")
    scene.fails("a")
    scene.fails("b")
    scene.end("ha", "hb")
    scene.end("all_failed")
    assert set(scene.states().values()) == {"failed", "success"}


def test_s2_29_a_second_on_all_failed_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="two callbacks on_all_failed"):
        loaded("d", job("a"), all_failed("one"), all_failed("two"))


def test_s2_30_the_callback_may_have_its_own_on_failure(scene: Scene) -> None:
    scene.dag("d", job("a"), all_failed(), handler("page", "all_failed"))
    scene.trigger("d")
    scene.fails("a")
    scene.fails("all_failed")
    assert scene.going == ["page"]
    scene.end("page")
    assert scene.run_state() == "failed"


def test_s2_32_a_failing_handler_counts_under_a_main_graph_that_is_all_green(scene: Scene) -> None:
    """Boilermaker asks the main tasks alone whether something failed (its issue 16)."""
    scene.dag("d", job("a"), handler("h", "a"), all_failed())
    run = scene.trigger("d")
    scene.fails("a")
    scene.command("mark", run_id=run, task="a", state="success")  # all is green but the handler
    assert scene.going == ["h"]
    scene.fails("h")
    assert scene.going == ["all_failed"]
    scene.end("all_failed")
    assert scene.run_state() == "failed"


def test_on_success_starts_once_when_nothing_failed(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b"), on_success(), all_failed())
    scene.trigger("d")
    scene.end("a")
    assert scene.going == ["b"]
    scene.end("b")
    assert scene.going == ["on_success"]
    scene.end("on_success")
    assert scene.states() == {
        "a": "success",
        "b": "success",
        "on_success": "success",
        "all_failed": "skipped",
    }


def test_on_success_does_not_start_after_a_failure(scene: Scene) -> None:
    scene.dag("d", job("a"), on_success())
    scene.trigger("d")
    scene.fails("a")
    assert (scene.run_state(), scene.reason("on_success")) == ("failed", "not everything succeeded")


def test_s2_27_an_on_success_that_fails_fails_the_run_and_starts_no_on_all_failed(scene: Scene) -> None:
    scene.dag("d", job("a"), on_success(), all_failed())
    scene.trigger("d")
    scene.end("a")
    scene.fails("on_success")
    assert (scene.run_state(), scene.state("all_failed")) == ("failed", "skipped")


# --- people ----------------------------------------------------------------------------------------


def test_a_cancelled_run_starts_no_handler_and_no_callback(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b"), handler("h", "b"), all_failed(), on_success())
    run = scene.trigger("d")
    scene.fails("a")
    scene.command("cancel", run_id=run)
    scene.stopped("b")
    assert (scene.going, scene.run_state()) == ([], "cancelled")
    assert scene.states() == {
        "a": "failed", "b": "cancelled", "h": "cancelled", "all_failed": "cancelled", "on_success": "cancelled",
    }  # fmt: skip


def test_the_deadline_of_a_run_fails_its_tasks_and_starts_their_handlers(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"), all_failed(), deadline_us=60_000_000)
    scene.trigger("d")
    scene.advance(60)
    scene.stopped("a")
    assert scene.going == ["h"]
    scene.end("h", "all_failed")
    assert scene.run_state() == "failed"


def test_the_deadline_of_a_run_that_has_not_started_starts_nothing(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"), all_failed(), deadline_us=60_000_000, max_active_runs=1)
    first = scene.trigger("d")
    second = scene.trigger("d", new=True)
    scene.advance(60)
    assert scene.run_state(second) == "failed"
    assert set(scene.states(second).values()) == {"failed"}
    scene.stopped("a", first)
    scene.end("h", "all_failed", run=first)


@pytest.mark.parametrize("args", [{"task": "a"}, {"whole": True}, {}])
def test_s3_15_a_rerun_of_a_failed_task_starts_its_handler_for_a_new_failure(
    scene: Scene, args: dict[str, object]
) -> None:
    scene.dag("d", job("a"), job("b", "a"), handler("h", "a"), all_failed())
    run = scene.trigger("d")
    scene.fails("a")
    scene.end("h", "all_failed")
    scene.command("rerun", run_id=run, **args)
    assert (scene.going, scene.state("h"), scene.state("all_failed")) == (["a"], "pending", "pending")
    scene.fails("a")
    scene.end("h", "all_failed")
    assert scene.attempts("h") == scene.attempts("all_failed") == ["success", "success"]
    scene.command("rerun", run_id=run, **args)
    scene.end("a", "b")
    assert scene.run_state() == "success"
    assert (scene.state("h"), scene.state("all_failed")) == ("skipped", "skipped")


def test_a_handler_can_be_rerun_alone_while_its_task_is_failed(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"), all_failed())
    run = scene.trigger("d")
    scene.fails("a")
    scene.fails("h")
    scene.end("all_failed")
    scene.command("rerun", run_id=run, task="h")
    assert scene.going == ["h"]
    scene.end("h", "all_failed")
    assert scene.attempts("h") == ["failed", "success"]


def test_a_task_is_not_rerun_beside_its_handler(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"))
    run = scene.trigger("d")
    scene.fails("a")
    with pytest.raises(RefusedError, match="have not ended: h"):
        scene.command("rerun", run_id=run, task="a")
    scene.end("h")


def test_a_mark_of_failed_starts_the_handler_and_one_of_success_its_downstream(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), handler("h", "a"), all_failed(), on_success())
    run = scene.trigger("d")
    scene.end("a", "b")
    scene.end("on_success")
    scene.command("mark", run_id=run, task="a", state="failed")
    assert scene.going == ["h"]
    scene.end("h", "all_failed")
    assert scene.run_state() == "failed"
    scene.command("mark", run_id=run, task="a", state="success")
    assert scene.run_state() == "success"


def test_a_mark_lets_the_callbacks_hear_of_what_it_sets_going_again(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), handler("h", "a", "b"), all_failed(), on_success())
    run = scene.trigger("d")
    scene.fails("a")
    scene.end("h", "all_failed")
    scene.command("mark", run_id=run, task="a", state="success")
    assert (scene.going, scene.state("all_failed"), scene.state("h")) == (["b"], "pending", "pending")
    scene.fails("b")
    scene.end("h", "all_failed")
    assert scene.attempts("h") == scene.attempts("all_failed") == ["success", "success"]


def test_a_mark_of_all_that_stands_below_starts_handlers_and_callbacks_by_it(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), handler("h", "b"), all_failed(), on_success())
    run = scene.trigger("d")
    scene.end("a", "b", "on_success")
    scene.command("mark", run_id=run, task="a", state="failed", downstream=True)
    assert scene.going == ["h"]
    scene.end("h", "all_failed")
    assert scene.run_state() == "failed"
    scene.command("mark", run_id=run, task="a", state="success", downstream=True)
    assert (scene.run_state(), scene.attempts("on_success")) == ("success", ["success"])


def test_a_second_mark_of_failed_is_a_new_failure(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"))
    run = scene.trigger("d")
    scene.fails("a")
    scene.end("h")
    scene.command("mark", run_id=run, task="a", state="success")
    assert (scene.run_state(), scene.state("h")) == ("success", "success")
    scene.command("mark", run_id=run, task="a", state="failed")
    scene.end("h")
    assert scene.attempts("h") == ["success", "success"]


def test_s2_26_nothing_ends_otherwise_while_a_callback_acts_on_it(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), all_failed())
    run = scene.trigger("d")
    scene.fails("a")
    with pytest.raises(RefusedError, match="all_failed of run 1 has started"):
        scene.command("mark", run_id=run, task="a", state="success")
    assert scene.states() == {"a": "failed", "b": "upstream_failed", "all_failed": "running"}
    scene.command("mark", run_id=run, task="all_failed", state="skipped")
    scene.stopped("all_failed")
    scene.command("mark", run_id=run, task="a", state="success")
    scene.end("b")
    assert scene.run_state() == "success"


def test_i7_a_callback_that_started_too_early_is_found_in_the_journal(scene: Scene) -> None:
    scene.dag("d", job("a"), handler("h", "a"), all_failed())
    scene.trigger("d")
    db = scene.store._raw
    db.execute("BEGIN")
    db.execute(
        "INSERT INTO attempt (attempt_id, instance_id, number, state, epoch, started_us) VALUES (9, 3, 1, 'lost', 1, 0)"
    )
    db.execute(
        "INSERT INTO event (seq, at_us, epoch, subject, subject_id, run_id, was, now, reason)"
        " SELECT max(seq) + 1, 0, 1, 'attempt', 9, 1, '', 'running', '' FROM event"
    )
    found = [each.sentence for each in invariants.check(db) if each.id == "I7"]
    db.execute("ROLLBACK")
    assert found == ["attempt 9 was started before its upstreams [1, 2] were over"]
    scene.end("a")


def test_a_part_of_a_graph_keeps_its_handlers_and_callbacks() -> None:
    """A backfill of some tasks: what handles their failures goes with them."""
    spec = DagSpec(
        name="d",
        tasks=(
            job("a"), job("b", "a"), job("c", "b"), handler("hab", "a", "b"), handler("hh", "hab"), handler("hc", "c"),
            all_failed(), handler("page", "all_failed"),
        ),
    )  # fmt: skip
    part = restricted(spec, ("a",))
    assert [task.name for task in part.tasks] == ["a", "hab", "hh", "all_failed", "page"]
    assert part.tasks[1].handles == ("a",)
    loaded("d", *part.tasks)


# --- graphs that cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ((job("a"), handler("h", "x")), "no task of the DAG"),
        ((job("a"), handler("h", "h")), "handles its own failure"),
        ((job("a"), handler("h", "k"), handler("k", "h")), "cycle: "),
        ((job("a", "h"), handler("h", "a")), "beside its main graph"),
        ((job("a"), handler("h", "a"), job("b", "h")), "beside its main graph"),
        ((job("a"), all_failed(), job("b", "all_failed")), "beside its main graph"),
        ((job("a"), all_failed(), handler("h", "a", "all_failed")), "a handler of its own"),
        ((job("a"), job("h", role=Role.HANDLER)), "handles \\(\\)"),
        ((job("a"), job("b", handles=("a",))), "handles"),
        ((job("a"), handler("h", "a", rule="all_done")), "trigger_rule='all_done'"),
        ((job("a"), handler("h", "a", depends_on_past=True)), "depends_on_past"),
        ((job("a"), all_failed(branch=True)), "branch=True"),
        ((job("a"), mapped("h", over=[1], role=Role.HANDLER, handles=("a",))), "mapped over"),
    ],
)
def test_s2_5_s2_29_graphs_with_wrong_handlers_are_value_errors(
    tasks: tuple[TaskSpec, ...], said: str
) -> None:
    with pytest.raises(GraphError, match=said) as raised:
        loaded("d", *tasks)
    assert isinstance(raised.value, ValueError)
