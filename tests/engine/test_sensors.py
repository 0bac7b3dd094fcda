"""Sensors: the same ends in all three modes, no slot while deferred, one absolute deadline."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bide.runtime.clock import LAST_US, from_us
from bide.runtime.engine.messages import BuildFailed, Failure, WaitFired
from tests.engine.declare import job, seconds, sensor
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]
MODES = ["deferred", "poke", "reschedule"]


def test_s0_6_s3_38_a_deferred_sensor_holds_no_slot_and_no_body(scene: Scene) -> None:
    scene.dag("d", sensor("s"))
    scene.trigger("d")
    assert (scene.state("s"), scene.world.slots.used, len(scene.armed)) == ("deferred", 0, 1)
    scene.fire("s")
    assert (scene.state("s"), scene.armed, scene.attempts("s")) == ("success", {}, ["success"])


def test_s3_36_poke_holds_its_slot_from_the_first_look_to_the_last(scene: Scene) -> None:
    scene.dag("d", sensor("s", mode="poke"))
    scene.trigger("d")
    scene.advance(600)
    assert (scene.state("s"), scene.world.slots.used, len(scene.armed)) == ("running", 1, 1)
    scene.fire("s")
    assert (scene.state("s"), scene.world.slots.used) == ("success", 0)


def test_s3_37_reschedule_holds_a_slot_for_each_look_and_none_between(scene: Scene) -> None:
    scene.dag("d", sensor("s", mode="reschedule", poll=60))
    scene.trigger("d")
    for _ in range(3):
        assert (scene.state("s"), scene.world.slots.used) == ("running", 1)
        scene.looked("s")
        assert (scene.state("s"), scene.world.slots.used) == ("deferred", 0)
        scene.advance(60)
    scene.fire("s")
    assert (scene.state("s"), scene.attempts("s")) == ("success", ["success"])


def test_a_rescheduled_look_goes_before_new_work(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", sensor("s", mode="reschedule", poll=60, priority=9), job("a"), job("b"))
    scene.trigger("d")
    if "a" in scene.going:  # built after the others were queued
        scene.end("a")
        scene.looked("s")
        scene.advance(60)
        scene.end("b")
    else:
        scene.looked("s")
        scene.advance(60)
        scene.end("a")
    assert scene.state("s") == "running"
    scene.fire("s")
    while scene.going:
        scene.end(scene.going[0])


@pytest.mark.parametrize("mode", MODES)
def test_c24_the_event_is_the_output_in_every_mode(scene: Scene, mode: str) -> None:
    scene.dag("d", sensor("s", mode=mode), job("z", "s"))
    scene.trigger("d")
    scene.fire("s", {"path": "x"})
    assert scene._rows("SELECT value FROM output") == [('{"path":"x"}',)]
    assert scene.going == ["z"]
    scene.end("z")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, "failed"),
        ({"on_timeout": "skip"}, "skipped"),
        ({"on_timeout": "succeed"}, "success"),
        ({"soft_fail": True}, "skipped"),
    ],
)
def test_s3_29_c24_a_time_out_ends_alike_in_every_mode(
    scene: Scene, mode: str, options: dict[str, object], wanted: str
) -> None:
    scene.dag("d", sensor("s", mode=mode, timeout=100, poll=1000, **options))  # type: ignore[arg-type]
    scene.trigger("d")
    if mode == "reschedule":
        scene.looked("s", again=None)
        scene.advance(100)
        if scene.state("s") == "running":
            scene.looked("s")
    scene.advance(100)
    assert (scene.state("s"), scene.attempts("s")) == (wanted, ["timed_out"])
    assert "timed out waiting" in scene.reason("s")


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_that_can_never_come_true_fails_and_is_retried(scene: Scene, mode: str) -> None:
    scene.dag("d", sensor("s", mode=mode, retries=1, delay=10))
    scene.trigger("d")
    scene.breaks("s", "404 is final")
    assert (scene.state("s"), scene.world.slots.used) == ("up_for_retry", 0)
    scene.advance(10)
    scene.breaks("s", "404 is final")
    assert (scene.state("s"), scene.attempts("s")) == ("failed", ["failed", "failed"])
    assert scene.reason("s") == "404 is final"


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_skips(scene: Scene, mode: str) -> None:
    scene.dag("d", sensor("s", mode=mode, soft_fail=True), job("z", "s"))
    scene.trigger("d")
    scene.breaks("s", "gone")
    assert scene.states() == {"s": "skipped", "z": "skipped"}


@pytest.mark.parametrize("mode", MODES)
def test_c9_b17_the_deadline_of_the_first_look_holds_for_every_retry(scene: Scene, mode: str) -> None:
    scene.dag("d", sensor("s", mode=mode, timeout=100, poll=1000, retries=9, delay=30))
    scene.trigger("d")
    scene.advance(50)
    scene.breaks("s")
    scene.advance(30)
    deadline = scene.world.waits[scene.wait_of("s")].deadline
    assert deadline - scene.now == 20_000_000
    scene.advance(20)
    assert scene.state("s") == "failed"
    assert scene.attempts("s") == ["failed", "timed_out"]


# --- what cannot come true before an instant ------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_c31_a_default_time_out_counts_from_when_it_can_come_true(scene: Scene, mode: str) -> None:
    due = T0 + seconds(1000)
    scene.dag("d", sensor("s", mode=mode, timeout=100, timeout_given=False, poll=9000, not_before=due))
    scene.trigger("d")
    wait = scene.world.waits[scene.wait_of("s")]
    assert (wait.deadline, scene.instance("s")["deadline_us"]) == (due + seconds(100), wait.deadline)
    scene.crash()
    assert scene.world.waits[wait.wait_id].deadline == due + seconds(100)
    scene.advance(1099)
    assert scene.state("s") in ("deferred", "running")
    scene.fire("s")
    assert scene.state("s") == "success"


@pytest.mark.parametrize("mode", MODES)
def test_c31_an_instant_that_is_past_makes_no_default_shorter(scene: Scene, mode: str) -> None:
    past = T0 - seconds(1000)
    scene.dag("d", sensor("s", mode=mode, timeout=100, timeout_given=False, not_before=past))
    scene.trigger("d")
    assert scene.world.waits[scene.wait_of("s")].deadline == scene.now + seconds(100)
    scene.fire("s")


def test_c31_no_deadline_is_later_than_dates_are(scene: Scene) -> None:
    scene.dag("d", sensor("s", timeout=86_400, timeout_given=False, not_before=LAST_US))
    scene.trigger("d")
    assert scene.world.waits[scene.wait_of("s")].deadline == LAST_US
    scene.fire("s")


@pytest.mark.parametrize("mode", MODES)
def test_c31_a_retry_keeps_the_deadline_of_the_first_look(scene: Scene, mode: str) -> None:
    due = T0 + seconds(1000)
    task = sensor(
        "s", mode=mode, timeout=100, timeout_given=False, poll=9000, not_before=due, retries=1, delay=30
    )
    scene.dag("d", task)
    scene.trigger("d")
    scene.breaks("s")
    scene.advance(1050)
    assert scene.world.waits[scene.wait_of("s")].deadline == due + seconds(100)
    scene.fire("s")


@pytest.mark.parametrize("mode", MODES)
def test_c31_a_total_deadline_still_holds(scene: Scene, mode: str) -> None:
    due = T0 + seconds(1000)
    task = sensor("s", mode=mode, timeout=100, timeout_given=False, poll=9000, not_before=due, deadline=50)
    scene.dag("d", task)
    scene.trigger("d")
    assert scene.world.waits[scene.wait_of("s")].deadline == scene.now + seconds(50)
    scene.fire("s")


@pytest.mark.parametrize("mode", MODES)
def test_c31_a_time_out_that_must_pass_before_it_can_come_true_fails_at_once(scene: Scene, mode: str) -> None:
    due = T0 + seconds(7200)
    scene.dag("d", sensor("s", mode=mode, timeout=3600, not_before=due, retries=5), job("z", "s"))
    scene.trigger("d")
    assert scene.states() == {"s": "failed", "z": "upstream_failed"}
    assert (scene.world.slots.used, scene.world.waits, scene.attempts("s")) == (0, {}, [])
    assert scene.reason("s") == (
        f"it waits for {from_us(due).isoformat()} and its timeout of 1:00:00 is over before, at "
        f"{from_us(scene.now + seconds(3600)).isoformat(timespec='seconds')}: leave timeout out (the default "
        'counts from that instant), make it longer, or say on_timeout="skip"'
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "options",
    [
        {"on_timeout": "skip"},
        {"on_timeout": "succeed"},
        {"soft_fail": True},
        {"not_before": T0 + seconds(100)},
    ],
    ids=["skip", "succeed", "soft_fail", "just in time"],
)
def test_c31_a_time_out_that_is_wanted_or_long_enough_means_what_it_says(
    scene: Scene, mode: str, options: dict[str, object]
) -> None:
    given: dict[str, object] = {"not_before": T0 + seconds(7200), **options}
    scene.dag("d", sensor("s", mode=mode, timeout=100, poll=9000, **given))  # type: ignore[arg-type]
    scene.trigger("d")
    assert scene.world.waits[scene.wait_of("s")].deadline == scene.now + seconds(100)
    scene.fire("s")
    assert scene.state("s") == "success"


def test_p11_a_wait_that_has_fired_is_not_killed_by_its_deadline(scene: Scene) -> None:
    scene.dag("d", sensor("s", timeout=100))
    scene.trigger("d")
    wait = scene.wait_of("s")
    scene.sleep(100)
    scene.feed(WaitFired(wait, b"1"))
    assert scene.state("s") == "success"


def test_p4_a_second_firing_is_a_no_op(scene: Scene) -> None:
    scene.dag("d", sensor("s"), job("z", "s"))
    scene.trigger("d")
    wait = scene.wait_of("s")
    scene.feed(WaitFired(wait, b"1"), WaitFired(wait, b"2"))
    before = scene.batch
    scene.feed(WaitFired(wait, b"3"))
    assert (scene.batch, scene.going) == (before, ["z"])
    assert scene._rows("SELECT value FROM output") == [("1",)]
    scene.end("z")


def test_p8_a_deadline_that_passed_while_nobody_looked_gets_one_last_look(scene: Scene) -> None:
    scene.dag("d", sensor("s", timeout=100), sensor("t", timeout=100))
    scene.trigger("d")
    scene.crash(down=1000)
    assert (scene.state("s"), len(scene.looks)) == ("deferred", 2)
    scene.fire("t")
    scene.looked("s", "still nothing")
    assert scene.states() == {"s": "failed", "t": "success"}
    assert "last seen: still nothing" in scene.reason("s")


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_goes_on_over_a_restart_with_its_deadline(scene: Scene, mode: str) -> None:
    scene.dag("d", sensor("s", mode=mode, timeout=100, poll=10))
    scene.trigger("d")
    deadline = scene.world.waits[scene.wait_of("s")].deadline
    if mode == "reschedule":
        scene.looked("s")
    scene.crash(down=20)
    assert scene.world.waits[scene.wait_of("s")].deadline == deadline
    scene.fire("s")
    assert (scene.state("s"), scene.attempts("s")) == ("success", ["success"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("verb", ["cancel", "mark"])
@pytest.mark.parametrize("when", ["waiting", "after a restart"])
def test_c11_c12_what_ends_by_hand_is_disarmed_and_its_attempt_closed(
    scene: Scene, mode: str, verb: str, when: str
) -> None:
    scene.dag("d", sensor("s", mode=mode, poll=10))
    run = scene.trigger("d")
    if when == "after a restart":
        scene.crash()
    if verb == "cancel":
        scene.command("cancel", run_id=run)
    else:
        scene.command("mark", run_id=run, task="s", state="failed")
    assert (scene.armed, scene.world.slots.used) == ({}, 0)
    assert scene.attempts("s") == ["cancelled"]


def test_a_rescheduled_sensor_that_waits_for_a_slot_can_be_cancelled(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", sensor("s", mode="reschedule", poll=10))
    scene.dag("e", job("x"))
    run = scene.trigger("d")
    scene.looked("s")
    scene.trigger("e")
    scene.advance(10)
    assert scene.state("s", run) == "ready"
    scene.command("cancel", run_id=run)
    assert scene.attempts("s", run) == ["cancelled"]
    scene.end("x")


def test_a_trigger_that_cannot_be_built_fails_or_is_retried(scene: Scene) -> None:
    scene.building = False
    scene.dag("d", sensor("s", retries=1, delay=5))
    scene.trigger("d")
    [inst] = scene.builds
    scene.builds.clear()
    scene.feed(BuildFailed(inst, Failure("no such param")))
    assert scene.state("s") == "up_for_retry"
    scene.advance(5)
    scene.builds.clear()
    scene.feed(BuildFailed(inst, Failure("no such param")))
    assert (scene.state("s"), scene.run_state()) == ("failed", "failed")


def test_c3_a_rerun_of_a_sensor_waits_anew(scene: Scene) -> None:
    scene.dag("d", sensor("s", timeout=100))
    run = scene.trigger("d")
    first = scene.wait_of("s")
    scene.breaks("s")
    scene.advance(500)
    scene.command("rerun", run_id=run)
    second = scene.wait_of("s")
    assert second != first
    assert scene.world.waits[second].deadline - scene.now == 100_000_000
    scene.fire("s")
    assert scene.run_state() == "success"


@pytest.mark.parametrize("mode", MODES)
def test_c5_a_pause_suspends_waits_and_their_deadlines(scene: Scene, mode: str) -> None:
    scene.dag("d", sensor("s", mode=mode, timeout=100, poll=30))
    scene.trigger("d")
    if mode == "reschedule":
        scene.looked("s")
    scene.advance(20)
    scene.command("pause", dag="d")
    assert scene.armed == {}
    scene.advance(1000)
    assert scene.state("s") in ("deferred", "running", "ready")
    scene.command("unpause", dag="d")
    assert scene.world.waits[scene.wait_of("s")].deadline - scene.now == 80_000_000
    if mode != "reschedule":
        assert len(scene.armed) == 1
    scene.fire("s")
    assert scene.state("s") == "success"


def test_on_pause_run_lets_waits_go_on(scene: Scene) -> None:
    scene.dag("d", sensor("s", timeout=100), job("z", "s"), on_pause="run")
    scene.trigger("d")
    scene.command("pause", dag="d")
    scene.fire("s")
    assert scene.states() == {"s": "success", "z": "ready"}
    scene.command("unpause", dag="d")
    scene.end("z")


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_can_be_extended_satisfied_and_failed_by_hand(scene: Scene, mode: str) -> None:
    scene.dag(
        "d", sensor("s", mode=mode, timeout=100, poll=1000), sensor("t", mode=mode, timeout=100, poll=1000)
    )
    scene.trigger("d")
    scene.command("wait_extend", wait_id=scene.wait_of("s"), deadline_us=scene.now + 500_000_000)
    scene.advance(400)
    scene.looks.pop(scene.wait_of("s"), None)
    assert scene.states() == {"s": scene.state("s"), "t": "failed"}
    assert scene.state("s") in ("deferred", "running")
    scene.command("wait_satisfy", wait_id=scene.wait_of("s"), event={"by": "hand"})
    assert scene.state("s") == "success"
