"""Firings, missed ones, clock steps; and what a DAG that is loaded anew does to both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bide.runtime.clock import DAY, HOUR, SECOND
from bide.runtime.engine.messages import DagRemoved
from bide.runtime.schedules import Cron, Every
from tests.engine.declare import job, sensor
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


@pytest.fixture
def scene(new_scene: New) -> Scene:
    """A second past the hour: what fires at the load itself is a test of its own."""
    return new_scene(now=T0 + SECOND)


def drain(scene: Scene) -> None:
    while scene.going:
        scene.end(scene.going[0])


def logical(scene: Scene) -> list[float]:
    """The logical dates of all runs, in hours from T0."""
    return [(us - T0) / HOUR for (us,) in scene._rows("SELECT logical_us FROM run ORDER BY run_id")]


def test_a_schedule_fires_once_a_tick_for_the_interval_before(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=Cron("0 * * * *"))
    for _ in range(4):
        scene.advance(3600)
        drain(scene)
    assert logical(scene) == [0, 1, 2, 3]


@pytest.mark.parametrize(("catchup", "wanted"), [("latest", [4]), ("all", [0, 1, 2, 3, 4]), ("none", [])])
def test_missed_firings_are_judged_by_catchup(scene: Scene, catchup: str, wanted: list[float]) -> None:
    scene.dag("d", job("a"), schedule=Cron("0 * * * *"), catchup=catchup)
    scene.crash(down=5.5 * 3600)
    assert logical(scene) == wanted
    drain(scene)
    scene.advance(3600)
    assert logical(scene) == [*wanted, 5]
    drain(scene)
    if catchup != "all":
        assert any(now == "skipped" and "missed" in reason for now, reason in scene.said("dag"))


def test_start_and_end_bound_the_firings(scene: Scene) -> None:
    scene.dag(
        "d", job("a"), schedule=Cron("0 * * * *"), start_us=T0 + 2 * HOUR, end_us=T0 + 5 * HOUR, catchup="all"
    )
    for _ in range(9):
        scene.advance(3600)
        drain(scene)
    assert logical(scene) == [1, 2, 3]


def test_a_tick_that_has_a_run_makes_no_second_one(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=Cron("0 * * * *"))
    scene.advance(3600)
    drain(scene)
    scene.crash(down=-0)
    assert logical(scene) == [0]


def test_one_missed_firing_in_ten_years_of_minutes_is_found_without_stepping(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=Cron("* * * * *"))
    scene.sleep(3652 * 86400)
    scene.feed()
    assert len(scene.runs()) == 1
    drain(scene)


def test_p9_a_step_back_repeats_no_firing(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=Cron("0 * * * *"))
    scene.advance(2 * 3600)
    drain(scene)
    dates = logical(scene)
    scene.step_clock(-7200)
    for _ in range(4):
        scene.advance(1800)
        drain(scene)
    assert logical(scene) == dates
    scene.advance(3600)
    drain(scene)
    assert len(logical(scene)) == len(dates) + 1
    assert any("-7200" in reason for _, reason in scene.said("clock"))


def test_p9_a_step_forward_moves_deadlines_with_it(scene: Scene) -> None:
    scene.dag(
        "d",
        job("a", deadline=100),
        sensor("s", timeout=100),
        job("r", retries=1, delay=50),
        deadline_us=10**8,
    )
    scene.trigger("d")
    scene.fails("r")
    scene.step_clock(3600)
    assert scene.states() == {"a": "running", "s": "deferred", "r": "up_for_retry"}
    scene.advance(50)
    assert scene.state("r") == "running"
    scene.advance(50)
    assert scene.states()["s"] == "failed"
    while scene.going:
        (scene.stopped if scene.attempt(scene.going[0]) in scene.stops else scene.end)(scene.going[0])


@pytest.mark.parametrize("step", [3600, -3600, 86400, -86400])
def test_p9_active_time_is_elapsed_time_whatever_the_wall_clock_does(scene: Scene, step: float) -> None:
    scene.dag("d", job("a", timeout=100))
    scene.trigger("d")
    scene.advance(40)
    scene.step_clock(step)
    scene.asks("a", "w", timeout=500)
    scene.advance(20)
    scene.fire("a")
    scene.advance(59)
    assert scene.stops == {}
    scene.advance(1)
    assert len(scene.stops) == 1
    scene.stopped("a")


def test_a_run_stays_on_the_graph_it_was_born_with(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"))
    first = scene.trigger("d")
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"))
    second = scene.trigger("d")
    scene.crash()
    assert (list(scene.states(first)), list(scene.states(second))) == (["a", "b"], ["a", "b", "c"])
    while scene.going:
        scene.end(scene.going[0])
    assert [state for _, state in scene.runs()] == ["success", "success"]


def test_a_graph_that_comes_back_is_the_old_version(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.dag("d", job("b"))
    scene.dag("d", job("a"))
    assert scene._rows("SELECT count(*) FROM dag_version") == [(2,)]
    scene.trigger("d")
    scene.end("a")


def test_the_anchor_of_every_is_kept_from_the_first_load(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=Every(timedelta(hours=6)))
    scene.advance(0)
    drain(scene)
    scene.crash(down=2 * 3600)
    scene.dag("d", job("a"), job("b"), schedule=Every(timedelta(hours=6)))
    scene.advance(4 * 3600)
    drain(scene)
    assert logical(scene) == [-6 + 1 / 3600, 1 / 3600]


def test_a_new_schedule_goes_on_from_the_last_firing(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=Cron("0 * * * *"))
    scene.advance(3600)
    drain(scene)
    scene.dag("d", job("a"), schedule=Cron("30 * * * *"))
    scene.advance(1800)
    drain(scene)
    assert len(scene.runs()) == 2


def test_a_suspended_machine_judges_what_passed_in_due_order(scene: Scene) -> None:
    scene.dag("d", sensor("late", timeout=300), sensor("early", timeout=100), job("r", retries=1, delay=30))
    scene.trigger("d")
    scene.fails("r")
    scene.sleep(DAY / SECOND)
    scene.feed()
    assert scene.state("r") == "running"
    assert [look.task for look in scene.looks.values()] == ["early", "late"]
    scene.looked("early")
    scene.looked("late")
    scene.end("r")


@pytest.mark.parametrize(("catchup", "runs"), [("latest", 2), ("all", 6), ("none", 1)])
def test_a_dag_whose_code_is_not_loaded_is_not_fired_until_it_is(
    scene: Scene, catchup: str, runs: int
) -> None:
    """Another runtime holds the database, without it: what is due stays due."""
    scene.dag("d", job("a"), schedule=Every(hours=1), catchup=catchup)
    scene.advance(0)
    scene.end("a")
    declared = scene.dags.pop("d")
    scene.crash(down=1800)
    scene.advance(4 * 3600)
    scene.feed(DagRemoved("d", "its file is broken", gone=False))
    scene.advance(3600)
    assert len(scene.runs()) == 1
    scene.feed(declared)
    assert len(scene.runs()) == runs
    scene.advance(3600)
    assert len(scene.runs()) == runs + 1
    while scene.going:
        scene.end(scene.going[0])
