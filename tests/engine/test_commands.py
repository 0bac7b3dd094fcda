"""What people do: cancel, mark, rerun, pause, trigger; in every state, and beside bodies that go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bide.runtime.clock import from_us
from bide.runtime.engine.messages import CodeMissing, Command, DagRemoved, WaitFired
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.schedules import Every
from tests.engine.declare import job, loaded, seconds, sensor
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


# --- trigger -------------------------------------------------------------------------------------


def test_a_manual_dag_may_be_triggered_any_number_of_times_at_one_instant(scene: Scene) -> None:
    scene.dag("d", job("a"))
    for _ in range(3):
        scene.trigger("d")
        scene.end("a")
    scene.trigger("d")
    scene.trigger("d")
    scene.end("a")
    scene.end("a")
    assert [state for _, state in scene.runs()] == ["success"] * 5


def test_a_date_that_has_a_run_is_refused_unless_new_is_said(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d", logical_us=T0)
    with pytest.raises(RefusedError, match="has run 1"):
        scene.trigger("d", logical_us=T0)
    scene.trigger("d", logical_us=T0, new=True)
    scene.end("a")
    scene.end("a")
    with pytest.raises(RefusedError):
        scene.trigger("d", logical_us=T0)


def test_two_triggers_without_a_date_are_two_runs_whatever_the_schedule(scene: Scene) -> None:
    scene.dag("daily", job("a"), schedule=Every(hours=24, anchor=from_us(T0)), start_us=T0 * 2)
    first = scene.trigger("daily")
    assert scene.trigger("daily") != first
    with pytest.raises(RefusedError, match="has run"):
        scene.trigger("daily", logical_us=T0 - 24 * 3_600_000_000)
    args = {"dag": "daily"}
    scene.feed(
        Command(101, "trigger", args),
        Command(102, "trigger", args),
        Command(103, "trigger", {**args, "key": "k"}),
    )
    made = [scene.reply(each)["run_id"] for each in (101, 102, 103)]
    assert len(set(made)) == 3
    assert scene.command("trigger", key="k", **args) == {"run_id": made[2]}
    assert len(scene.runs()) == 5


def test_two_triggers_of_one_date_in_one_batch_make_one_run(scene: Scene) -> None:
    scene.dag("d", job("a"))
    args = {"dag": "d", "logical_us": T0}
    scene.feed(Command(101, "trigger", args), Command(102, "trigger", args))
    assert scene.reply(101) == {"run_id": 1}
    with pytest.raises(RefusedError, match="has run 1"):
        scene.reply(102)
    scene.end("a")


def test_an_idempotency_key_gives_the_same_answer_again(scene: Scene) -> None:
    scene.dag("d", job("a"))
    first = scene.command("trigger", dag="d", key="k1")
    assert scene.command("trigger", dag="d", key="k1") == first
    scene.end("a")
    scene.crash()
    assert scene.command("trigger", dag="d", key="k1") == first
    assert len(scene.runs()) == 1


def test_one_idempotency_key_twice_in_one_batch_is_one_run(scene: Scene) -> None:
    scene.dag("d", job("a"))
    args = {"dag": "d", "key": "k"}
    scene.feed(Command(101, "trigger", args), Command(102, "trigger", args))
    assert scene.reply(101) == scene.reply(102)
    assert len(scene.runs()) == 1
    scene.end("a")


def test_unknown_names_are_not_found(scene: Scene) -> None:
    scene.dag("d", job("a"))
    for verb, args in (
        ("trigger", {"dag": "x"}), ("cancel", {"run_id": 9}), ("rerun", {"run_id": 9}),
        ("mark", {"run_id": 9, "task": "a", "state": "success"}), ("wait_look", {"wait_id": 3}),
    ):  # fmt: skip
        with pytest.raises(NotFoundError):
            scene.command(verb, **args)
    with pytest.raises(UsageError, match="no command"):
        scene.command("explode")
    scene.dag("p", job("a"), params={"x": 1})
    with pytest.raises(UsageError, match="no parameter 'y'"):
        scene.trigger("p", params={"y": 2})


def test_a_removed_dag_is_not_triggered_and_its_runs_wait_for_their_code(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"))
    run = scene.trigger("d")
    scene.feed(DagRemoved("d", "its file is gone", gone=True))
    with pytest.raises(RefusedError, match="was removed"):
        scene.trigger("d")
    scene.end("a")
    assert (scene.state("b"), scene.reason("b")) == ("ready", "code not loaded: its file is gone")
    scene.dag("d", job("a"), job("b", "a"))
    scene.end("b", run=run)


# --- cancel --------------------------------------------------------------------------------------


def test_s0_8d_p12_cancel_reaches_everything_that_runs_waits_or_is_ready(new_scene: New) -> None:
    scene = new_scene(slots=2)
    scene.dag("d", job("x"), job("w"), sensor("s"), job("r", retries=1, delay=60), job("q"), job("z", "x"))
    run = scene.trigger("d")
    scene.asks("w", "k")
    scene.fails("r")
    scene.command("cancel", run_id=run)
    assert set(scene.states(run).values()) == {"cancelled"}
    assert (scene.run_state(run), scene.armed) == ("cancelled", {})
    assert scene.world.slots.used == 2
    assert len(scene.stops) >= 2
    for task in list(scene.going):
        scene.stopped(task)
    scene.advance(3600)
    assert (scene.going, scene.world.slots.used) == ([], 0)
    with pytest.raises(RefusedError, match="over already"):
        scene.command("cancel", run_id=run)


def test_a_body_that_outlives_its_cancelled_run_keeps_its_slot(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("a"))
    run = scene.trigger("d")
    scene.command("cancel", run_id=run)
    scene.trigger("d")
    assert scene.state("a") == "ready"
    scene.stopped("a", run)
    assert scene.state("a") == "running"
    scene.end("a")


def test_a_rerun_of_a_cancelled_run_starts_nothing_beside_the_body_that_still_goes(scene: Scene) -> None:
    scene.dag("d", job("a"))
    run = scene.trigger("d")
    scene.command("cancel", run_id=run)
    scene.command("rerun", run_id=run)
    assert (scene.state("a"), len(scene.bodies)) == ("ready", 1)
    assert scene.reason("a") == "its former attempt has not stopped yet"
    scene.stopped("a")
    assert (scene.state("a"), scene.attempts("a")) == ("running", ["cancelled", "running"])
    scene.end("a")


def test_a_cancel_that_meets_missing_code_leaves_no_slot_behind(scene: Scene) -> None:
    scene.dag("d", job("a"))
    run = scene.trigger("d")
    [start] = scene.bodies.values()
    scene.command("cancel", run_id=run)
    scene.bodies.clear()
    scene.stops.clear()
    scene.feed(CodeMissing(start.instance_id, "the task is gone"))
    assert scene.world.slots.used == 0


def test_missing_code_makes_ready_again_and_loading_it_goes_on(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    [start] = scene.bodies.values()
    scene.bodies.clear()
    scene.feed(CodeMissing(start.instance_id, "a is not in the module"))
    assert (scene.state("a"), scene.world.slots.used) == ("ready", 0)
    assert "code not loaded" in scene.reason("a")
    scene.dag("d", job("a"))
    assert (scene.state("a"), scene.instance("a")["failures"]) == ("running", 0)
    scene.end("a")


def test_a_queued_run_can_be_cancelled_and_the_next_one_starts(scene: Scene) -> None:
    scene.dag("d", job("a"), max_active_runs=1)
    scene.trigger("d")
    second, third = scene.trigger("d"), scene.trigger("d")
    scene.command("cancel", run_id=second)
    scene.end("a")
    assert [scene.run_state(second), scene.run_state(third)] == ["cancelled", "running"]
    scene.end("a")


# --- mark ----------------------------------------------------------------------------------------


def test_mark_success_lets_the_downstream_go(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"))
    run = scene.trigger("d")
    scene.command("mark", run_id=run, task="a", state="success")
    assert sorted(scene.going) == ["a", "b"]
    scene.stopped("a")
    assert scene.attempts("a") == ["success"]
    scene.end("b")
    assert scene.run_state() == "success"


@pytest.mark.parametrize("state", ["success", "failed", "skipped"])
@pytest.mark.parametrize(
    "was", ["pending", "ready", "running", "deferred", "waiting", "up_for_retry", "lost", "failed", "success"]
)
def test_mark_from_every_state(new_scene: New, was: str, state: str) -> None:
    scene = new_scene(slots=1)
    blocker = was == "ready"
    scene.dag("e", job("block"))
    if blocker:
        scene.trigger("e")
    scene.dag(
        "d",
        job("up") if was == "pending" else job("other"),
        sensor("a") if was == "deferred" else job(
            "a", *(["up"] if was == "pending" else []), retries=int(was == "up_for_retry"), delay=60,
            idempotent=was != "lost", priority=9,
        ),
        job("z", "a", rule="all_done"),
    )  # fmt: skip
    run = scene.trigger("d")
    match was:
        case "waiting":
            scene.asks("a", "w")
        case "up_for_retry" | "failed":
            scene.fails("a")
        case "lost":
            scene.crash()
        case "success":
            scene.end("a")
        case _:
            pass
    actual = {"waiting": "deferred"}.get(was, was)
    assert scene.state("a", run) == actual
    if state == was:
        with pytest.raises(RefusedError, match="already"):
            scene.command("mark", run_id=run, task="a", state=state)
    else:
        scene.command("mark", run_id=run, task="a", state=state)
        assert scene.state("a", run) == state
    while scene.going:
        task = scene.going[0]
        stopping = scene.attempt(task) in scene.stops
        (scene.stopped if stopping else scene.end)(task)
    assert scene.state("z", run) == "success"
    assert scene.run_state(run) == ("failed" if scene.state("a", run) == "failed" else "success")


def test_a_mark_on_a_finished_run_opens_it_and_decides_anew_what_did_not_start(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"))
    run = scene.trigger("d")
    scene.fails("a")
    assert scene.run_state() == "failed"
    scene.command("mark", run_id=run, task="a", state="success")
    assert (scene.run_state(), scene.going) == ("running", ["b"])
    scene.end("b", "c")
    assert scene.run_state() == "success"


def test_a_mark_is_counted_by_the_downstreams_that_still_wait(scene: Scene) -> None:
    scene.dag(
        "d", job("a"), job("b"), job("z", "a", "b", rule="all_done"), job("one", "a", "b", rule="one_success")
    )
    run = scene.trigger("d")
    scene.fails("a")
    scene.command("mark", run_id=run, task="a", state="success")
    assert scene.states()["one"] == "running"
    scene.end("b", "z", "one")
    assert scene.run_state() == "success"


def test_a_mark_on_a_queued_run_starts_nothing(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), max_active_runs=1)
    scene.trigger("d")
    second = scene.trigger("d")
    with pytest.raises(RefusedError, match="has not started"):
        scene.command("mark", run_id=second, task="a", state="success")
    assert len(scene.going) == 1
    scene.end("a", "b", "a", "b")


# --- rerun ---------------------------------------------------------------------------------------


def test_s3_19_b48_rerun_takes_what_failed_and_what_could_not_start(scene: Scene) -> None:
    scene.dag("d", job("ok"), job("a"), job("b", "a"))
    run = scene.trigger("d")
    scene.end("ok")
    scene.fails("a")
    answer = scene.command("rerun", run_id=run)
    assert answer["tasks"] == ["a", "b"]
    scene.end("a", "b")
    assert (scene.run_state(), scene.attempts("a"), scene.attempts("ok")) == (
        "success", ["failed", "success"], ["success"],
    )  # fmt: skip


def test_s3_20_rerun_of_one_task_downstream_and_whole(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"))
    run = scene.trigger("d")
    scene.end("a", "b", "c")
    assert scene.command("rerun", run_id=run, task="b")["tasks"] == ["b"]
    scene.end("b")
    assert scene.command("rerun", run_id=run, task="b", downstream=True)["tasks"] == ["b", "c"]
    scene.end("b", "c")
    assert scene.command("rerun", run_id=run, whole=True)["tasks"] == ["a", "b", "c"]
    scene.end("a", "b", "c")
    assert len(scene.attempts("b")) == 4
    with pytest.raises(RefusedError, match="nothing to rerun"):
        scene.command("rerun", run_id=run)


def test_a_rerun_is_not_counted_twice_by_a_downstream_that_waits_for_others(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b"), job("z", "a", "b"))
    run = scene.trigger("d")
    scene.end("a")
    scene.command("rerun", run_id=run, task="a")
    scene.end("a")
    assert scene.state("z") == "pending"
    scene.end("b")
    scene.end("z")
    assert scene.run_state() == "success"


def test_a_rerun_while_the_end_is_still_being_told_to_a_wide_fan(new_scene: New) -> None:
    scene = new_scene(slots=1000, budget=20)
    scene.dag("d", job("a"), job("b"), *(job(f"z{n}", "a", "b") for n in range(200)))
    run = scene.trigger("d")
    more = scene.turn(scene.ended(scene.attempt("a")))
    assert more
    scene.command("rerun", run_id=run, task="a")
    scene.end("b")
    assert scene.going == ["a"]
    scene.checking = False
    scene.end("a")
    assert len(scene.going) == 200
    for attempt in list(scene.bodies):
        scene.feed(scene.ended(attempt))
    assert scene.run_state() == "success"


@pytest.mark.parametrize("state", ["ready", "running", "deferred", "up_for_retry"])
def test_i7_a_rerun_under_a_downstream_that_has_begun_is_refused(new_scene: New, state: str) -> None:
    scene = new_scene(slots=1)
    scene.dag("e", job("block"))
    scene.dag("d", job("a"), job("b", "a", retries=1, delay=60))
    run = scene.trigger("d")
    if state == "ready":
        scene.trigger("e")
    scene.end("a", run=run)
    match state:
        case "deferred":
            scene.asks("b", "w")
        case "up_for_retry":
            scene.fails("b")
        case _:
            pass
    if scene.state("b", run) == state:  # resumed or not, the older one may have been first
        with pytest.raises(RefusedError, match="b goes on from what is to be rerun"):
            scene.command("rerun", run_id=run, task="a")
    scene.command("cancel", run_id=run)
    while scene.going:
        (scene.stopped if scene.attempt(scene.going[0]) in scene.stops else scene.end)(scene.going[0])


def test_a_rerun_of_what_runs_is_refused(scene: Scene) -> None:
    scene.dag("d", job("a"))
    run = scene.trigger("d")
    with pytest.raises(RefusedError, match="have not ended: a"):
        scene.command("rerun", run_id=run, task="a")
    scene.end("a")


def test_a_rerun_forgets_the_old_output_and_the_retry_budget_begins_anew(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1))
    run = scene.trigger("d")
    scene.fails("a")
    scene.end("a", output=1)
    scene.command("rerun", run_id=run, task="a")
    assert scene._rows("SELECT * FROM output") == []
    scene.fails("a")
    scene.end("a", output=2)
    assert scene.instance("a")["attempt"] == 4


def test_a_rerun_of_a_finished_run_after_a_restart(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"))
    run = scene.trigger("d")
    scene.fails("a")
    scene.crash()
    scene.command("rerun", run_id=run)
    scene.crash()
    assert scene.attempts("a") == ["failed", "lost", "running"]
    scene.end("a", "b")
    assert scene.run_state() == "success"


# --- pause ---------------------------------------------------------------------------------------


def test_a_pause_lets_bodies_end_and_starts_nothing(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), schedule=Every(hours=1))
    scene.advance(0)
    assert scene.going == ["a"]
    scene.command("pause", dag="d")
    scene.end("a")
    assert (scene.going, scene.reason("b")) == ([], "the DAG is paused")
    scene.advance(5 * 3600)
    scene.crash()
    assert scene.going == []
    assert len(scene.runs()) == 1
    scene.command("unpause", dag="d")
    assert scene.going[:1] == ["b"]
    assert len(scene.runs()) == 2
    while scene.going:
        scene.end(scene.going[0])


def test_deadlines_stand_still_while_a_dag_is_paused(scene: Scene) -> None:
    scene.dag("d", job("a", deadline=100), job("b", "a"), deadline_us=200_000_000)
    scene.trigger("d")
    scene.asks("a", "w", timeout=90)
    scene.command("pause", dag="d")
    scene.advance(1000)
    scene.crash(down=500)
    assert scene.state("a") == "deferred"
    scene.command("unpause", dag="d")
    scene.advance(80)
    assert scene.state("a") == "deferred"
    scene.fire("a")
    assert scene.state("a") == "running"
    scene.end("a", "b")
    assert scene.run_state() == "success"


def test_a_pause_does_not_lengthen_the_active_time_of_a_body_that_goes_on(scene: Scene) -> None:
    scene.dag("d", job("a", timeout=100))
    scene.trigger("d")
    scene.command("pause", dag="d")
    scene.advance(50)
    scene.command("unpause", dag="d")
    scene.advance(50)
    assert len(scene.stops) == 1
    scene.stopped("a")


def test_what_begins_during_a_pause_moves_by_the_rest_of_it_only(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1, delay=20), job("b"), deadline_us=500_000_000)
    first = scene.trigger("d")
    scene.advance(10)
    scene.command("pause", dag="d")
    scene.advance(90)
    scene.fails("a")  # to be tried again 20 s from here
    scene.asks("b", "w", timeout=100)
    second = scene.trigger("d")
    scene.advance(5)
    scene.crash(down=5)
    scene.command("unpause", dag="d")
    assert scene.now == T0 + seconds(110)
    assert scene.instance("a", first)["due_us"] == T0 + seconds(130)
    assert next(iter(scene.world.waits.values())).deadline == T0 + seconds(210)
    runs = scene.world.runs
    assert (runs[first].deadline, runs[second].deadline) == (T0 + seconds(600), T0 + seconds(610))
    scene.advance(20)
    assert scene.going.count("a") == 2
    scene.fire("b")
    while scene.going:
        scene.end(scene.going[0])


def test_a_deadline_that_begins_during_a_pause_moves_by_the_rest_of_it_only(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a", deadline=100), job("c", deadline=100), sensor("s", timeout=300))
    scene.trigger("d")
    for _ in range(2):
        scene.command("pause", dag="d")
        scene.advance(50)
        scene.command("unpause", dag="d")
    assert scene.instance("c")["deadline_us"] == T0 + seconds(200)
    scene.command("pause", dag="d")
    scene.advance(50)
    scene.end("a")
    assert scene.instance("b")["deadline_us"] == T0 + seconds(250)
    scene.advance(50)
    scene.command("unpause", dag="d")
    assert scene.instance("b")["deadline_us"] == T0 + seconds(300)
    assert scene.instance("c")["deadline_us"] == T0 + seconds(300)
    assert scene.instance("s")["deadline_us"] == T0 + seconds(500)
    assert scene.world.waits[scene.wait_of("s")].deadline == T0 + seconds(500)
    scene.fire("s")
    scene.end("b", "c")


def test_a_clock_that_was_put_back_before_a_pause_takes_nothing_from_it(scene: Scene) -> None:
    scene.dag("d", sensor("s", timeout=100))
    scene.trigger("d")
    scene.step_clock(-1000)
    scene.command("pause", dag="d")
    scene.advance(50)
    scene.command("unpause", dag="d")
    assert scene.instance("s")["deadline_us"] == T0 + seconds(100 - 1000 + 50)
    scene.fire("s")


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("late", [50, 500])
@pytest.mark.parametrize("mode", ["deferred", "poke", "reschedule"])
def test_waits_go_on_when_on_pause_becomes_run_during_a_pause(
    scene: Scene, mode: str, late: float, crash: bool
) -> None:
    tasks = (sensor("s", mode=mode, timeout=300), job("a"))
    scene.dag("d", *tasks)
    scene.trigger("d")
    scene.asks("a", "w", timeout=300)
    scene.command("pause", dag="d")
    scene.advance(late)
    if crash:
        scene.dags["d"] = loaded("d", *tasks, on_pause="run")
        scene.crash()
    else:
        scene.dag("d", *tasks, on_pause="run")
    wait = scene.wait_of("a")
    assert wait in scene.armed
    assert {wait.deadline for wait in scene.world.waits.values()} == {T0 + seconds(300 + late)}
    scene.advance(100)
    scene.command("unpause", dag="d")
    assert scene.world.waits[wait].deadline == T0 + seconds(300 + late)
    assert scene.state("s") in ("deferred", "running")
    scene.fire("a")
    scene.fire("s")
    scene.end("a")
    assert scene.run_state() == "success"


def test_waits_stand_still_from_when_on_pause_becomes_freeze(scene: Scene) -> None:
    scene.dag("d", sensor("s", timeout=300), on_pause="run")
    scene.trigger("d")
    scene.command("pause", dag="d")
    scene.advance(100)
    wait = scene.wait_of("s")
    assert wait in scene.armed
    scene.dag("d", sensor("s", timeout=300), on_pause="freeze")
    assert scene.armed == {}
    scene.crash(down=1000)
    assert scene.armed == {}
    scene.command("unpause", dag="d")
    assert wait in scene.armed
    assert scene.world.waits[wait].deadline == T0 + seconds(300 + 1000)
    scene.advance(300)
    assert (scene.state("s"), scene.run_state()) == ("failed", "failed")


def test_what_fires_during_a_pause_goes_on_after_it(scene: Scene) -> None:
    scene.dag("d", job("a"), on_pause="run")
    scene.trigger("d")
    scene.asks("a", "w")
    wait = scene.wait_of("a")
    scene.command("pause", dag="d")
    scene.feed(WaitFired(wait, b"1"))
    assert scene.state("a") == "ready"
    scene.command("unpause", dag="d")
    assert [answer.event for answer in scene.answers] == [b"1"]
    scene.end("a")


def test_pause_and_unpause_twice_are_once(scene: Scene) -> None:
    scene.dag("d", job("a"))
    for verb in ("pause", "pause", "unpause", "unpause"):
        scene.command(verb, dag="d")
    assert [now for now, _ in scene.said("dag") if now in ("paused", "active")] == ["paused", "active"]


def test_a_mark_does_not_open_again_what_another_goes_on_from(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b", rule="all_done"))
    run = scene.trigger("d")
    scene.fails("a")
    assert scene.states() == {"a": "failed", "b": "upstream_failed", "c": "running"}
    with pytest.raises(
        RefusedError, match="c goes on from what is to be opened again by that, and has not ended"
    ):
        scene.command("mark", run_id=run, task="a", state="success")
    scene.end("c")
    scene.command("mark", run_id=run, task="a", state="success")
    assert scene.state("b") == "running"
