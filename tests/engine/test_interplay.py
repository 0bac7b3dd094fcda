"""What several features do together: each pair here was broken once, or could be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.runtime.engine import commands
from bide.runtime.engine.world import Run
from bide.runtime.errors import RefusedError
from bide.runtime.schedules import Every
from tests.engine.declare import job
from tests.engine.scene import T0, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db")
    yield made
    made.close()


CLUSTER = (
    job("up", setup=True),
    job("work", "up"),
    job("down", "up", "work", rule="all_done", teardown=True, setups=("up",)),
)


@pytest.mark.parametrize("verb", ["backfill_cancel", "cancel"])
def test_the_tear_downs_of_a_cancelled_run_of_a_paused_backfill_start(scene: Scene, verb: str) -> None:
    scene.dag("d", *CLUSTER)
    b = scene.backfill("d", 1)
    scene.end("up")
    scene.command("backfill_pause", backfill_id=b)
    scene.end("work")
    assert scene.going == [], "a paused backfill starts nothing"
    scene.command(verb, **({"backfill_id": b} if verb == "backfill_cancel" else {"run_id": 1}))
    assert scene.going == ["down"]
    scene.end("down")
    assert scene.run_state() == "cancelled"


def test_a_firing_that_cancels_the_run_before_leaves_its_tear_downs_alone(scene: Scene) -> None:
    scene.dag("d", *CLUSTER, schedule=Every(seconds=60), overlap="cancel_running", max_active_runs=1)
    scene.advance(60)
    run = scene.runs()[-1][0]
    scene.end("up", run=run)
    scene.advance(60)
    scene.stopped("work", run=run)
    assert scene.state("down", run=run) == "running", "the run is being cancelled, its tear-down goes on"
    scene.advance(60)
    assert scene.state("down", run=run) == "running", "nobody has asked for its end a second time"
    scene.end("down", run=run)
    assert scene.run_state(run) == "cancelled"
    assert scene.runs()[-1][1] == "running", "the newest one has taken its place"


def test_nothing_starts_again_by_a_mark_in_a_run_that_tears_down(scene: Scene) -> None:
    scene.dag("d", *CLUSTER, job("a"), job("b", "a"))
    run = scene.trigger("d", logical_us=T0)
    scene.end("up")
    scene.fails("a")
    assert scene.state("b") == "upstream_failed"
    scene.command("cancel", run_id=run)
    with pytest.raises(RefusedError, match="being cancelled"):
        scene.command("mark", run_id=run, task="a", state="success")
    scene.stopped("work")
    scene.end("down")
    assert scene.run_state() == "cancelled"


def test_a_backfill_hears_that_another_dag_writes_its_asset_no_more(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "bide.db", asset_caps={"made": 1})
    scene.dag("first", job("a", outlets=("made",)))
    scene.dag("second", job("a", outlets=("made",)))
    scene.backfill("first", 1)
    scene.backfill("second", 1)
    assert [dag for dag, n in (("first", 1), ("second", 0)) if len(scene.runs(dag)) == n] == [
        "first",
        "second",
    ]
    scene.dag("first", job("a"))
    assert len(scene.runs("second")) == 1, "it has room, and nobody else will tell it"
    scene.end("a", run=2)
    scene.end("a", run=1)
    scene.close()


def test_a_rerun_of_a_long_chain_looks_at_each_task_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, looked = 200, 0
    scene.dag("d", job("t0"), *[job(f"t{place}", f"t{place - 1}") for place in range(1, n)])
    run = scene.trigger("d", logical_us=T0)
    scene.fails("t0")
    below = commands._below

    def counted(run: Run, *those: int) -> set[int]:
        nonlocal looked
        found = below(run, *those)
        looked += len(found)
        return found

    monkeypatch.setattr(commands, "_below", counted)
    scene.command("rerun", run_id=run)
    assert looked < 2 * n
    assert scene.going == ["t0"]
    scene.command("cancel", run_id=run)
    scene.stopped("t0")


def test_an_interval_is_not_taken_up_again_while_its_run_tears_down(scene: Scene) -> None:
    scene.dag("d", *CLUSTER)
    b = scene.backfill("d", 1)
    scene.end("up")
    scene.command("cancel", run_id=1)
    assert scene.backfill_state() == "failed"
    with pytest.raises(
        RefusedError, match="run 1 of one of the intervals is being cancelled, its tear-downs first"
    ):
        scene.command("backfill_resume", backfill_id=b, failed=True)
    scene.stopped("work")
    scene.end("down")
    scene.command("backfill_resume", backfill_id=b, failed=True)
    assert (scene.going, scene.intervals()) == (["up"], ["running"])
    scene.end("up")
    scene.end("work")
    scene.end("down")
    assert (scene.intervals(), scene.backfill_state()) == (["success"], "success")


def test_who_waits_behind_a_larger_task_starts_when_that_is_cancelled(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "bide.db", pools={"api": (2, None)})
    scene.dag("holds", job("one", pool="api"), job("two", pool="api"))
    scene.dag("large", job("large", pool="api", slots=2, priority=1))
    scene.dag("small", job("small", pool="api"))
    scene.trigger("holds")
    large = scene.trigger("large")
    scene.trigger("small")
    scene.end("one")
    assert scene.going == ["two"], "the place is kept for who was there first"
    scene.command("cancel", run_id=large)
    assert scene.going == ["two", "small"]
    scene.end("two", "small")
    scene.close()
