"""A retry is the same instance with the same inputs, and each date has a budget of its own."""

from __future__ import annotations

from bide.runtime.schedules import Every
from tests.engine.declare import job
from tests.engine.scene import T0, Scene

DAY = 24 * 3600 * 1_000_000


def test_s3_16_a_retry_is_the_same_instance_date_and_inputs(scene: Scene) -> None:
    scene.dag("d", job("get"), job("load", "get", retries=1, kwargs={"rows": {"$out": "get"}}))
    run = scene.trigger("d", logical_us=T0 + DAY)
    scene.end("get", output=[1, 2])
    first = scene.bodies[scene.attempt("load")]
    meta = scene.world.runs[run].meta
    scene.fails("load")
    second = scene.bodies[scene.attempt("load")]
    assert (second.instance_id, second.run_id, second.task) == (first.instance_id, first.run_id, first.task)
    assert (first.number, second.number) == (1, 2)
    assert scene.world.runs[run].meta == meta
    assert meta.logical_us == T0 + DAY
    assert scene.attempts("load") == ["failed", "running"]


def test_s3_17_each_date_has_a_retry_budget_of_its_own(scene: Scene) -> None:
    scene.dag("d", job("load", retries=1), schedule=Every(days=1))
    one, other = (scene.trigger("d", logical_us=T0 + day * DAY) for day in (1, 2))
    scene.fails("load", run=one)
    scene.fails("load", run=one)
    assert scene.run_state(one) == "failed"
    scene.fails("load", run=other)
    assert scene.state("load", other) == "running", "the failures of another date are not counted"
    scene.end("load", run=other)
    assert (scene.run_state(one), scene.run_state(other)) == ("failed", "success")
