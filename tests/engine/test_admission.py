"""Who may start: slots, pools, caps, priorities, resumed work first; and that no wake-up is lost."""

from __future__ import annotations

from collections.abc import Callable

from tests.engine.declare import job, sensor
from tests.engine.scene import Scene

New = Callable[..., Scene]


def test_s0_8c_slots_bound_what_runs(new_scene: New) -> None:
    scene = new_scene(slots=2)
    scene.dag("d", *(job(f"t{n}") for n in range(5)))
    scene.trigger("d")
    assert scene.going == ["t0", "t1"]
    scene.end("t1")
    assert scene.going == ["t0", "t2"]
    while scene.going:
        scene.end(scene.going[0])
    assert scene.run_state() == "success"


def test_higher_priority_goes_first_and_age_decides_among_equals(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("now"), job("low"), job("also_low"), job("high", priority=5))
    scene.trigger("d")
    order = []
    while scene.going:
        order.append(scene.going[0])
        scene.end(scene.going[0])
    assert order == ["high", "now", "low", "also_low"] or order == ["now", "high", "low", "also_low"]


def test_b57_c13_resumed_work_goes_before_all_new_work(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("waits"), *(job(f"new{n}", priority=9) for n in range(3)))
    scene.trigger("d")
    while "waits" not in scene.going:
        scene.end(scene.going[0])
    scene.asks("waits", "w")
    scene.trigger("d")
    scene.fire("waits", run=1)
    scene.end("new0", run=2)
    assert scene.state("waits", run=1) == "running"
    assert scene.going == ["waits"]
    scene.end("waits", run=1)
    while scene.going:
        scene.end(scene.going[0])


def test_a_pool_bounds_what_executes_by_weight(new_scene: New) -> None:
    scene = new_scene(slots=10, pools={"db": (4, None)})
    scene.dag("d", *(job(f"t{n}", pool="db", slots=2) for n in range(4)))
    scene.trigger("d")
    assert (scene.going, scene.world.slots.used) == (["t0", "t1"], 2)
    scene.end("t0")
    assert scene.going == ["t1", "t2"]
    while scene.going:
        scene.end(scene.going[0])


def test_a_task_heavier_than_its_pool_runs_alone(new_scene: New) -> None:
    scene = new_scene(slots=10, pools={"db": (2, None)})
    scene.dag("d", job("small", pool="db"), job("big", pool="db", slots=5), job("small2", pool="db"))
    scene.trigger("d")
    scene.end("small")
    while scene.going:
        scene.end(scene.going[0])
    assert scene.run_state() == "success"


def test_d14_c14_in_flight_counts_those_that_wait(new_scene: New) -> None:
    scene = new_scene(slots=10, pools={"api": (None, 2)})
    scene.dag("d", *(sensor(f"s{n}", pool="api") for n in range(4)))
    scene.trigger("d")
    assert list(scene.states().values()) == ["deferred", "deferred", "ready", "ready"]
    scene.fire("s0")
    assert list(scene.states().values()) == ["success", "deferred", "deferred", "ready"]
    scene.fire("s2")
    scene.fire("s1")
    scene.fire("s3")
    assert scene.run_state() == "success"


def test_d14_a_sensor_woken_for_its_place_in_flight_needs_no_slot(new_scene: New) -> None:
    scene = new_scene(slots=1, pools={"api": (1, 2)})
    scene.dag("d", job("busy", pool="api"), sensor("s", pool="api"), sensor("t", pool="api"))
    scene.trigger("d")
    assert scene.states() == {"busy": "running", "s": "deferred", "t": "ready"}
    scene.fire("s")
    assert scene.states() == {"busy": "running", "s": "success", "t": "deferred"}
    scene.fire("t")
    scene.end("busy")


def test_d14_executing_counts_only_those_that_run(new_scene: New) -> None:
    scene = new_scene(slots=10, pools={"api": (1, None)})
    scene.dag("d", job("a", pool="api"), job("b", pool="api"))
    scene.trigger("d")
    scene.asks("a", "w")
    assert scene.states() == {"a": "deferred", "b": "running"}
    scene.fire("a")
    assert scene.states() == {"a": "ready", "b": "running"}
    scene.end("b", "a")


def test_d14_what_is_in_flight_stays_so_over_a_restart(new_scene: New) -> None:
    scene = new_scene(slots=10, pools={"api": (None, 2)})
    scene.dag("d", *(sensor(f"s{n}", pool="api") for n in range(4)))
    scene.trigger("d")
    scene.crash()
    assert list(scene.states().values()) == ["deferred", "deferred", "ready", "ready"]
    for n in range(4):
        scene.fire(f"s{n}")
    assert scene.run_state() == "success"


