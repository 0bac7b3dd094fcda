"""Branches, skips with all that stands below, set-ups and tear-downs: decided, persisted, restored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bide.runtime.engine.messages import Failure
from bide.runtime.errors import RefusedError
from tests.engine.declare import job
from tests.engine.scene import T0, Scene


def fork(scene: Scene) -> None:
    scene.dag(
        "d",
        job("pick", branch=True),
        job("full", "pick"),
        job("delta", "pick"),
        job("join", "full", "delta", rule="none_failed_min_one_success"),
        job("mail", "full", "delta"),
    )
    scene.trigger("d")


@pytest.mark.parametrize("crash", [False, True])
def test_a_branch_runs_what_it_chose_and_the_join_goes_on(scene: Scene, crash: bool) -> None:
    fork(scene)
    scene.end("pick", output="full")
    if crash:
        scene.crash()
    assert scene.states() == {
        "pick": "success", "full": "running", "delta": "skipped", "join": "pending", "mail": "pending",
    }  # fmt: skip
    assert scene.reason("delta") == "not chosen by pick"
    scene.end("full")
    assert scene.state("join") == "running"
    assert (scene.state("mail"), scene.reason("mail")) == ("skipped", "its rule all_success did not hold")
    scene.end("join")
    assert scene.run_state() == "success"


@pytest.mark.parametrize("budget", [1, 2, 3])
@pytest.mark.parametrize("returned", [["a"], [], None, ["a", "c"]])
def test_a_crash_between_the_choice_and_its_spread_changes_nothing(
    scene: Scene, budget: int, returned: object
) -> None:
    scene.dag(
        "d", job("pick", branch=True), *(job(n, "pick") for n in "abc"), job("end", *"abc", rule="all_done")
    )
    scene.trigger("d")
    scene.budget = budget
    attempt = scene.attempt("pick")
    scene.turn(scene.ended(attempt, output=msgspec.json.encode(returned)))
    scene.crash()
    taken = set(returned) if isinstance(returned, list) else set()
    states = scene.states()
    assert {n for n in "abc" if states[n] == "skipped"} == set("abc") - taken
    assert {n for n in "abc" if states[n] == "running"} == taken


def test_a_wrong_choice_fails_the_branch_with_the_names_there_are(scene: Scene) -> None:
    scene.dag(
        "d", job("pick", branch=True, retries=3), job("full", "pick"), job("delta", "pick"), job("x", "full")
    )
    scene.trigger("d")
    scene.end("pick", output=["ful"])
    assert scene.state("pick") == "failed"
    assert scene.reason("pick") == (
        "the branch 'pick' chose 'ful', which is no task right downstream of it: did you mean 'full'?; "
        "there are: full, delta"
    )
    assert scene.states()["delta"] == "upstream_failed"
    assert scene.attempts("pick") == ["failed"], "a wrong name is not tried again"


def test_what_stands_below_a_chosen_one_is_not_skipped_by_the_branch(scene: Scene) -> None:
    scene.dag(
        "d", job("pick", branch=True), job("a", "pick"), job("b", "pick"),
        job("join", "pick", "a", "b", rule="none_failed_min_one_success"),
    )  # fmt: skip
    scene.trigger("d")
    scene.end("pick", output=["a"])
    assert (scene.state("b"), scene.state("join")) == ("skipped", "pending")
    scene.end("a")
    assert scene.state("join") == "running"


def test_choosing_the_join_alone_skips_the_alternatives(scene: Scene) -> None:
    scene.dag(
        "d", job("pick", branch=True), job("a", "pick"), job("join", "pick", "a", rule="none_failed"),
    )  # fmt: skip
    scene.trigger("d")
    scene.end("pick", output=["join"])
    assert scene.states() == {"pick": "success", "a": "skipped", "join": "running"}


def test_a_skip_with_downstream_skips_all_below_whatever_the_rules(scene: Scene) -> None:
    scene.dag(
        "d", job("check"), job("a", "check", rule="all_done"), job("b", "a", rule="none_failed"), job("other"),
        job("both", "b", "other", rule="all_done"),
    )  # fmt: skip
    scene.trigger("d")
    attempt = scene.attempt("check")
    scene.feed(scene.ended(attempt, "skipped", failure=Failure("no rows today"), cuts=True))
    assert scene.state("both") == "pending"
    scene.crash()
    scene.end("other")
    assert scene.states() == {
        "check": "skipped", "a": "skipped", "b": "skipped", "other": "success", "both": "skipped",
    }  # fmt: skip
    assert scene.reason("both") == "skipped with all that stands below check: no rows today"


def test_a_rerun_of_a_branch_opens_what_it_skipped(scene: Scene) -> None:
    fork(scene)
    scene.end("pick", output="full")
    scene.end("full", "join")
    run = scene.runs()[-1][0]
    scene.command("rerun", run_id=run, task="pick")
    scene.end("pick", output="delta")
    states = scene.states()
    assert (states["full"], states["delta"]) == ("success", "running")
    scene.end("delta")
    assert scene.state("mail") == "running"


def test_a_branch_marked_by_hand_lets_all_go_on(scene: Scene) -> None:
    fork(scene)
    scene.end("pick", output=[])
    run = scene.runs()[-1][0]
    assert scene.run_state() == "success"
    scene.command("mark", run_id=run, task="pick", state="failed")
    assert scene.states()["full"] == "upstream_failed"
    scene.command("mark", run_id=run, task="pick", state="success")
    assert (scene.state("full"), scene.state("delta")) == ("running", "running")
    with pytest.raises(RefusedError):
        scene.command("mark", run_id=run, task="pick", state="success")


# --- set-ups and tear-downs --------------------------------------------------------------------------


def cluster(scene: Scene, **teardown: Any) -> None:
    scene.dag(
        "d",
        job("create", setup=True),
        job("work", "create"),
        job("more", "work"),
        job("delete", "create", "more", rule="all_done", teardown=True, setups=("create",), **teardown),
    )
    scene.trigger("d")


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("how", ["success", "failed", "skipped"])
def test_a_tear_down_runs_however_its_scope_ended(scene: Scene, how: str, crash: bool) -> None:
    cluster(scene)
    scene.end("create")
    if how == "success":
        scene.end("work", "more")
    else:
        scene.fails("work", "no rows", state=how)
    if crash:
        scene.crash()
    assert scene.going == ["delete"]
    scene.end("delete")
    assert scene.run_state() == ("failed" if how == "failed" else "success")


@pytest.mark.parametrize(("how", "then"), [("failed", "upstream_failed"), ("skipped", "skipped")])
def test_a_tear_down_has_nothing_to_do_when_its_set_up_did_not_succeed(
    scene: Scene, how: str, then: str
) -> None:
    cluster(scene)
    scene.fails("create", "no quota", state=how)
    assert scene.state("delete") == then
    assert scene.reason("delete") == f"there is nothing to tear down: create ({how})"


def test_a_skip_with_downstream_spares_the_tear_down(scene: Scene) -> None:
    cluster(scene)
    scene.end("create")
    scene.feed(scene.ended(scene.attempt("work"), "skipped", failure=Failure("nothing new"), cuts=True))
    assert (scene.state("more"), scene.state("delete")) == ("skipped", "running")


@pytest.mark.parametrize(("fails_run", "run"), [(True, "failed"), (False, "success")])
def test_a_failed_tear_down_fails_the_run_unless_told_otherwise(
    scene: Scene, fails_run: bool, run: str
) -> None:
    cluster(scene, fails_run=fails_run)
    scene.end("create", "work", "more")
    scene.fails("delete", "API gone")
    assert scene.run_state() == run


# --- depends_on_past ---------------------------------------------------------------------------------

DAY = 24 * 3600 * 1_000_000


def daily(scene: Scene, days: list[int], **options: Any) -> list[int]:
    """A DAG whose task depends on its past, and its runs on these days."""
    scene.dag("d", job("get"), job("load", "get", depends_on_past=True), **options)
    return [scene.trigger("d", logical_us=T0 + day * DAY) for day in days]


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("how", ["success", "skipped"])
def test_it_starts_with_the_commit_that_ends_the_task_of_the_run_before(
    scene: Scene, how: str, crash: bool
) -> None:
    first, second = daily(scene, [0, 1])
    scene.end("get", run=second)
    assert scene.state("load", second) == "pending"
    assert scene.reason("load", second) == (
        f"waits for the run before (depends_on_past): load of run {first} (2026-01-01T00:00:00+00:00) is pending"
    )
    if crash:
        scene.crash()
    scene.end("get", run=first)
    assert scene.going == ["load"]
    queries = scene.turns
    scene.advance(3600)
    assert scene.turns - queries <= 2, "nothing is polled"
    if how == "success":
        scene.end("load", run=first)
    else:
        scene.fails("load", run=first, state="skipped")
    assert scene.state("load", second) == "running"


def test_the_run_before_is_known_from_the_database_when_it_is_over(scene: Scene) -> None:
    [first] = daily(scene, [0])
    scene.end("get", "load")
    assert scene.run_state(first) == "success"
    second = scene.trigger("d", logical_us=T0 + 3 * DAY)
    scene.end("get")
    assert scene.state("load", second) == "running"


def test_a_failure_holds_the_next_run_until_it_is_rerun_or_marked(scene: Scene) -> None:
    first, second, third = daily(scene, [0, 1, 2])
    scene.end("get", run=first)
    scene.end("get", run=second)
    scene.end("get", run=third)
    scene.fails("load", run=first)
    assert scene.run_state(first) == "failed"
    assert (scene.state("load", second), scene.state("load", third)) == ("pending", "pending")
    scene.command("rerun", run_id=first, task="load")
    scene.end("load", run=first)
    assert (scene.state("load", second), scene.state("load", third)) == ("running", "pending")
    scene.fails("load", run=second)
    scene.command("mark", run_id=second, task="load", state="skipped")
    assert scene.state("load", third) == "running"


def test_a_run_that_begins_later_for_an_earlier_date_holds_nobody_that_has_begun(scene: Scene) -> None:
    first, third = daily(scene, [0, 2])
    scene.advance(1)
    second = scene.trigger("d", logical_us=T0 + DAY)
    scene.end("get", run=third)
    assert f"load of run {first} " in scene.reason("load", third), "it goes by what had begun before it"
    scene.end("get", run=second)
    assert f"load of run {first} " in scene.reason("load", second)
    scene.end("get", run=first)
    scene.end("load", run=first)
    assert (scene.state("load", second), scene.state("load", third)) == ("running", "running")


@pytest.mark.parametrize("crash", [False, True])
def test_an_earlier_date_that_is_made_while_a_later_one_holds_the_only_place_is_no_deadlock(
    scene: Scene, crash: bool
) -> None:
    [later] = daily(scene, [2], max_active_runs=1)
    scene.advance(1)
    earlier = scene.trigger("d", logical_us=T0 + DAY)
    assert scene.run_state(earlier) == "queued"
    if crash:
        scene.crash()
    scene.end("get", run=later)
    assert scene.going == ["load"], "there was no run before it when it began"
    if crash:
        scene.crash()
    scene.end("load", run=later)
    assert (scene.run_state(later), scene.run_state(earlier)) == ("success", "running")
    scene.end("get", "load", run=earlier)
    assert scene.run_state(earlier) == "success"


@pytest.mark.parametrize("crash", [False, True])
def test_one_that_waits_already_is_not_overtaken(scene: Scene, crash: bool) -> None:
    """It was the deadlock: the later one waits for a run that has no place until the later one ends."""
    first, third = daily(scene, [0, 2], max_active_runs=2)
    scene.end("get", run=third)
    scene.advance(1)
    second = scene.trigger("d", logical_us=T0 + DAY)
    assert f"load of run {first} " in scene.reason("load", third)
    if crash:
        scene.crash()
        scene.end("get", run=first)
    else:
        scene.end("get", run=first)
    scene.end("load", run=first)
    assert scene.state("load", third) == "running"
    scene.end("load", run=third)
    scene.end("get", "load", run=second)
    assert {state for _, state in scene.runs()} == {"success"}


@pytest.mark.parametrize("crash", [False, True])
def test_queued_runs_begin_in_the_order_of_their_dates(scene: Scene, crash: bool) -> None:
    running, *queued = daily(scene, [0, 5, 3, 4], max_active_runs=1)
    if crash:
        scene.crash()
    order: list[int] = []
    while len(order) < 4:
        [run] = [run for run, state in scene.runs() if state == "running"]
        order.append(run)
        scene.end("get", "load", run=run)
    assert order == [running, queued[1], queued[2], queued[0]]


def test_without_such_a_task_they_begin_as_they_were_made_and_a_new_graph_changes_that(scene: Scene) -> None:
    scene.dag("d", job("get"), max_active_runs=1)
    runs = [scene.trigger("d", logical_us=T0 + day * DAY) for day in (0, 5, 4, 3)]
    scene.end("get")
    assert scene.run_state(runs[1]) == "running"
    scene.dag("d", job("get"), job("load", "get", depends_on_past=True), max_active_runs=1)
    scene.end("get")
    assert (scene.run_state(runs[2]), scene.run_state(runs[3])) == ("queued", "running")


def test_runs_that_begin_together_go_by_each_other(scene: Scene) -> None:
    scene.dag("d", job("load", depends_on_past=True))
    scene.command("pause", dag="d")
    later, earlier = (scene.trigger("d", logical_us=T0 + day * DAY) for day in (1, 0))
    scene.command("unpause", dag="d")
    assert (scene.state("load", earlier), scene.state("load", later)) == ("running", "pending")
    assert f"load of run {earlier} " in scene.reason("load", later)


def test_one_that_was_ended_in_the_queue_and_is_rerun_holds_those_that_begin_after_it(scene: Scene) -> None:
    first, second = daily(scene, [0, 1], max_active_runs=1)
    scene.command("cancel", run_id=second)
    scene.end("get", "load", run=first)
    scene.advance(1)
    third = scene.trigger("d", logical_us=T0 + 2 * DAY)
    scene.end("get", run=third)
    assert f"load of run {second} " in scene.reason("load", third), "it was over when the third began"
    scene.advance(1)
    scene.command("rerun", run_id=second)
    assert f"load of run {second} " in scene.reason("load", third)
    scene.crash()
    assert f"load of run {second} " in scene.reason("load", third), "that it goes on later changes nothing"
    scene.end("get", "load", run=second)
    assert scene.state("load", third) == "running"


def test_a_run_before_that_had_no_such_task_holds_nobody(scene: Scene) -> None:
    scene.dag("d", job("get"))
    scene.trigger("d", logical_us=T0)
    scene.end("get")
    [second] = daily(scene, [1])
    scene.end("get")
    assert scene.state("load", second) == "running"


def test_an_unfinished_run_before_that_has_no_such_task_holds_nobody(scene: Scene) -> None:
    scene.dag("d", job("get"))
    scene.trigger("d", logical_us=T0)
    [second] = daily(scene, [1])
    scene.end("get", run=second)
    assert scene.state("load", second) == "running"


def test_a_cancelled_run_is_left_behind_without_a_trace(scene: Scene) -> None:
    first, second = daily(scene, [0, 1])
    scene.end("get", run=second)
    assert scene.world.behind
    scene.command("cancel", run_id=second)
    assert not scene.world.behind
    assert not scene.world.past
    scene.command("cancel", run_id=first)


def test_ends_of_a_run_before_and_the_question_in_one_batch(scene: Scene) -> None:
    first, second = daily(scene, [0, 1])
    scene.end("get", run=first)
    one, other = scene.attempt("load", first), scene.attempt("get", second)
    scene.feed(scene.ended(other), scene.ended(one))
    assert scene.state("load", second) == "running"


# --- cancelling and rerunning what has a tear-down ----------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
def test_a_cancel_lets_the_tear_down_run_and_nothing_else(scene: Scene, crash: bool) -> None:
    cluster(scene)
    scene.end("create")
    run = scene.runs()[-1][0]
    assert scene.command("cancel", run_id=run)["state"] == "running"
    assert scene.states() == {
        "create": "success", "work": "cancelled", "more": "cancelled", "delete": "running",
    }  # fmt: skip
    if crash:
        scene.crash()
    else:
        scene.stopped("work")
    with pytest.raises(RefusedError, match="being cancelled, its tear-downs first"):
        scene.command("rerun", run_id=run)
    scene.end("delete")
    assert scene.run_state() == "cancelled"
    scene.command("rerun", run_id=run)
    assert scene.going == ["create"], "the cluster is gone: it is made again"
    scene.end("create", "work", "more", "delete")
    assert scene.run_state() == "success"


def test_a_second_cancel_ends_the_tear_down_too(scene: Scene) -> None:
    cluster(scene)
    scene.end("create")
    run = scene.runs()[-1][0]
    scene.command("cancel", run_id=run)
    assert scene.command("cancel", run_id=run)["state"] == "cancelled"
    assert scene.state("delete") == "cancelled"
    with pytest.raises(RefusedError, match="over already"):
        scene.command("cancel", run_id=run)


def test_a_cancel_before_the_set_up_has_succeeded_leaves_nothing_to_do(scene: Scene) -> None:
    cluster(scene)
    run = scene.runs()[-1][0]
    assert scene.command("cancel", run_id=run)["state"] == "cancelled"
    assert scene.state("delete") == "cancelled"


def test_the_deadline_of_a_run_spares_the_tear_down(scene: Scene) -> None:
    cluster_tasks = (
        job("create", setup=True), job("work", "create"),
        job("delete", "create", "work", rule="all_done", teardown=True, setups=("create",)),
    )  # fmt: skip
    scene.dag("d", *cluster_tasks, deadline_us=60_000_000)
    scene.trigger("d")
    scene.end("create")
    scene.advance(61)
    assert (scene.state("work"), scene.state("delete")) == ("failed", "running")
    scene.end("delete")
    assert scene.run_state() == "failed"


@pytest.mark.parametrize(
    ("task", "again"),
    [
        ("more", {"create", "work", "more", "delete"}),
        ("work", {"create", "work", "more", "delete"}),
        ("create", {"create", "delete"}),
        ("delete", {"delete"}),
    ],
)
def test_what_was_torn_down_is_made_again_for_what_runs_again(
    scene: Scene, task: str, again: set[str]
) -> None:
    cluster(scene)
    scene.end("create", "work", "more", "delete")
    run = scene.runs()[-1][0]
    assert set(scene.command("rerun", run_id=run, task=task)["tasks"]) == again
    for name in ("create", "work", "more", "delete"):
        if name in again:
            assert scene.going == [name]
            scene.end(name)
    assert scene.run_state() == "success"


def test_while_the_tear_down_has_not_run_a_rerun_needs_no_other_set_up(scene: Scene) -> None:
    scene.dag(
        "d", job("create", setup=True), job("a", "create"), job("b", "create"),
        job("delete", "create", "a", "b", rule="all_done", teardown=True, setups=("create",)),
    )  # fmt: skip
    run = scene.trigger("d")
    scene.end("create")
    scene.fails("a")
    assert scene.command("rerun", run_id=run, task="a")["tasks"] == ["a"]
    scene.end("a", "b", "delete")
    assert scene.run_state() == "success"


@pytest.mark.parametrize("crash", [False, True])
def test_a_cancelled_backfill_still_tears_down_what_its_run_had_set_up(scene: Scene, crash: bool) -> None:
    scene.dag(
        "d", job("create", setup=True), job("work", "create"),
        job("delete", "create", "work", rule="all_done", teardown=True, setups=("create",)),
        max_active_runs=1,
    )  # fmt: skip
    backfill = scene.backfill("d", 2)
    scene.end("create")
    scene.command("backfill_cancel", backfill_id=backfill)
    assert scene.intervals(backfill) == ["cancelled", "cancelled"]
    if crash:
        scene.crash()
    else:
        scene.stopped("work")
    assert scene.going == ["delete"]
    scene.end("delete")
    assert [state for _, state in scene.runs()] == ["cancelled"]
    assert scene.backfill_state(backfill) == "cancelled"
