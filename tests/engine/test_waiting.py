"""`ctx.wait` in a body, and waits for other DAGs, which the engine sees itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bide.runtime.engine.messages import Parked, WaitDropped, WaitFired
from bide.triggers.external_task import ExternalTaskTrigger
from tests.engine.declare import job, seconds, sensor
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


# --- ctx.wait ------------------------------------------------------------------------------------


def test_a_body_that_waits_gives_its_slot_and_gets_it_back(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("a"), job("b"))
    scene.trigger("d")
    scene.asks("a", "w")
    assert (scene.state("a"), scene.going) == ("deferred", ["a", "b"])
    scene.fire("a", {"n": 1})
    assert (scene.state("a"), scene.answers) == ("ready", [])
    scene.end("b")
    [answer] = scene.answers
    assert (scene.state("a"), answer.key, answer.event) == ("running", "w", b'{"n":1}')
    scene.end("a")
    assert scene.attempts("a") == ["success"]


@pytest.mark.parametrize(("ahead", "gives_up"), [(None, 60), (-500, 60), (500, 560)])
def test_c31_a_wait_that_cannot_be_over_before_an_instant_gives_up_after_it(
    scene: Scene, ahead: float | None, gives_up: float
) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    scene.asks("a", "w", timeout=60, not_before=None if ahead is None else scene.now + seconds(ahead))
    due = scene.now + seconds(gives_up)
    assert scene.world.waits[scene.wait_of("a")].deadline == due
    scene.crash()
    assert scene.world.waits[scene.wait_of("a")].deadline == due
    scene.advance(gives_up - 1)
    assert scene.state("a") == "deferred"
    scene.advance(1)
    assert (scene.going, scene.world.waits) == (["a"], {})
    scene.end("a")


def test_gather_parts_wait_and_come_back_one_by_one(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    for key in "xyz":
        scene.asks("a", key)
    assert (scene.state("a"), scene.world.slots.used) == ("deferred", 0)
    scene.fire("a", key="y")
    assert (scene.state("a"), scene.world.slots.used) == ("running", 1)
    scene.feed(Parked(scene.attempt("a"), 1))
    assert (scene.state("a"), scene.world.slots.used) == ("deferred", 0)
    scene.fire("a", key="x")
    scene.fire("a", key="z")
    assert [answer.key for answer in scene.answers] == ["y", "x", "z"]
    scene.end("a")
    assert scene.run_state() == "success"


def test_answers_that_come_while_it_wants_a_slot_come_together(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("a"), job("b"))
    scene.trigger("d")
    scene.asks("a", "x")
    scene.asks("a", "y")
    scene.fire("a", key="x")
    scene.fire("a", key="y")
    assert scene.answers == []
    scene.end("b")
    assert sorted(answer.key for answer in scene.answers) == ["x", "y"]
    scene.end("a")


def test_a_wait_times_out_for_the_body_that_asked(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    scene.asks("a", "w", timeout=50)
    scene.advance(50)
    [answer] = scene.answers
    assert (answer.event, answer.timed_out, scene.state("a")) == (None, True, "running")
    scene.end("a")


def test_a_wait_given_up_by_the_body_is_closed_and_it_goes_on(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    scene.asks("a", "w")
    scene.feed(WaitDropped(scene.attempt("a"), "w"))
    assert (scene.state("a"), scene.armed) == ("running", {})
    scene.end("a")


def test_a_body_may_end_while_a_part_of_it_waits(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1))
    scene.trigger("d")
    scene.asks("a", "w")
    scene.fails("a")
    assert (scene.armed, scene.attempts("a")) == ({}, ["failed", "running"])
    scene.end("a")


def test_a_body_may_end_while_it_wants_its_slot_back(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("a"), job("b"))
    scene.trigger("d")
    scene.asks("a", "w")
    scene.fire("a")
    scene.fails("a")
    assert (scene.state("a"), scene.attempts("a")) == ("failed", ["failed"])
    scene.end("b")


def test_the_wait_of_a_lost_attempt_is_inherited_with_its_deadline(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    scene.asks("a", "w", timeout=100)
    scene.crash(down=10)
    assert (scene.state("a"), scene.attempts("a"), scene.going) == ("deferred", ["lost"], [])
    scene.fire("a", 7)
    assert (scene.going, scene.attempts("a")) == (["a"], ["lost", "running"])
    [start] = scene.bodies.values()
    assert start.recorded
    scene.asks("a", "w", timeout=100)
    assert [answer.event for answer in scene.answers] == [b"7"]
    scene.end("a")


def test_an_open_wait_is_inherited_by_the_body_that_asks_again(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    scene.asks("a", "x", timeout=100)
    scene.asks("a", "y", timeout=200)
    scene.crash(down=10)
    scene.fire("a", key="x")
    deadline = scene.world.waits[scene.wait_of("a", key="y")].deadline
    scene.asks("a", "y", timeout=1000)
    assert scene.world.waits[scene.wait_of("a", key="y")].deadline == deadline
    assert scene.state("a") == "deferred"
    scene.fire("a", key="y")
    scene.end("a")


def test_a_retry_starts_with_clean_waits(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1))
    scene.trigger("d")
    scene.asks("a", "w")
    scene.fire("a", 1)
    scene.fails("a")
    scene.asks("a", "w")
    assert (scene.state("a"), len(scene.armed)) == ("deferred", 1)
    scene.fire("a", 2)
    assert [answer.event for answer in scene.answers] == [b"1", b"2"]
    scene.end("a")


def test_parked_and_not_idempotent_at_a_crash_is_lost(scene: Scene) -> None:
    scene.dag("d", job("a", idempotent=False))
    scene.trigger("d")
    scene.asks("a", "w")
    scene.crash()
    assert (scene.state("a"), scene.armed, scene.attempts("a")) == ("lost", {}, ["lost"])


@pytest.mark.parametrize("verb", ["cancel", "mark"])
def test_what_waits_for_its_lost_body_can_be_ended_by_hand(scene: Scene, verb: str) -> None:
    scene.dag("d", job("a"))
    run = scene.trigger("d")
    scene.asks("a", "w")
    scene.crash()
    if verb == "cancel":
        scene.command("cancel", run_id=run)
    else:
        scene.command("mark", run_id=run, task="a", state="success")
    assert (scene.attempts("a"), scene.armed) == (["lost"], {})
    assert scene.run_state() == ("cancelled" if verb == "cancel" else "success")


# --- other DAGs ------------------------------------------------------------------------------------


def upstream(task: str | None = "a", **options: object) -> ExternalTaskTrigger:
    return ExternalTaskTrigger(dag="up", task=task, logical_us=T0, **options)  # type: ignore[arg-type]


def test_s3_33_c2_the_commit_that_ends_the_other_task_wakes_the_wait(scene: Scene) -> None:
    scene.dag("up", job("a"))
    scene.dag("d", sensor("s", waits_for=upstream()), job("z", "s"))
    scene.trigger("up", logical_us=T0)
    scene.trigger("d")
    assert (scene.state("s"), scene.armed) == ("deferred", {})
    before = scene.batch
    scene.end("a")
    assert (scene.batch - before, scene.state("s"), scene.going) == (1, "success", ["z"])
    scene.end("z")


def test_what_is_over_already_is_seen_in_the_database(scene: Scene) -> None:
    scene.dag("up", job("a"))
    scene.dag("d", sensor("s", waits_for=upstream()), sensor("r", waits_for=upstream(None)))
    scene.trigger("up", logical_us=T0)
    scene.end("a")
    scene.trigger("d")
    assert scene.run_state() == "success"


def test_s0_8e_what_has_not_begun_is_waited_for(scene: Scene) -> None:
    scene.dag("up", job("a"))
    scene.dag("d", sensor("s", waits_for=upstream()))
    run = scene.trigger("d")
    scene.advance(60)
    scene.trigger("up", logical_us=T0)
    assert scene.state("s", run) == "deferred"
    scene.end("a")
    assert scene.run_state(run) == "success"


@pytest.mark.parametrize("end", ["failed", "skipped", "cancelled", "marked", "lost"])
def test_c24_c25_an_upstream_that_ends_badly_is_seen_at_once(scene: Scene, end: str) -> None:
    scene.dag("up", job("a", idempotent=False))
    scene.dag("d", sensor("s", waits_for=upstream()))
    up = scene.trigger("up", logical_us=T0)
    run = scene.trigger("d")
    match end:
        case "failed" | "skipped":
            scene.fails("a", state=end)
        case "cancelled":
            scene.command("cancel", run_id=up)
            scene.stopped("a")
        case "marked":
            scene.command("mark", run_id=up, task="a", state="failed")
            scene.stopped("a")
        case _:
            scene.crash()
    assert scene.state("s", run) == "failed"


def test_c27_a_task_that_vanishes_from_the_other_dag_is_not_waited_for_in_vain(scene: Scene) -> None:
    scene.dag("up", job("a"), job("b"))
    scene.dag("d", sensor("s", waits_for=upstream()))
    early = scene.trigger("d")
    scene.dag("up", job("b"))
    assert scene.state("s", early) == "failed"
    assert "has no task 'a'" in scene.reason("s", early)
    scene.trigger("up", logical_us=T0)
    during = scene.trigger("d")
    assert scene.state("s", during) == "failed"
    scene.end("b")
    after = scene.trigger("d")
    assert scene.state("s", after) == "failed"


def test_c27_a_look_of_a_rescheduled_wait_sees_that_the_task_has_vanished(scene: Scene) -> None:
    scene.dag("up", job("a"), job("b"))
    scene.dag("d", sensor("s", mode="reschedule", waits_for=upstream(), poll=10))
    scene.trigger("d")
    scene.dag("up", job("b"))
    assert scene.state("s") == "running"
    scene.looked("s", "not over")
    assert (scene.state("s"), "has no task 'a'" in scene.reason("s")) == ("failed", True)


def test_c27_a_run_that_still_has_the_task_is_waited_for(scene: Scene) -> None:
    scene.dag("up", job("a"), job("b"))
    scene.dag("d", sensor("s", waits_for=upstream()))
    scene.trigger("up", logical_us=T0)
    run = scene.trigger("d")
    scene.dag("up", job("b"))
    assert scene.state("s", run) == "deferred"
    scene.end("a")
    assert scene.state("s", run) == "success"


def test_c28_an_upstream_that_waits_itself_is_no_end(scene: Scene) -> None:
    scene.dag("up", sensor("a"))
    scene.dag("d", sensor("s", waits_for=upstream()))
    scene.trigger("up", logical_us=T0)
    run = scene.trigger("d")
    scene.advance(600)
    assert scene.state("s", run) == "deferred"
    scene.fire("a")
    assert scene.run_state(run) == "success"


def test_c25_the_run_of_the_other_dag_is_waited_for_as_a_whole(scene: Scene) -> None:
    scene.dag("up", job("a"), job("b"))
    scene.dag("d", sensor("s", waits_for=upstream(None)))
    scene.trigger("up", logical_us=T0)
    run = scene.trigger("d")
    scene.end("a")
    assert scene.state("s", run) == "deferred"
    scene.fails("b")
    assert scene.state("s", run) == "failed"


def test_an_upstream_that_fails_and_is_rerun_in_time_is_seen_when_it_is_not_a_reason_to_fail(
    scene: Scene,
) -> None:
    scene.dag("up", job("a"))
    scene.dag("d", sensor("s", waits_for=upstream(fail_on=())))
    up = scene.trigger("up", logical_us=T0)
    run = scene.trigger("d")
    scene.fails("a")
    assert scene.state("s", run) == "deferred"
    scene.command("rerun", run_id=up)
    scene.end("a")
    assert scene.state("s", run) == "success"


def test_an_external_wait_is_watched_again_after_a_restart_and_what_ended_meanwhile_counts(
    scene: Scene,
) -> None:
    scene.dag("up", job("a"))
    scene.dag("d", sensor("s", waits_for=upstream()))
    scene.trigger("up", logical_us=T0)
    run = scene.trigger("d")
    scene.command("pause", dag="d")
    scene.end("a")
    assert scene.state("s", run) == "deferred"
    scene.crash()
    assert scene.state("s", run) == "deferred"
    scene.command("unpause", dag="d")
    assert scene.state("s", run) == "success"


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_external_waits_in_the_other_modes(scene: Scene, mode: str) -> None:
    scene.dag("up", job("a"))
    scene.dag("d", sensor("s", mode=mode, waits_for=upstream(), poll=10))
    scene.trigger("up", logical_us=T0)
    run = scene.trigger("d")
    scene.end("a")
    if mode == "reschedule":
        wait = scene.wait_of("s")
        del scene.looks[wait]
        scene.feed(WaitFired(wait, b"1"))
    assert scene.run_state(run) == "success"


def test_a_thousand_waiters_are_woken_over_several_turns(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("up", job("a"))
    scene.dag("d", *(sensor(f"s{n}", waits_for=upstream()) for n in range(1000)))
    scene.trigger("up", logical_us=T0)
    scene.checking = False
    run = scene.trigger("d")
    assert len(scene.world.watched) == 1
    before = scene.turns
    scene.end("a")
    scene.checking = True
    assert scene.turns - before > 3
    assert scene.run_state(run) == "success"


def test_a_body_of_a_thousand_waits_keeps_none_that_it_has_the_answer_of(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    inst = scene.world.attempts[scene.attempt("a")].inst
    for number in range(1_000):
        scene.asks("a", f"w{number}")
        [wait] = scene.world.waits
        scene.feed(WaitFired(wait, b"1"))
        assert scene.state("a") == "running"
        assert not inst.waits
    assert len(scene.answers) == 1_000