def test_c15_max_active_of_a_task_over_all_runs_with_waiting_tasks(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a", max_active=1))
    first, second = scene.trigger("d"), scene.trigger("d", new=True)
    assert (scene.state("a", first), scene.state("a", second)) == ("running", "ready")
    scene.asks("a", "w", run=first)
    assert (scene.state("a", first), scene.state("a", second)) == ("deferred", "running")
    scene.fire("a", run=first)
    assert scene.state("a", first) == "ready"
    scene.end("a", run=second)
    assert scene.state("a", first) == "running"
    scene.end("a", run=first)


def test_s0_8c_max_active_tasks_bounds_a_dag(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", *(job(f"t{n}") for n in range(4)), max_active_tasks=2)
    scene.dag("e", job("free"))
    scene.trigger("d")
    scene.trigger("e")
    assert scene.going == ["t0", "t1", "free"]
    while scene.going:
        scene.end(scene.going[0])


def test_max_active_runs_queues_the_others_in_order(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"), max_active_runs=1)
    runs = [scene.trigger("d") for _ in range(3)]
    assert [scene.run_state(run) for run in runs] == ["running", "queued", "queued"]
    scene.end("a")
    assert [scene.run_state(run) for run in runs] == ["success", "running", "queued"]
    scene.crash()
    assert [scene.run_state(run) for run in runs] == ["success", "running", "queued"]
    scene.end("a")
    scene.end("a")


def test_the_head_of_the_line_waits_for_its_slots_and_nobody_passes_it(new_scene: New) -> None:
    scene = new_scene(slots=3)
    scene.dag("d", job("a"), job("b"), job("big", slots=3, priority=-1), job("small", priority=-2))
    scene.trigger("d")
    assert scene.going == ["a", "b"]
    scene.end("a")
    assert scene.going == ["b"]
    scene.end("b")
    assert scene.going == ["big"]
    scene.end("big", "small")


def test_who_waits_for_a_pool_holds_up_nobody_else(new_scene: New) -> None:
    scene = new_scene(slots=10, pools={"db": (1, None)})
    scene.dag("d", job("x", pool="db"), job("y", pool="db", priority=9), job("free", priority=-9))
    scene.trigger("d")
    assert sorted(scene.going) == ["free", "y"] or sorted(scene.going) == ["free", "x"]
    while scene.going:
        scene.end(scene.going[0])
    assert scene.run_state() == "success"


def test_a_wake_up_is_not_lost_when_who_was_woken_is_cancelled(new_scene: New) -> None:
    scene = new_scene(slots=2, pools={"db": (1, None)})
    scene.dag("holds", job("holder", pool="db"))
    scene.dag("fills", job("filler"))
    scene.dag("d", job("x", pool="db"))
    scene.trigger("holds")
    scene.trigger("fills")
    first, second = scene.trigger("d"), scene.trigger("d")
    scene.trigger("fills")
    scene.dag("high", job("urgent", priority=9))
    scene.trigger("high")
    scene.end("holder")
    assert sorted(scene.going) == ["filler", "urgent"]
    scene.command("cancel", run_id=first)
    scene.end("urgent")
    scene.end("filler")
    while scene.going:
        scene.end(scene.going[0])
    assert scene.run_state(second) == "success"


def test_a_pool_is_given_back_by_who_took_it_though_the_dag_was_loaded_anew(new_scene: New) -> None:
    scene = new_scene(slots=10, pools={"db": (2, None)})
    scene.dag("d", job("a", pool="db"))
    scene.trigger("d")
    scene.dag("d", job("a"))
    scene.end("a")
    assert scene.world.pools["db"][0].used == 0
    scene.trigger("d")
    scene.dag("d", job("a", pool="db"))
    scene.end("a")
    assert scene.world.pools["db"][0].used == 0


def test_a_retry_keeps_its_place_in_flight(new_scene: New) -> None:
    scene = new_scene(slots=10, pools={"api": (None, 1)})
    scene.dag("d", job("a", pool="api", retries=1, delay=60), job("b", pool="api"))
    scene.trigger("d")
    scene.fails("a")
    assert scene.states() == {"a": "up_for_retry", "b": "ready"}
    scene.crash()
    assert scene.states() == {"a": "up_for_retry", "b": "ready"}
    scene.advance(60)
    scene.end("a", "b")


def test_a_paused_dag_starts_nothing_though_its_tasks_stood_in_the_queue(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("a"), job("b"))
    scene.dag("e", job("x"))
    scene.trigger("d")
    scene.trigger("e")
    scene.command("pause", dag="d")
    scene.end("a")
    assert scene.going == ["x"]
    scene.end("x")
    assert scene.going == []
    scene.command("unpause", dag="d")
    scene.end("b")
    assert scene.run_state(1) == "success"
