"""Waits for several runs of another DAG, which cover an interval together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bide import Every
from bide.runtime.clock import from_us
from bide.triggers.external_task import ExternalTaskTrigger
from tests.engine.declare import HOUR_US, job, sensor
from tests.engine.scene import T0, Scene

FAR = T0 + 10_000 * HOUR_US


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db", slots=50)
    made.dag("hourly", job("t"), schedule=Every(hours=1, anchor=from_us(T0)), start_us=FAR, max_active_runs=9)
    yield made
    made.close()


def hour(scene: Scene, of: int) -> int:
    return scene.trigger("hourly", logical_us=T0 + of * HOUR_US, new=True)


def three(task: str | None = "t") -> ExternalTaskTrigger:
    return ExternalTaskTrigger(dag="hourly", task=task, logical_us=T0, until_us=T0 + 3 * HOUR_US)


@pytest.mark.parametrize("task", ["t", None])
@pytest.mark.parametrize("mode", ["deferred", "poke"])
def test_s3_24_b33_a_sensor_waits_for_all_runs_of_its_interval(
    scene: Scene, task: str | None, mode: str
) -> None:
    hour(scene, 0)
    scene.end("t")
    scene.dag("d", sensor("w", waits_for=three(task), mode=mode))
    run = scene.trigger("d")
    for each in (2, 5):
        hour(scene, each)
        scene.end("t")
    assert scene.state("w", run) in ("deferred", "running")
    scene.crash()
    hour(scene, 1)
    scene.end("t")
    assert scene.state("w", run) == "success"
    assert scene.world.covering == {}


def test_b5_one_of_them_that_fails_fails_the_wait_at_once(scene: Scene) -> None:
    scene.dag("d", sensor("w", waits_for=three()))
    run = scene.trigger("d")
    hour(scene, 1)
    scene.fails("t", final=True)
    assert scene.state("w", run) == "failed"
    assert scene.reason("w", run) == "hourly.t for 2026-01-01T01:00:00+00:00 is failed"


def test_of_a_date_that_was_run_twice_the_newest_run_counts(scene: Scene) -> None:
    for each in range(3):
        hour(scene, each)
        scene.end("t")
    again = hour(scene, 1)
    scene.dag("d", sensor("w", waits_for=three()))
    run = scene.trigger("d")
    assert scene.state("w", run) == "deferred"
    scene.end("t", run=again)
    assert scene.state("w", run) == "success"


def test_a_pause_rests_it_and_a_cancel_takes_it_away(scene: Scene) -> None:
    scene.dag("d", sensor("w", waits_for=three()))
    run = scene.trigger("d")
    scene.command("pause", dag="d")
    assert scene.world.covering == {}
    for each in range(2):
        hour(scene, each)
        scene.end("t")
    scene.command("unpause", dag="d")
    assert scene.state("w", run) == "deferred"
    scene.command("cancel", run_id=run)
    assert scene.world.covering == {}
