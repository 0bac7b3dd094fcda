"""S1-12: what is late makes the version before it stale, not invalid; the promise's own timer says so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bide import by
from bide.runtime.assets import AssetSpec
from bide.runtime.assets.words import Output
from bide.runtime.clock import HOUR, SECOND
from bide.runtime.schedules import Cron, Manual
from tests.engine.declare import job
from tests.engine.pruning import prune
from tests.engine.scene import T0, Scene

FOUR = by("04:00", tz="UTC")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db")
    made.now = T0 + 12 * HOUR
    make = job("make", outlets=("orders",), promises={"orders": FOUR})
    made.dag("nightly", make, schedule=Cron("0 2 * * *", tz="UTC", interval="day"))
    yield made
    made.close()


def until(scene: Scene, hours: float) -> None:
    scene.advance((T0 + hours * HOUR - scene.now) / SECOND)


def states(scene: Scene) -> list[str]:
    return [state for (state,) in scene._rows("SELECT state FROM asset_version ORDER BY asset_version_id")]


def first_day(scene: Scene) -> None:
    until(scene, 24 + 2)
    scene.end("make")
    assert states(scene) == ["published"]


def test_s1_4_s1_12_the_version_before_is_stale_when_the_next_is_late_and_well_again_when_it_comes(
    scene: Scene,
) -> None:
    first_day(scene)
    until(scene, 48 + 3.9)
    assert states(scene) == ["published"]
    until(scene, 48 + 4)
    assert states(scene) == ["stale"]
    assert scene.said("version")[-1] == (
        "stale",
        "the version for 2026-01-02T00:00:00Z to 2026-01-03T00:00:00Z is late: promised by 04:00 UTC, 2026-01-03T04:00:00Z",
    )
    scene.end("make")
    assert states(scene) == ["published", "published"]
    assert ("published", "version 2, which was late, has come") in scene.said("version")


def test_s1_12_a_failed_build_leaves_yesterdays_version_stale_and_usable(scene: Scene) -> None:
    first_day(scene)
    until(scene, 48 + 2)
    scene.fails("make")
    until(scene, 48 + 5)
    assert states(scene) == ["stale"]
    with closing(sqlite3.connect(scene.db)) as conn:
        assert conn.execute("SELECT usable FROM safe_state").fetchall() == [("yes, late",)]
        assert conn.execute("SELECT late_intervals, stale_versions FROM safe_late").fetchall() == [(1, 1)]


def test_c50_it_stays_stale_over_a_crash_and_over_every_further_interval_that_is_late(scene: Scene) -> None:
    first_day(scene)
    until(scene, 48 + 5)
    scene.crash()
    until(scene, 72 + 5)
    assert states(scene) == ["stale"]
    assert len([now for now, _ in scene.said("version") if now == "stale"]) == 1
    scene.end("make")
    assert states(scene) == ["published", "published"]
    until(scene, 96 + 5)
    assert states(scene).count("stale") == 1


def test_the_run_that_made_what_is_stale_may_be_pruned_before_the_next_comes(scene: Scene) -> None:
    first_day(scene)
    until(scene, 48 + 5)
    assert states(scene) == ["stale"]
    assert prune(scene, keep_us=0)["run"] == 1
    scene.compare()
    scene.end("make")
    assert states(scene) == ["published", "published"]
    with closing(sqlite3.connect(scene.db)) as conn:
        told = (
            "SELECT count(*) FROM event WHERE run_id IS NOT NULL AND run_id NOT IN (SELECT run_id FROM run)"
        )
        assert conn.execute(told).fetchone() == (0,)


def test_late_at_a_start_is_late(scene: Scene) -> None:
    first_day(scene)
    scene.crash(down=3 * 24 * 3600)
    assert states(scene) == ["stale"]


def test_a_version_of_an_older_interval_does_not_make_it_fresh_again(scene: Scene) -> None:
    scene.dag("hand", job("old", outlets=("orders",)), schedule=Manual())
    first_day(scene)
    until(scene, 48 + 5)
    scene.trigger("hand", logical_us=T0 - 24 * HOUR)
    scene.end("old")
    assert states(scene) == ["stale", "published"]


def test_a_newer_version_of_the_same_interval_takes_its_place(scene: Scene) -> None:
    first_day(scene)
    until(scene, 48 + 5)
    scene.command("rerun", run_id=1, whole=True)
    scene.end("make", run=1)
    assert states(scene) == ["superseded", "published"]
    scene.crash()
    until(scene, 72 + 5)
    assert states(scene) == ["superseded", "stale"]


def test_of_a_projection_the_one_before_is_superseded_and_not_fresh_again(scene: Scene) -> None:
    scene.declare(AssetSpec("orders", output=Output.CURRENT_PROJECTION))
    first_day(scene)
    until(scene, 48 + 5)
    assert states(scene) == ["stale"]
    scene.end("make")
    assert states(scene) == ["superseded", "published"]


def test_nothing_is_stale_that_was_never_there(scene: Scene) -> None:
    until(scene, 48 + 5)
    assert states(scene) == []
