"""Promises of assets: a version for each interval by its time, or an alert; whatever became of the runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Asset, by
from bide.runtime.clock import HOUR, SECOND
from bide.runtime.engine.messages import DagRemoved
from bide.runtime.errors import GraphError
from bide.runtime.graph.options import task_fields
from bide.runtime.schedules import Cron, Every, Manual, OnAssets
from bide.runtime.schedules.promise import Promise
from tests.engine.declare import job
from tests.engine.scene import T0, Scene

DAY = 24 * 3600
FOUR = by("04:00", tz="UTC")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db")
    made.now = T0 + 12 * HOUR
    yield made
    made.close()


def nightly(scene: Scene, promise: Promise = FOUR, name: str = "orders", **options: Any) -> None:
    make = job("make", outlets=(name,), promises={name: promise})
    scene.dag("nightly", make, schedule=Cron("0 2 * * *", tz="UTC", interval="day"), **options)


def alerts(scene: Scene) -> list[tuple[str, float, float]]:
    """(interval's start, due, found): hours after T0."""
    found = scene._rows("SELECT payload, due_us, fired_us FROM alert WHERE kind = 'asset' ORDER BY alert_id")
    return [
        (json.loads(payload)["interval_start"][:13], (due - T0) / HOUR, (fired - T0) / HOUR)
        for payload, due, fired in found
    ]


def until(scene: Scene, hours: float) -> None:
    scene.advance((T0 + hours * HOUR - scene.now) / SECOND)


def test_b30_an_asset_is_late_when_no_version_of_its_interval_is_there_by_its_time(scene: Scene) -> None:
    nightly(scene)
    until(scene, 24 + 3.9)
    assert scene.going == ["make"]
    assert alerts(scene) == []
    until(scene, 24 + 4)
    assert alerts(scene) == [("2026-01-01T00", 28, 28)]
    [(subject, run, text)] = scene._rows("SELECT subject, run_id, text FROM alert")
    assert (subject, run) == ("orders", 1)
    assert text == (
        "orders (2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z) is late: promised by 04:00 UTC, 2026-01-02T04:00:00Z, "
        "there is no version of it, and run 1 of nightly is running"
    )
    scene.end("make")
    until(scene, 48 + 3)
    scene.end("make")  # in time
    until(scene, 48 + 5)
    assert len(alerts(scene)) == 1


def test_b30_a_version_in_time_is_enough_whoever_made_it(scene: Scene) -> None:
    nightly(scene)
    scene.dag("hourly", job("part", outlets=("orders",)), schedule=Manual())
    scene.command("pause", dag="nightly")
    scene.trigger("hourly", logical_us=T0)  # an instant is no day
    scene.end("part")
    until(scene, 28)
    assert len(alerts(scene)) == 1
    scene.command("unpause", dag="nightly")
    while scene.going:
        scene.end("make")
    until(scene, 48 + 2)
    scene.end("make")
    until(scene, 48 + 5)
    assert len(alerts(scene)) == 1


@pytest.mark.parametrize("why", ["paused", "broken"])
def test_c79_a_run_that_was_never_made_is_no_excuse(scene: Scene, why: str) -> None:
    nightly(scene)
    if why == "paused":
        scene.command("pause", dag="nightly")
    else:
        scene.feed(DagRemoved("nightly", "a syntax error", gone=False))
    until(scene, 72 + 5)
    assert [start for start, *_ in alerts(scene)] == ["2026-01-01T00", "2026-01-02T00", "2026-01-03T00"]
    assert [due == found for _, due, found in alerts(scene)] == [True] * 3
    text = scene._rows("SELECT text FROM alert")[0][0]
    assert ("no run of nightly for it is open" in text, "(the DAG is paused)" in text) == (
        True,
        why == "paused",
    )


def test_c79_what_was_promised_while_nobody_ran_is_judged_at_the_start_in_order_and_once(
    scene: Scene,
) -> None:
    nightly(scene, promise=Promise(after_us=3 * HOUR))
    until(scene, 24 + 2)
    scene.end("make")
    scene.crash(down=3 * DAY)
    assert [start for start, *_ in alerts(scene)] == ["2026-01-02T00", "2026-01-03T00"]
    assert [(due, found) for _, due, found in alerts(scene)] == [(51, 98), (75, 98)]
    scene.crash(down=60)
    assert len(alerts(scene)) == 2


def test_what_comes_after_its_time_came_late_even_if_nobody_looked_in_between(scene: Scene) -> None:
    nightly(scene)
    until(scene, 24 + 2)
    scene.sleep(3 * 3600)
    scene.end("make")
    assert alerts(scene) == [("2026-01-01T00", 28, 29)]


def test_more_overdue_intervals_than_fit_one_go_are_all_judged(scene: Scene) -> None:
    make = job(
        "make", outlets=("a", "b"), promises={"a": Promise(after_us=60 * SECOND), "b": by("00:00", tz="UTC")}
    )
    scene.dag("often", make, schedule=Every(minutes=10), overlap="skip")
    scene.command("pause", dag="often")
    scene.sleep(2 * DAY)
    scene.feed()
    a, b = (
        [s for (s,) in scene._rows("SELECT due_us FROM alert WHERE subject = ? ORDER BY alert_id", x)]
        for x in "ab"
    )
    assert a == sorted(a)
    assert (len(a), len(set(a))) == (287, 287)
    assert len(b) == 72 + 144  # the day's half that was left, and a day


def test_a_dag_that_promises_nothing_any_more_is_not_judged(scene: Scene) -> None:
    nightly(scene)
    assert len(scene._rows("SELECT * FROM expected")) == 1
    nightly(scene, name="other")
    assert [name for (name,) in scene._rows("SELECT name FROM expected JOIN asset USING (asset_id)")] == [
        "other"
    ]
    scene.feed(DagRemoved("nightly", "gone", gone=True))
    assert scene._rows("SELECT * FROM expected") == []
    until(scene, 100)
    assert alerts(scene) == []


def test_another_promise_or_schedule_is_kept_to_from_its_load_on(scene: Scene) -> None:
    nightly(scene)
    nightly(scene, promise=by("05:00", tz="UTC"))
    until(scene, 24 + 4.5)
    assert alerts(scene) == []
    until(scene, 24 + 5)
    assert len(alerts(scene)) == 1
    make = job("make", outlets=("orders",), promises={"orders": FOUR})
    scene.dag("nightly", make, schedule=Every(hours=1, anchor=None))
    [(start, end)] = scene._rows("SELECT start_us, end_us FROM expected")
    assert (start, end) == (T0 + 29 * HOUR, T0 + 30 * HOUR)
    scene.dag("nightly", make, schedule=Manual())  # no interval is expected of it
    assert scene._rows("SELECT * FROM expected") == []


def test_a_dag_that_gathers_versions_is_expected_to_make_its_periods(scene: Scene) -> None:
    make = job("make", outlets=("daily",), promises={"daily": FOUR})
    scene.dag("gathers", make, schedule=OnAssets(Asset("hourly"), consume="each", interval="day", tz="UTC"))
    until(scene, 72)
    assert [start for start, *_ in alerts(scene)] == ["2026-01-01T00", "2026-01-02T00"]


def test_an_asset_says_what_it_promises_where_it_is_declared() -> None:
    orders = Asset("orders", promise=by("04:00", tz="Europe/Berlin"))
    rates = Asset("rates", promise=timedelta(hours=2))
    fields = task_fields("the task 'x'", {"outlets": [orders, rates, Asset("plain"), "named"]})
    assert fields["outlets"] == ("orders", "rates", "plain", "named")
    assert fields["promises"] == {
        "orders": Promise(at="04:00", tz="Europe/Berlin"), "rates": Promise(after_us=2 * HOUR),
    }  # fmt: skip
    assert "promises" not in task_fields("the task 'x'", {"outlets": Asset("plain")})
    with pytest.raises(GraphError, match="the promise of orders is '04:00'"):
        task_fields("the task 'x'", {"outlets": Asset("orders", promise="04:00")})
    assert (orders & rates).of == ("orders", "rates")
