"""Mapped tasks: expanded at run time, counted, rerun and marked by index, kept over a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bide.runtime.engine.messages import Command, Expand, ExpandFailed, Failure, OutputChanged, WaitFired
from bide.runtime.errors import NotFoundError, RefusedError
from bide.runtime.store import invariants
from bide.triggers.external_task import ExternalTaskTrigger
from tests.engine.declare import job, mapped, seconds, sensor
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


def started(scene: Scene, items: list[Any], *below: Any, **fields: Any) -> int:
    """A run of ls -> load, whose list is known."""
    scene.dag("d", job("ls"), mapped("load", over="ls", **fields), *below)
    run = scene.trigger("d")
    scene.end("ls", output=items)
    return run


def end_all(scene: Scene) -> None:
    while scene.bodies:
        scene.end(scene.going[0])


def test_s0_25_it_becomes_one_instance_an_item_and_ends_with_the_last(scene: Scene) -> None:
    started(scene, ["a", "b", "c"], job("report", "load"))
    assert scene.states() == {
        "ls": "success", "load": "mapped", "report": "pending",
        "load[0]": "running", "load[1]": "running", "load[2]": "running",
    }  # fmt: skip
    assert scene.reason("load") == "3 instances"
    scene.end("load[1]", "load[0]")
    assert scene.state("load") == "mapped"
    scene.end("load[2]")
    assert (scene.state("load"), scene.going) == ("success", ["report"])
    scene.end("report")
    assert scene.run_state() == "success"


def test_s0_23_shards_are_so_many_items_an_instance(scene: Scene) -> None:
    started(scene, list(range(250)), shard=100)
    assert scene.going == ["load[0]", "load[1]", "load[2]"]


def test_an_empty_list_is_a_skip(scene: Scene) -> None:
    started(scene, [], job("report", "load"), job("always", "load", rule="all_done"))
    assert scene.states() == {"ls": "success", "load": "skipped", "report": "skipped", "always": "running"}
    assert scene.reason("load") == "there is nothing to map over: the list is empty"


@pytest.mark.parametrize(
    ("ends", "state", "reason"),
    [
        (["success", "skipped", "success"], "success", ""),
        (["success", "failed", "skipped"], "failed", "1 of 3 instances failed"),
        (["skipped", "skipped", "skipped"], "skipped", "all of its 3 instances were skipped"),
        (["success", "cancelled", "success"], "cancelled", "1 of 3 instances were cancelled"),
    ],
)
def test_how_it_ends_by_how_its_instances_do(scene: Scene, ends: list[str], state: str, reason: str) -> None:
    started(scene, [1, 2, 3], job("report", "load"))
    for index, end in enumerate(ends):
        if end == "success":
            scene.end(f"load[{index}]")
        else:
            scene.fails(f"load[{index}]", "so", state=end)
    assert (scene.state("load"), scene.reason("load")) == (state, reason)
    below = {"success": "running", "skipped": "skipped"}.get(state, "upstream_failed")
    assert scene.state("report") == below


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"a": 1}, "is mapped over the output of 'ls', which is a dict, not a list"),
        (
            [0] * 11,
            "would become 11 instances, and the limit is 10: give each a list of items with map(..., shard=2)",
        ),
    ],
)
def test_c71_what_cannot_be_mapped_over_fails_the_task(scene: Scene, output: Any, said: str) -> None:
    started(scene, output, limit=10)
    assert scene.state("load") == "failed"
    assert said in scene.reason("load")
    assert scene.run_state() == "failed"


def test_an_instance_is_retried_by_itself(scene: Scene) -> None:
    started(scene, [1, 2], retries=1)
    scene.fails("load[1]")
    scene.fails("load[1]", "again")
    scene.end("load[0]")
    assert (scene.attempts("load[1]"), scene.attempts("load[0]")) == (["failed", "failed"], ["success"])
    assert scene.reason("load") == "1 of 2 instances failed"


@pytest.mark.parametrize("dags", [1, 2])
def test_c72_c15_max_active_holds_over_the_instances_of_a_task(scene: Scene, dags: int) -> None:
    scene.dag("d", mapped("load", over=list(range(6)), max_active=2))
    for _ in range(dags):
        scene.trigger("d")
    for _ in range(6 * dags):
        assert len(scene.going) <= 2
        scene.end(scene.going[0])
    assert {state for _, state in scene.runs()} == {"success"}


def test_c72_it_holds_while_instances_wait_and_come_back(scene: Scene) -> None:
    scene.dag("d", mapped("load", over=[0, 1, 2], max_active=1))
    scene.trigger("d")
    scene.asks("load[0]", "k")
    assert scene.going == ["load[0]", "load[1]"]
    assert scene.states()["load[0]"] == "deferred"
    scene.fire("load", key="k")
    assert scene.states()["load[0]"] == "ready", "it waits for the one that runs now"
    scene.end("load[1]")
    assert (scene.states()["load[0]"], scene.states()["load[2]"]) == ("running", "ready")


def test_pools_hold_over_instances(new_scene: New) -> None:
    scene = new_scene(pools={"db": (2, None)}, slots=8)
    scene.dag("d", mapped("load", over=list(range(5)), pool="db"))
    scene.trigger("d")
    assert len(scene.going) == 2


def test_c71_it_is_made_in_slices_and_no_turn_is_long(new_scene: New) -> None:
    scene = new_scene(budget=50)
    scene.checking = False
    scene.dag("d", mapped("load", over=[0] * 1000))
    scene.trigger("d")
    assert scene.turns > 20
    assert len(scene.states()) == 1001


def test_c71_of_a_long_list_only_a_window_wants_a_slot_at_a_time(new_scene: New) -> None:
    scene = new_scene(window=10, slots=2)
    scene.dag("d", mapped("load", over=[0] * 100))
    scene.trigger("d")
    seen = set()
    while scene.bodies:
        seen.add(len(scene.world.instances))
        scene.end(scene.going[0])
    assert max(seen) <= 13
    assert scene.run_state() == "success"
    assert len(scene.states()) == 101


def test_instances_that_wait_for_the_world_keep_no_other_from_being_made(new_scene: New) -> None:
    scene = new_scene(window=4, slots=2)
    scene.dag("d", mapped("load", over=[0] * 30))
    scene.trigger("d")
    for n in range(30):
        scene.asks(f"load[{n}]", f"k{n}")
    assert len(scene.armed) == 30
    scene.crash()
    assert len(scene.armed) == 30


def test_one_that_is_not_made_yet_is_not_rerun(new_scene: New) -> None:
    scene = new_scene(window=4, slots=1)
    scene.dag("d", mapped("load", over=[0] * 30))
    run = scene.trigger("d")
    scene.fails("load[0]")
    with pytest.raises(RefusedError, match=r"load\[29\] of run 1 is still to be made"):
        scene.command("rerun", run_id=run, task="load", map_index=29)
    scene.command("rerun", run_id=run, task="load", map_index=0)
    scene.fails("load[1]")
    scene.command("rerun", run_id=run)
    end_all(scene)
    assert (scene.run_state(), len(scene.states())) == ("success", 31)


def test_an_end_of_an_instance_costs_the_same_however_many_there_are(new_scene: New) -> None:
    scene = new_scene()
    scene.checking = False
    scene.dag("d", mapped("load", over=[0] * 3000))
    scene.trigger("d")
    before = len(scene.world.instances)
    scene.end(scene.going[0])
    assert len(scene.world.instances) == before - 1, "what is over is not kept"
    rows = scene._rows(
        "SELECT count(*) FROM event WHERE at_us = ? AND seq > (SELECT max(seq) - 8 FROM event)", scene.now
    )
    assert rows[0][0] <= 8


@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5, 6])
def test_s0_25_a_crash_while_it_is_made_goes_on_exactly(new_scene: New, turns: int) -> None:
    scene = new_scene(budget=3)
    scene.dag("d", job("ls"), mapped("load", over="ls"), job("report", "load"))
    scene.trigger("d")
    attempt = scene.attempt("ls")
    scene.crash_after(turns, scene.ended(attempt, output=b"[1,2,3,4,5,6,7]"))
    end_all(scene)
    assert [name for name in scene.states() if name.startswith("load[")] == [f"load[{n}]" for n in range(7)]
    assert scene.run_state() == "success"


def test_a_crash_with_instances_that_run_starts_those_again(scene: Scene) -> None:
    started(scene, [1, 2, 3])
    scene.end("load[1]")
    scene.crash()
    assert sorted(scene.going) == ["load[0]", "load[2]"]
    assert scene.attempts("load[0]") == ["lost", "running"]
    end_all(scene)
    assert scene.run_state() == "success"


def test_a_list_that_is_found_too_late_changes_nothing(scene: Scene) -> None:
    scene.expanding = False
    run = started(scene, [1])
    [order] = scene.expands.values()
    scene.command("cancel", run_id=run)
    scene.feed(scene.expansion_of(order), ExpandFailed(order.instance_id, Failure("late"), order.ticket))
    assert scene.states() == {"ls": "success", "load": "cancelled"}


def test_a_list_that_was_asked_for_before_a_rerun_is_not_taken(scene: Scene) -> None:
    scene.expanding = False
    run = started(scene, [1, 2])
    [old] = scene.expands.values()
    late = scene.expansion_of(old)
    scene.command("mark", run_id=run, task="load", state="failed")
    scene.command("rerun", run_id=run, whole=True)
    scene.end("ls", output=[1, 2, 3])
    scene.feed(late)
    assert scene.state("load") == "ready"
    [new] = scene.expands.values()
    scene.feed(scene.expansion_of(new))
    assert len(scene.going) == 3


def test_cancel_reaches_every_instance(scene: Scene) -> None:
    run = started(scene, list(range(10)))
    scene.command("cancel", run_id=run)
    assert {state for name, state in scene.states().items() if "load" in name} == {"cancelled"}
    assert len(scene.stops) == 4
    for name in list(scene.going):
        scene.stopped(name)


# --- rerun and mark ------------------------------------------------------------------------------


def failed_run(scene: Scene, **fields: Any) -> int:
    """load has 4 instances, of which [1] and [3] failed."""
    run = started(scene, [0, 1, 2, 3], job("report", "load"), **fields)
    scene.end("load[0]", "load[2]")
    scene.fails("load[1]")
    scene.fails("load[3]")
    assert scene.run_state() == "failed"
    return run


def test_s3_15_a_rerun_runs_the_instances_that_failed_and_no_other(scene: Scene) -> None:
    run = failed_run(scene)
    scene.command("rerun", run_id=run)
    assert scene.going == ["load[1]", "load[3]"]
    assert (scene.state("load"), scene.state("report")) == ("mapped", "pending")
    scene.end("load[1]", "load[3]", "report")
    assert scene.run_state() == "success"
    assert scene.attempts("load[1]") == ["failed", "success"]
    assert scene.attempts("load[0]") == ["success"]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_crash_in_the_middle_of_that_leaves_none_out(new_scene: New, turns: int) -> None:
    scene = new_scene(budget=2)
    run = failed_run(scene)
    scene.crash_after(turns, Command(99, "rerun", {"run_id": run}))
    if turns <= 2:  # it wanted facts, twice, and was not decided
        scene.command("rerun", run_id=run)
    end_all(scene)
    assert scene.run_state() == "success"
    assert [len(scene.attempts(f"load[{n}]")) for n in (0, 2)] == [1, 1]


def test_a_rerun_of_one_instance_by_its_index(scene: Scene) -> None:
    run = failed_run(scene)
    scene.command("rerun", run_id=run, task="load", map_index=3)
    assert scene.going == ["load[3]"]
    scene.end("load[3]")
    assert scene.reason("load") == "1 of 4 instances failed"
    scene.command("rerun", run_id=run, task="load", map_index=0)
    scene.end("load[0]")
    assert scene.attempts("load[0]") == ["success", "success"]


def test_one_that_has_not_ended_or_is_not_there_is_not_rerun(scene: Scene) -> None:
    run = started(scene, [0, 1])
    with pytest.raises(RefusedError, match=r"load\[1\] has not ended: it is running"):
        scene.command("rerun", run_id=run, task="load", map_index=1)
    with pytest.raises(NotFoundError, match=r"has 2 instances, \[0\] to \[1\], and no \[7\]"):
        scene.command("rerun", run_id=run, task="load", map_index=7)
    with pytest.raises(NotFoundError, match="'ls' of run 1 is not mapped: leave the index 0 out"):
        scene.command("rerun", run_id=run, task="ls", map_index=0)


def test_those_that_failed_are_rerun_while_others_run_on(scene: Scene) -> None:
    run = started(scene, [0, 1, 2])
    scene.fails("load[0]")
    scene.command("rerun", run_id=run)
    assert sorted(scene.going) == ["load[0]", "load[1]", "load[2]"]
    end_all(scene)
    assert scene.run_state() == "success"


def test_one_that_is_lost_waits_for_a_person_and_so_does_the_whole(scene: Scene) -> None:
    run = started(scene, [0, 1], idempotent=False)
    scene.end("load[1]")
    scene.crash()
    assert (scene.states()["load[0]"], scene.state("load")) == ("lost", "mapped")
    scene.command("rerun", run_id=run, task="load", map_index=0)
    scene.end("load[0]")
    assert scene.run_state() == "success"


@pytest.mark.parametrize("now", [[7], [7, 8, 9, 10, 11, 12]])
def test_s0_25_only_a_rerun_of_what_made_the_list_expands_it_anew(scene: Scene, now: list[int]) -> None:
    run = failed_run(scene)
    scene.command("rerun", run_id=run, task="ls", downstream=True)
    assert scene.state("load") == "pending"
    scene.end("ls", output=now)
    assert sorted(scene.going) == [f"load[{n}]" for n in range(len(now))][:4]
    end_all(scene)
    assert scene.run_state() == "success"
    aside = {name: state for name, state in scene.states().items() if state == "skipped"}
    assert list(aside) == [f"load[{n}]" for n in range(len(now), 4)]
    if aside:
        assert scene.reason("load[3]") == "the list has 1 items by now"


@pytest.mark.parametrize("turns", range(1, 8))
def test_a_crash_while_it_is_expanded_anew_goes_on_exactly(new_scene: New, turns: int) -> None:
    scene = new_scene(budget=2)
    run = failed_run(scene)
    scene.command("rerun", run_id=run, whole=True)
    attempt = scene.attempt("ls")
    scene.crash_after(turns, scene.ended(attempt, output=b"[7,8]"))
    end_all(scene)
    assert scene.run_state() == "success"
    states = scene.states()
    assert [states[f"load[{n}]"] for n in range(4)] == ["success", "success", "skipped", "skipped"]


def test_a_list_that_is_empty_by_now_puts_all_aside(scene: Scene) -> None:
    run = failed_run(scene)
    scene.command("rerun", run_id=run, task="ls", downstream=True)
    scene.end("ls", output=[])
    assert set(scene.states().values()) == {"success", "skipped"}
    assert scene.state("load") == "skipped"


def test_a_rerun_of_a_task_that_succeeded_runs_all_of_it(scene: Scene) -> None:
    run = started(scene, [0, 1])
    end_all(scene)
    scene.command("rerun", run_id=run, task="load")
    assert scene.going == ["load[0]", "load[1]"]
    end_all(scene)
    assert scene.attempts("load[0]") == ["success", "success"]


def test_a_run_that_was_cancelled_half_made_is_made_whole_by_a_rerun(new_scene: New) -> None:
    scene = new_scene(budget=2, slots=1)
    scene.checking = False
    scene.dag("d", mapped("load", over=list(range(9))))
    scene.turn(Command(1, "trigger", {"dag": "d", "params": {}}))
    for _ in range(4):
        scene.turn(*(scene.expansion_of(e) for e in scene.effects if isinstance(e, Expand)))
    run = scene.runs()[0][0]
    made = len(scene.states()) - 1
    scene.command("cancel", run_id=run)
    assert made < 9, scene.states()
    for name in list(scene.going):
        scene.stopped(name)
    scene.command("rerun", run_id=run)
    end_all(scene)
    assert scene.run_state(run) == "success"
    assert len(scene.states()) == 10


def test_an_instance_is_marked_and_its_task_ends_by_that(scene: Scene) -> None:
    run = failed_run(scene)
    scene.command("mark", run_id=run, task="load", map_index=1, state="success")
    assert (scene.state("load"), scene.run_state()) == ("failed", "failed")
    assert scene.reason("load") == "1 of 4 instances failed"
    scene.command("mark", run_id=run, task="load", map_index=3, state="skipped")
    assert (scene.state("load"), scene.state("report")) == ("success", "running")
    scene.end("report")
    assert scene.run_state() == "success"
    with pytest.raises(RefusedError, match=r"load\[3\] of run 1 is skipped already"):
        scene.command("mark", run_id=run, task="load", map_index=3, state="skipped")


def test_a_mark_of_one_that_runs_tells_it_to_stop(scene: Scene) -> None:
    run = started(scene, [0, 1])
    scene.command("mark", run_id=run, task="load", map_index=0, state="success")
    assert (scene.states()["load[0]"], scene.state("load")) == ("success", "mapped")
    scene.stopped("load[0]")
    scene.end("load[1]")
    assert scene.run_state() == "success"


def test_one_marked_while_the_others_run_is_counted_anew(scene: Scene) -> None:
    run = started(scene, [0, 1])
    scene.fails("load[0]")
    scene.command("mark", run_id=run, task="load", map_index=0, state="success")
    scene.end("load[1]")
    assert scene.run_state() == "success"


def test_a_mark_of_the_whole_marks_what_has_not_ended(scene: Scene) -> None:
    run = started(scene, [0, 1, 2], job("report", "load"))
    scene.fails("load[1]")
    scene.command("mark", run_id=run, task="load", state="success")
    states = scene.states()
    assert [states[f"load[{n}]"] for n in range(3)] == ["success", "failed", "success"]
    assert (states["load"], states["report"]) == ("success", "running")
    for name in ("load[0]", "load[2]"):
        scene.stopped(name)
    scene.end("report")


def test_a_body_that_has_not_stopped_keeps_the_rerun_of_its_instance_back(scene: Scene) -> None:
    run = started(scene, [0, 1])
    scene.command("mark", run_id=run, task="load", map_index=0, state="failed")
    scene.command("rerun", run_id=run, task="load", map_index=0)
    assert scene.going == ["load[0]", "load[1]"]
    assert scene.reason("load[0]") == "its former attempt has not stopped yet"
    scene.stopped("load[0]")
    assert scene.attempts("load[0]") == ["cancelled", "running"]


def test_what_it_returned_is_read_anew_after_a_rerun(scene: Scene) -> None:
    started(scene, [0])
    scene.end("load[0]", output=1)
    assert [each for each in scene.effects if isinstance(each, OutputChanged)] == [OutputChanged(1, "load")]


def test_a_pause_holds_instances_and_their_waits(scene: Scene) -> None:
    started(scene, [0, 1], deadline=100)
    scene.asks("load[0]", "k", timeout=50)
    scene.command("pause", dag="d")
    assert not scene.armed
    scene.advance(1000)
    scene.command("unpause", dag="d")
    assert scene.states()["load[0]"] == "deferred"
    scene.feed(WaitFired(scene.wait_of("load", key="k"), b"1"))
    assert scene.states()["load[0]"] == "running"
    end_all(scene)
    assert scene.run_state() == "success"


def test_the_deadline_of_a_mapped_task_is_that_of_each_instance(scene: Scene) -> None:
    started(scene, [0, 1], deadline=100)
    scene.end("load[1]")
    scene.advance(101)
    assert "its deadline passed" in scene.reason("load[0]")
    assert scene.reason("load") == "1 of 2 instances failed"
    scene.stopped("load[0]")


def test_mapped_over_what_a_mapped_task_returned(scene: Scene) -> None:
    scene.dag("d", mapped("a", over=[0, 1]), mapped("b", over="a"))
    scene.trigger("d")
    scene.end("a[1]", output="one")
    scene.end("a[0]", output="zero")
    assert scene.going == ["b[0]", "b[1]"]
    rows = scene._rows("SELECT value FROM manifest ORDER BY instance_id")
    assert rows == [("{}",), ('{"item":["zero","one"]}',)]


def test_one_whose_upstream_runs_again_is_not_rerun_before_that(scene: Scene) -> None:
    run = started(scene, [0])
    scene.fails("load[0]")
    scene.command("rerun", run_id=run, task="ls")
    assert scene.state("load") == "pending", "it failed, and what it is mapped over is made anew"
    scene.end("ls", output=[0])
    scene.end("load[0]")
    scene.command("rerun", run_id=run, task="ls")
    assert scene.state("load") == "success"
    with pytest.raises(
        RefusedError, match="the task 'load' of run 1 stands after ls, which goes on: wait for"
    ):
        scene.command("rerun", run_id=run, task="load", map_index=0)
    scene.end("ls", output=[0])
    scene.command("rerun", run_id=run, task="load", map_index=0)
    end_all(scene)


# --- others that look at it ----------------------------------------------------------------------


def test_who_waits_for_it_from_outside_hears_of_the_whole(scene: Scene) -> None:
    trigger = ExternalTaskTrigger(dag="d", task="load", logical_us=T0)
    scene.dag("d", mapped("load", over=[0, 1], idempotent=False))
    scene.dag("w", sensor("wait", waits_for=trigger))
    scene.trigger("d", logical_us=T0)
    watching = scene.trigger("w")
    scene.end("load[0]")
    assert scene.state("wait", watching) == "deferred"
    scene.crash()
    assert scene.states(1)["load[1]"] == "lost"
    assert scene.state("wait", watching) == "deferred"
    scene.command("mark", run_id=1, task="load", map_index=1, state="success")
    assert scene.run_state(watching) == "success"
    later = scene.trigger("w", new=True)
    assert scene.run_state(later) == "success", "what is over counts as well"


def test_its_outlets_get_one_version_when_all_of_it_has_succeeded(scene: Scene) -> None:
    scene.dag("d", mapped("load", over=[0, 1], outlets=("orders",)))
    scene.trigger("d")
    scene.end("load[0]")
    assert scene._rows("SELECT count(*) FROM asset_version") == [(0,)]
    scene.end("load[1]")
    assert scene._rows("SELECT count(*) FROM asset_version") == [(1,)]


def test_it_asks_its_past_once_as_a_whole(scene: Scene) -> None:
    scene.dag("d", mapped("load", over=[0, 1], depends_on_past=True))
    scene.trigger("d", logical_us=T0)
    second = scene.trigger("d", logical_us=T0 + seconds(60))
    assert scene.state("load", second) == "pending"
    scene.end("load[0]")
    assert scene.state("load", second) == "pending"
    scene.end("load[1]")
    assert scene.state("load", second) == "mapped"
    end_all(scene)


def test_an_instance_that_cuts_what_stands_below_cuts_nothing_of_its_task(scene: Scene) -> None:
    started(scene, [0, 1], job("report", "load"))
    scene.feed(scene.ended(scene.attempt("load[0]"), "skipped", failure=Failure("none"), cuts=True))
    scene.end("load[1]")
    assert scene.state("report") == "running"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            "UPDATE task_instance SET state = 'success' WHERE task = 'load' AND map_index = -1",
            "and its instance 3 is",
        ),
        ("DELETE FROM manifest", "it is not written over what"),
        (
            "UPDATE task_instance SET state = 'success' WHERE map_index >= 0",
            "nothing of it is left to wait for",
        ),
    ],
)
def test_i2_a_damaged_mapped_task_is_found(new_scene: New, damage: str, says: str) -> None:
    scene = new_scene()
    started(scene, [0, 1])
    conn = scene.store._raw
    assert invariants.check(conn) == []
    conn.execute("BEGIN")
    conn.execute(damage)
    assert any(found.id == "I2" and says in found.sentence for found in invariants.check(conn))
    conn.execute("ROLLBACK")
