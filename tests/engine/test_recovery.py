"""What died with the process, by policy: nothing twice that must not be, nothing forgotten."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bide.runtime.engine.messages import ProcessStarted
from bide.runtime.graph.spec import Lane
from tests.engine.declare import job, sensor
from tests.engine.scene import Scene

New = Callable[..., Scene]


def test_s0_29_an_idempotent_attempt_is_lost_and_started_again_without_spending_its_budget(
    scene: Scene,
) -> None:
    scene.dag("d", job("a", retries=1))
    scene.trigger("d")
    scene.crash()
    row = scene.instance("a")
    assert (scene.attempts("a"), row["failures"], row["lost"]) == (["lost", "running"], 0, 1)
    scene.end("a")


def test_p5_what_is_not_idempotent_is_lost_and_waits_for_a_person(scene: Scene) -> None:
    scene.dag("d", job("a", idempotent=False), job("b", "a"))
    run = scene.trigger("d")
    scene.crash()
    assert (scene.states(), scene.going) == ({"a": "lost", "b": "pending"}, [])
    scene.crash()
    assert scene.state("a") == "lost"
    scene.command("rerun", run_id=run)
    assert scene.attempts("a") == ["lost", "running"]
    scene.end("a", "b")


@pytest.mark.parametrize("verb", ["mark", "cancel"])
def test_p5_a_lost_task_can_be_marked_and_cancelled(scene: Scene, verb: str) -> None:
    scene.dag("d", job("a", idempotent=False), job("b", "a"))
    run = scene.trigger("d")
    scene.crash()
    if verb == "mark":
        scene.command("mark", run_id=run, task="a", state="success")
        scene.end("b")
        assert scene.run_state() == "success"
    else:
        scene.command("cancel", run_id=run)
        assert scene.run_state() == "cancelled"
    assert scene.attempts("a") == ["lost"]


def test_max_lost_bounds_starts_that_are_lost_in_a_row(scene: Scene) -> None:
    scene.dag("d", job("a", max_lost=2))
    scene.trigger("d")
    for _ in range(2):
        scene.crash()
        assert scene.state("a") == "running"
    scene.crash()
    assert (scene.state("a"), scene.attempts("a")) == ("lost", ["lost"] * 3)
    assert "3 times in a row" in scene.reason("a")


def test_a_failure_between_begins_the_count_of_lost_anew(scene: Scene) -> None:
    scene.dag("d", job("a", max_lost=1, retries=5))
    scene.trigger("d")
    for _ in range(3):
        scene.crash()
        assert scene.state("a") == "running"
        scene.fails("a")
    scene.end("a")


def test_s0_30_every_state_is_restored_as_it_was(new_scene: New) -> None:
    scene = new_scene(slots=4, pools={"db": (1, 3)})
    scene.dag(
        "d", job("ends"), job("fails"), job("skips"), job("retries", retries=1, delay=60), sensor("waits"),
        job("parks"), job("runs", priority=-1), job("queues", priority=-2), job("after", "runs"),
        job("below", "fails"), sensor("pool1", pool="db"), sensor("pool2", pool="db"),
        sensor("looks", mode="reschedule", poll=60),
    )  # fmt: skip
    scene.trigger("d")
    scene.end("ends")
    scene.fails("fails")
    scene.fails("skips", state="skipped")
    scene.fails("retries")
    scene.asks("parks", "w")
    while scene.looks:
        scene.looked("looks")
    scene.compare()
    before = scene.states()
    scene.crash(down=5)
    after = scene.states()
    assert {task: after[task] for task in before if before[task] != after[task]} == {}
    scene.advance(60)
    for task in ("waits", "parks", "pool1", "pool2", "looks"):
        scene.fire(task)
    while scene.going:
        scene.end(scene.going[0])
    assert scene.run_state() == "failed"


def test_two_crashes_in_a_row_lose_nothing(scene: Scene) -> None:
    scene.dag("d", job("a"), sensor("s"), job("z", "a", "s"))
    scene.trigger("d")
    scene.asks("a", "w")
    for _ in range(4):
        scene.crash()
    scene.fire("s")
    scene.crash()
    scene.fire("a")
    scene.crash()
    scene.end("a")
    scene.crash()
    scene.end("z")
    assert scene.run_state() == "success"


def test_a_body_that_came_back_and_wanted_its_slot_at_the_crash(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("a"), job("b"))
    scene.trigger("d")
    scene.asks("a", "w")
    scene.fire("a")
    assert scene.state("a") == "ready"
    scene.crash()
    assert scene.attempts("a")[0] == "lost"
    assert scene.state("a") == "running"  # resumed work goes first
    scene.end("a", "b")


def test_a_removed_wait_is_not_looked_at_again(scene: Scene) -> None:
    scene.dag("d", sensor("s"))
    run = scene.trigger("d")
    scene.command("cancel", run_id=run)
    scene.crash()
    assert (scene.armed, scene.world.waits) == ({}, {})


def test_a_process_of_a_cancelled_attempt_is_forgotten_after_a_kill(scene: Scene) -> None:
    """Its attempt is over, so nobody loses it: the row goes all the same, as the process has (I12)."""
    scene.dag("d", job("a", lane=Lane.SHELL), job("b", lane=Lane.PROCESS))
    run = scene.trigger("d")
    for pid, attempt in enumerate(scene.bodies, 100):
        scene.feed(ProcessStarted(attempt, pid, 1, "boot"))
    scene.command("cancel", run_id=run)
    assert len(scene._rows("SELECT * FROM process")) == 2
    scene.crash()
    assert scene._rows("SELECT * FROM process") == []
