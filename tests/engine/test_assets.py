"""Assets in the engine: a success records versions, and consumers make runs of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import AnyOf, Asset, Cron, Every, Manual, OnAssets
from bide.runtime.clock import from_us
from bide.runtime.engine.messages import WaitAsked
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules import Schedule
from bide.triggers.asset import AssetTrigger
from tests.engine.declare import HOUR_US, job, mapped, seconds, sensor
from tests.engine.scene import T0, Scene

A, B, C = Asset("a"), Asset("b"), Asset("c")
DAY_US = 24 * HOUR_US
FAR = T0 + 10_000 * DAY_US


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db", slots=500)
    yield made
    made.close()


def producer(scene: Scene, *names: str, hours: int = 1, schedule: Schedule | None = None) -> None:
    """For each name a DAG that makes the asset of that name, an interval of so many hours a run."""
    grid = schedule or Every(hours=hours, anchor=from_us(T0))
    for name in names:
        task = job(f"make_{name}", outlets=(name,))
        scene.dag(f"make_{name}", task, schedule=grid, start_us=FAR)


def makes(scene: Scene, name: str, hour: int = 0) -> int:
    """A run of the producer succeeds, for the interval that holds that hour. The version."""
    run = scene.trigger(f"make_{name}", logical_us=T0 + hour * HOUR_US, new=True)
    scene.end(f"make_{name}", run=run)
    [(version,)] = scene._rows("SELECT max(asset_version_id) FROM asset_version")
    return int(version)


def consumer(scene: Scene, schedule: OnAssets, name: str = "mart", **options: Any) -> None:
    scene.dag(name, job("t"), schedule=schedule, **options)


def made_of(scene: Scene, dag: str = "mart", used: int = 1) -> list[list[int]]:
    """The versions each run of a DAG is made of, in the order of its runs."""
    rows = scene._rows(
        "SELECT r.run_id, group_concat(t.asset_version_id) FROM run r JOIN dag d USING (dag_id)"
        " LEFT JOIN run_trigger t ON t.run_id = r.run_id AND used = ?"
        " WHERE d.name = ? GROUP BY r.run_id ORDER BY r.run_id",
        used,
        dag,
    )
    return [[int(each) for each in (versions or "").split(",") if each] for _, versions in rows]


def hours_of(scene: Scene, dag: str = "mart") -> list[tuple[float, float]]:
    """The intervals of its runs, in hours from T0."""
    rows = scene._rows(
        "SELECT start_us, end_us FROM run r JOIN dag USING (dag_id) WHERE name = ? ORDER BY run_id", dag
    )
    return [((start - T0) / HOUR_US, (end - T0) / HOUR_US) for start, end in rows]


def pending(scene: Scene, dag: str = "mart") -> list[int]:
    return [
        version
        for (version,) in scene._rows(
            "SELECT asset_version_id FROM asset_pending JOIN dag USING (dag_id) WHERE name = ? ORDER BY 1",
            dag,
        )
    ]


# --- a version, a run ----------------------------------------------------------------------------


def test_s3_4c_s3_25_b31_a_success_records_a_version_and_its_consumer_runs_in_the_same_turn(
    scene: Scene,
) -> None:
    scene.dag("make_a", job("make_a", outlets=("a",)))
    consumer(scene, OnAssets(A, consume="each"))
    scene.trigger("make_a", logical_us=T0)
    turns = scene.turns
    scene.end("make_a")
    assert scene.going == ["t"]
    assert scene.turns == turns + 1
    rows = scene._rows("SELECT asset_version_id, start_us, end_us, run_id FROM asset_version")
    assert rows == [(1, T0, T0, 1)]
    assert made_of(scene) == [[1]]


def test_b25_d16_a_run_inherits_the_interval_and_logical_date_of_its_version(scene: Scene) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each"))
    makes(scene, "a", 5)
    assert hours_of(scene) == [(5, 6)]
    [(logical, kind, reason)] = scene._rows("SELECT logical_us, kind, reason FROM run WHERE kind = 'asset'")
    assert (logical, kind, reason) == (T0 + 5 * HOUR_US, "asset", "a version 1")


@pytest.mark.parametrize("how", ["failed", "skipped"])
def test_s3_28_what_did_not_succeed_makes_no_version(scene: Scene, how: str) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each"))
    scene.trigger("make_a", logical_us=T0)
    scene.fails("make_a", state=how, final=True)
    assert scene._rows("SELECT count(*) FROM asset_version") == [(0,)]
    assert scene.runs("mart") == []


def test_b31_a_task_marked_as_success_records_its_version(scene: Scene) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each"))
    run = scene.trigger("make_a", logical_us=T0)
    scene.fails("make_a", final=True)
    scene.command("mark", run_id=run, task="make_a", state="success")
    assert made_of(scene) == [[1]]


def test_s3_6_a_correction_of_an_interval_makes_a_run_of_its_own(scene: Scene) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each"))
    run = scene.trigger("make_a", logical_us=T0)
    scene.end("make_a")
    scene.end("t")
    scene.command("rerun", run_id=run, whole=True)
    scene.end("make_a")
    assert made_of(scene) == [[1], [2]]
    assert hours_of(scene) == [(0, 1), (0, 1)]


def test_c40_b34_with_one_run_at_a_time_each_version_still_has_its_run(scene: Scene) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each"), max_active_runs=1)
    for hour in range(5):
        makes(scene, "a", hour)
    assert made_of(scene) == [[1], [2], [3], [4], [5]]
    assert [state for _, state in scene.runs("mart")] == ["running", *["queued"] * 4]
    for _ in range(5):
        scene.end("t")
    assert [state for _, state in scene.runs("mart")] == ["success"] * 5


def test_s3_27_a_producer_may_change_its_schedule_and_its_consumer_does_not_see_it(scene: Scene) -> None:
    producer(scene, "a", "b")
    consumer(scene, OnAssets(A & B, consume="each", interval="day", tz="UTC"))
    for hour in range(24):
        makes(scene, "a", hour)
    producer(scene, "b", hours=6)
    for hour in (0, 6, 12):
        makes(scene, "b", hour)
    producer(scene, "b", hours=2)
    for hour in (18, 20):
        makes(scene, "b", hour)
    assert scene.runs("mart") == []
    makes(scene, "b", 22)
    assert hours_of(scene) == [(0, 24)]


# --- conditions ----------------------------------------------------------------------------------


def test_c47_b32_and_waits_until_every_asset_has_a_new_version(scene: Scene) -> None:
    producer(scene, "a", "b")
    consumer(scene, OnAssets(A & B, consume="latest"))
    makes(scene, "a", 0)
    makes(scene, "a", 1)
    assert scene.runs("mart") == []
    makes(scene, "b", 0)
    assert made_of(scene) == [[2, 3]]
    assert made_of(scene, used=0) == [[1]]
    makes(scene, "b", 1)
    assert len(scene.runs("mart")) == 1


def test_b32_or_makes_a_run_for_any(scene: Scene) -> None:
    producer(scene, "a", "b")
    consumer(scene, OnAssets(A | B, consume="each"))
    makes(scene, "a", 0)
    makes(scene, "b", 0)
    assert made_of(scene) == [[1], [2]]


def test_c43_of_sixteen_assets_fifteen_do_not_fire(scene: Scene) -> None:
    names = [f"n{n}" for n in range(16)]
    producer(scene, *names)
    cond: Any = Asset("n0")
    for name in names[1:]:
        cond = cond & Asset(name)
    consumer(scene, OnAssets(cond, consume="batch"))
    for name in names[:15]:
        makes(scene, name)
    makes(scene, "n3")
    assert scene.runs("mart") == []
    makes(scene, "n15")
    assert made_of(scene) == [list(range(1, 18))]


def test_s3_26_each_pairs_versions_of_the_same_interval(scene: Scene) -> None:
    producer(scene, "a", "b")
    consumer(scene, OnAssets(A & B, consume="each"))
    makes(scene, "a", 0)  # 1
    makes(scene, "a", 1)  # 2
    makes(scene, "b", 1)  # 3
    assert made_of(scene) == [[2, 3]]
    assert pending(scene) == [1]
    makes(scene, "b", 0)  # 4
    assert made_of(scene) == [[2, 3], [1, 4]]
    assert hours_of(scene) == [(1, 2), (0, 1)]


def test_c53_an_event_seen_by_both_sides_of_an_or_makes_one_run(scene: Scene) -> None:
    producer(scene, "a", "b")
    consumer(scene, OnAssets((A & B) | A, consume="each"))
    makes(scene, "a", 0)
    assert made_of(scene) == [[1]]


# --- pauses, files, starts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("consume", "used", "passed"),
    [("each", [[1], [2], [3]], []), ("latest", [[3]], [1, 2]), ("batch", [[1, 2, 3]], [])],
)
def test_c42_unpausing_looks_at_once_at_what_came_meanwhile(
    scene: Scene, consume: Any, used: list[list[int]], passed: list[int]
) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume=consume))
    scene.command("pause", dag="mart")
    for hour in range(3):
        makes(scene, "a", hour)
    assert pending(scene) == [1, 2, 3]
    scene.crash()
    assert scene.runs("mart") == []
    scene.command("unpause", dag="mart")
    assert made_of(scene) == used
    assert [version for run in made_of(scene, used=0) for version in run] == passed
    assert hours_of(scene)[-1] == ((0, 3) if consume == "batch" else (2, 3))


@pytest.mark.parametrize(("consume", "then"), [("latest", [[1], [4]]), ("batch", [[1], [2, 3, 4]])])
def test_c40_c51_versions_gather_while_as_many_runs_as_may_are_open(
    scene: Scene, consume: Any, then: list[list[int]]
) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume=consume), max_active_runs=1)
    for hour in range(4):
        makes(scene, "a", hour)
    assert made_of(scene) == [[1]]
    scene.crash(5)
    scene.end("t")
    assert made_of(scene) == then


def test_a_consumer_begins_with_the_next_version_unless_it_asks_for_all(scene: Scene) -> None:
    producer(scene, "a")
    for hour in range(3):
        makes(scene, "a", hour)
    consumer(scene, OnAssets(A, consume="each"), "fresh")
    consumer(scene, OnAssets(A, consume="each", backlog=True), "greedy")
    makes(scene, "a", 3)
    assert made_of(scene, "fresh") == [[4]]
    assert made_of(scene, "greedy") == [[1], [2], [3], [4]]


def test_c42_a_dag_that_looks_at_an_asset_again_with_its_backlog_takes_what_it_has_not_had(
    scene: Scene,
) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each"))
    makes(scene, "a", 0)
    scene.command("pause", dag="mart")
    makes(scene, "a", 1)
    scene.dag("mart", job("t"), schedule=Every(hours=1, anchor=from_us(T0)), start_us=FAR)
    makes(scene, "a", 2)  # nobody looks
    consumer(scene, OnAssets(A, consume="each", backlog=True))
    scene.command("unpause", dag="mart")
    assert made_of(scene) == [[1], [3]]  # version 2 was dropped, on record
    scene.crash()
    makes(scene, "a", 3)
    assert made_of(scene) == [[1], [3], [4]]
    assert pending(scene) == []


def test_c42_another_period_of_the_schedule_accounts_for_no_part_twice(scene: Scene) -> None:
    producer(scene, "a", hours=24)
    producer(scene, "b")
    consumer(scene, OnAssets(A & B, consume="each", interval="hour"), max_active_runs=50)
    makes(scene, "a", 0)
    makes(scene, "b", 0)
    assert made_of(scene) == [[1, 2]]
    consumer(scene, OnAssets(A & B, consume="each", interval="day"), max_active_runs=50)
    for hour in range(1, 24):
        makes(scene, "b", hour)
    assert made_of(scene)[1] == [1, *range(3, 26)]


def test_c42_a_consumer_whose_file_was_gone_goes_on_from_its_cursor(scene: Scene) -> None:
    from bide.runtime.engine.messages import DagRemoved

    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each"))
    makes(scene, "a", 0)
    scene.feed(DagRemoved("mart", "gone", gone=True))
    makes(scene, "a", 1)
    makes(scene, "a", 2)
    assert pending(scene) == []
    scene.crash()
    consumer(scene, OnAssets(A, consume="each"))
    assert made_of(scene) == [[1], [2], [3]]


def test_c45_a_thousand_versions_at_once_are_decided_in_slices_and_none_is_left(scene: Scene) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each"))
    scene.command("pause", dag="mart")
    scene.checking = False
    for _ in range(600):
        makes(scene, "a")
    scene.budget = 100
    turns = scene.turns
    scene.command("unpause", dag="mart")
    assert len(made_of(scene)) == 600
    assert scene.turns - turns > 10
    assert pending(scene) == []


def test_c45_many_consumers_are_given_a_version_in_slices(scene: Scene) -> None:
    producer(scene, "a")
    for n in range(40):
        consumer(scene, OnAssets(A, consume="each"), f"m{n}")
    scene.budget = 7
    run = scene.trigger("make_a", logical_us=T0)
    more = scene.turn(scene.ended(scene.attempt("make_a", run)))
    assert more
    scene.crash()  # half-way: the rest is given when it comes up again
    for n in range(40):
        assert made_of(scene, f"m{n}") == [[1]]


def test_a_changed_condition_drops_what_it_no_longer_looks_at_on_record(scene: Scene) -> None:
    producer(scene, "a", "b")
    consumer(scene, OnAssets(A & B, consume="each"))
    makes(scene, "a", 0)
    consumer(scene, OnAssets(B, consume="each"))
    rows = scene._rows("SELECT asset_version_id, reason FROM asset_drop")
    assert rows == [(1, "mart no longer looks at it")]
    makes(scene, "b", 0)
    assert made_of(scene) == [[2]]
    consumer(scene, OnAssets(A, consume="each"))
    makes(scene, "a", 1)
    assert made_of(scene) == [[2], [3]]
    consumer(scene, Manual())  # type: ignore[arg-type]
    assert scene._rows("SELECT * FROM asset_cursor") == []


# --- periods -------------------------------------------------------------------------------------


def test_b33_a_day_runs_when_all_of_its_hours_are_there(scene: Scene) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each", interval="day", tz="UTC"))
    for hour in [*range(1, 24), 24, 25]:
        makes(scene, "a", hour)
    assert scene.runs("mart") == []
    makes(scene, "a", 0)
    assert hours_of(scene) == [(0, 24)]
    assert made_of(scene) == [[*range(1, 24), 26]]
    assert pending(scene) == [24, 25]


def test_b33_a_day_of_the_zone_has_its_own_hours(scene: Scene) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each", interval="day", tz="Asia/Tokyo"))
    for hour in range(-9, 15):
        makes(scene, "a", hour)
    assert hours_of(scene) == [(-9, 15)]


def test_b33_a_day_makes_a_run_for_each_of_its_hours_or_one(scene: Scene) -> None:
    producer(scene, "a", hours=24)
    consumer(scene, OnAssets(A, consume="each", interval="hour", tz="UTC"), "hourly")
    consumer(scene, OnAssets(A, consume="each"), "daily")
    makes(scene, "a", 0)
    assert hours_of(scene, "hourly") == [(hour, hour + 1) for hour in range(24)]
    assert hours_of(scene, "daily") == [(0, 24)]
    assert made_of(scene, "hourly") == [[1]] * 24


def test_b33_days_make_a_month(scene: Scene) -> None:
    producer(scene, "a", hours=24)
    consumer(scene, OnAssets(A, consume="batch", interval="month", tz="UTC"))
    for day in range(31):
        assert scene.runs("mart") == []
        makes(scene, "a", day * 24)
    assert hours_of(scene) == [(0, 31 * 24)]


def test_b33_a_corrected_hour_makes_its_day_run_again(scene: Scene) -> None:
    producer(scene, "a")
    consumer(scene, OnAssets(A, consume="each", interval="day", tz="UTC"))
    for hour in range(24):
        makes(scene, "a", hour)
    makes(scene, "a", 7)
    assert hours_of(scene) == [(0, 24), (0, 24)]
    assert made_of(scene)[1] == [25]


def test_b33_latest_takes_the_newest_whole_day(scene: Scene) -> None:
    producer(scene, "a", hours=24)
    consumer(scene, OnAssets(A, consume="latest", interval="day", tz="UTC"))
    scene.command("pause", dag="mart")
    for day in range(3):
        makes(scene, "a", 24 * day)
    scene.command("unpause", dag="mart")
    assert hours_of(scene) == [(48, 72)]
    assert made_of(scene, used=0) == [[1, 2]]


def test_c44_a_version_without_an_interval_makes_no_day(scene: Scene) -> None:
    scene.dag("make_a", job("make_a", outlets=("a",)))
    consumer(scene, OnAssets(A, consume="each", interval="day", tz="UTC"))
    scene.trigger("make_a")
    scene.end("make_a")
    assert scene.runs("mart") == []
    [(reason,)] = scene._rows("SELECT reason FROM asset_drop")
    assert reason == "it has no interval, and mart takes whole days"


def test_b33_a_long_version_is_taken_apart_in_slices_across_a_crash(scene: Scene) -> None:
    producer(scene, "a", hours=24 * 10)
    consumer(scene, OnAssets(A, consume="each", interval="hour", tz="UTC"))
    scene.budget = 50
    run = scene.trigger("make_a", logical_us=T0)
    assert scene.turn(scene.ended(scene.attempt("make_a", run)))
    scene.crash()
    assert hours_of(scene) == [(hour, hour + 1) for hour in range(240)]
    assert pending(scene) == []


def test_other_periods_take_what_is_pending_apart_anew(scene: Scene) -> None:
    producer(scene, "a", hours=12)
    consumer(scene, OnAssets(A, consume="each", interval="day", tz="UTC"))
    makes(scene, "a", 0)
    consumer(scene, OnAssets(A, consume="each", interval="hour", tz="UTC"))
    assert hours_of(scene) == [(hour, hour + 1) for hour in range(12)]


# --- waits ---------------------------------------------------------------------------------------


def waits_for(hour: int, until: int, *, cover: bool = False, name: str = "a") -> AssetTrigger:
    return AssetTrigger(asset=name, start_us=T0 + hour * HOUR_US, end_us=T0 + until * HOUR_US, cover=cover)


def test_s3_26_b5_a_sensor_is_woken_by_the_commit_that_publishes_its_version(scene: Scene) -> None:
    producer(scene, "a")
    scene.dag("d", sensor("w", waits_for=waits_for(3, 4)))
    run = scene.trigger("d")
    assert scene.armed == {}, "no source holds it"
    makes(scene, "a", 2)
    assert scene.state("w", run) == "deferred"
    makes(scene, "a", 3)
    assert scene.state("w", run) == "success"
    [(event,)] = scene._rows("SELECT event FROM wait")
    version = {"version": 2, "run_id": 3, "start_us": T0 + 3 * HOUR_US, "end_us": T0 + 4 * HOUR_US}
    assert msgspec.json.decode(event)["versions"] == [version]


def test_b33_a_sensor_waits_until_its_interval_is_covered(scene: Scene) -> None:
    producer(scene, "a")
    scene.dag("d", sensor("w", waits_for=waits_for(0, 3, cover=True)))
    makes(scene, "a", 1)
    run = scene.trigger("d")
    makes(scene, "a", 0)
    assert scene.state("w", run) == "deferred"
    makes(scene, "a", 2)
    assert scene.state("w", run) == "success"


def test_what_is_there_already_is_enough_and_a_paused_wait_looks_when_it_goes_on(scene: Scene) -> None:
    producer(scene, "a")
    scene.dag("d", sensor("w", waits_for=waits_for(0, 1)))
    first = scene.trigger("d")
    scene.command("pause", dag="d")
    makes(scene, "a")
    assert scene.state("w", first) == "deferred"
    scene.command("unpause", dag="d")
    assert scene.state("w", first) == "success"
    assert scene.state("w", scene.trigger("d")) == "success"


def test_a_body_waits_for_a_version(scene: Scene) -> None:
    producer(scene, "a")
    scene.dag("d", job("t"))
    scene.trigger("d")
    trigger = {"kind": "asset", "asset": "a", "start_us": T0, "end_us": T0 + HOUR_US}
    scene.feed(
        WaitAsked(
            scene.attempt("t"), "a", msgspec.json.encode(trigger), "asset", seconds(3600), seconds(30), None
        )
    )
    assert scene.state("t") == "deferred"
    makes(scene, "a")
    assert [answer.key for answer in scene.answers] == ["a"]


def test_many_waits_for_one_version_are_told_in_slices(scene: Scene) -> None:
    producer(scene, "a")
    scene.dag("d", *[sensor(f"w{n}", waits_for=waits_for(0, 1)) for n in range(200)])
    run = scene.trigger("d")
    scene.budget = 20
    makes(scene, "a")
    assert set(scene.states(run).values()) == {"success"}


# --- with a fallback -----------------------------------------------------------------------------


def test_s3_52_b23_a_day_without_its_assets_runs_by_the_clock_and_one_with_them_does_not(
    scene: Scene,
) -> None:
    producer(scene, "a", "b", hours=24)
    both = OnAssets(A & B, consume="each", interval="day", tz="UTC")
    scene.dag("mart", job("t"), schedule=AnyOf(both, Cron("0 5 * * *", interval="day")), max_active_runs=9)
    scene.advance(20 * 3600)
    makes(scene, "a", 0)
    makes(scene, "b", 0)
    assert hours_of(scene) == [(-24, 0), (0, 24)], (
        "of the day before none has come; this one ran on its assets"
    )
    scene.advance(24 * 3600)
    assert hours_of(scene) == [(-24, 0), (0, 24)], "at 05:00 the day had its run"
    makes(scene, "a", 24)
    scene.crash(10 * 3600)
    assert hours_of(scene) == [(-24, 0), (0, 24), (24, 48)], "b is late: the clock runs the day without it"
    makes(scene, "b", 24)
    assert hours_of(scene)[3:] == [(24, 48)], "what comes late corrects it"
    kinds = [
        kind for (kind,) in scene._rows("SELECT kind FROM run JOIN dag USING (dag_id) WHERE name = 'mart'")
    ]
    assert kinds == ["scheduled", "asset", "scheduled", "asset"]


def test_any_of_takes_one_schedule_of_assets() -> None:
    with pytest.raises(ScheduleError, match="join their assets by"):
        AnyOf(OnAssets(A, consume="each"), OnAssets(B, consume="each"))


def test_b31_a_mapped_task_records_one_version_when_all_of_it_succeeded(scene: Scene) -> None:
    """Instances of a mapped task make no versions of their own."""
    scene.dag("make", job("list"), mapped("each", over="list", outlets=("a",)))
    consumer(scene, OnAssets(A, consume="each"))
    scene.trigger("make", logical_us=T0)
    scene.end("list", output=[1, 2, 3])
    for n in range(3):
        assert scene.runs("mart") == []
        scene.end(f"each[{n}]")
    assert made_of(scene) == [[1]]
