"""Deadline alerts in `decide`: armed, rung once, taken away; over pauses, clock steps, crashes and reruns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Asset
from bide.runtime.clock import HOUR, SECOND, from_us
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.schedules import Cron, Every, OnAssets
from bide.runtime.schedules.promise import Promise, by
from tests.engine.declare import job, sensor
from tests.engine.scene import T0, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db")
    yield made
    made.close()


def late(promise: Promise) -> Any:
    return msgspec.to_builtins(promise)


def within(span: float) -> Promise:
    return Promise(after_us=round(span * SECOND))


def alerts(scene: Scene) -> list[tuple[str, float, float]]:
    """(what was late, when it was due and when it was found, seconds after T0)."""
    return [
        (subject, (due - T0) / SECOND, (fired - T0) / SECOND)
        for subject, due, fired in scene._rows(
            "SELECT subject, due_us, fired_us FROM alert ORDER BY alert_id"
        )
    ]


def nightly(scene: Scene, *tasks: Any, promise: Promise | None = None, **options: Any) -> None:
    """At 02:00 for the day before, in UTC; the first time on the 2nd, for the 1st."""
    schedule = Cron("0 2 * * *", tz="UTC", interval="day")
    if promise is not None:
        options["deadline_alert"] = late(promise)
    scene.dag(
        "mart",
        *(tasks or (job("load"),)),
        schedule=schedule,
        tz="Europe/Berlin",
        start_us=T0 + 3 * HOUR,
        **options,
    )


def test_s3_49_a_run_that_is_not_over_by_its_time_is_late_once_and_goes_on(scene: Scene) -> None:
    nightly(scene, promise=by("05:45", tz="Europe/Berlin"))
    scene.advance(26 * 3600)  # the 2nd, 02:00 UTC: 03:00 in Berlin
    assert scene.going == ["load"]
    scene.advance(2 * 3600)
    due = 28 * 3600 + 45 * 60
    scene.advance(45 * 60 - 1)
    assert alerts(scene) == []
    scene.advance(1)
    assert alerts(scene) == [("mart", due, due)]
    assert (scene.going, scene.run_state()) == (["load"], "running")
    scene.advance(3600)
    scene.end("load")
    assert scene.run_state() == "success"
    assert len(alerts(scene)) == 1
    [(text, payload, state)] = scene._rows("SELECT text, payload, state FROM alert")
    assert text == (
        "run 1 of mart (2026-01-01T00:00:00Z) is late: promised by 05:45 Europe/Berlin, "
        "2026-01-02T04:45:00Z, it is running, with load (running)"
    )
    assert (json.loads(payload)["open"], state) == (["load (running)"], "new")


def test_s3_49_what_is_over_in_time_is_never_late(scene: Scene) -> None:
    nightly(scene, promise=by("05:45", tz="Europe/Berlin"))
    scene.advance(26 * 3600 + 60)
    scene.end("load")
    scene.advance(12 * 3600)
    assert alerts(scene) == []
    assert scene._rows("SELECT * FROM alarm") == []


def test_s3_49_a_task_is_late_while_it_waits_behind_others_or_for_the_world(scene: Scene) -> None:
    crm = sensor("crm", timeout=90_000, alert=by("02:30", tz="UTC"))
    nightly(
        scene, crm, job("load", "crm", alert=by("02:45", tz="UTC")), job("after", alert=by("23:00", tz="UTC"))
    )
    scene.advance(26 * 3600)
    scene.end("after")
    scene.advance(22 * 3600)
    assert alerts(scene)[:2] == [
        ("mart.crm", 26.5 * 3600, 26.5 * 3600), ("mart.load", 26.75 * 3600, 26.75 * 3600),
    ]  # fmt: skip
    assert len(alerts(scene)) == 2


def test_b30_spans_count_from_the_creation_of_a_run_and_from_the_first_ready_of_a_task(scene: Scene) -> None:
    first = job("first", retries=1, delay=100, alert=within(50))
    scene.dag("etl", first, job("second", "first", alert=within(30)), deadline_alert=late(within(200)))
    scene.trigger("etl")
    scene.advance(40)
    scene.fails("first")
    scene.advance(20)
    assert alerts(scene) == [("etl.first", 50, 50)]
    scene.advance(90)  # the retry does not count anew
    scene.end("first")
    scene.advance(29)
    assert len(alerts(scene)) == 1
    scene.advance(100)
    assert alerts(scene)[1:] == [("etl.second", 180, 180), ("etl", 200, 200)]


def test_c79_what_ended_after_it_was_due_was_late_even_if_nobody_looked_in_between(scene: Scene) -> None:
    scene.dag("etl", job("load", alert=within(30)), deadline_alert=late(within(30)))
    scene.trigger("etl")
    scene.sleep(31)  # the loop is held
    scene.end("load")
    assert [what for what, *_ in alerts(scene)] == ["etl.load", "etl"]
    scene.trigger("etl")
    scene.sleep(29)
    scene.end("load")
    assert len(alerts(scene)) == 2


def test_c79_a_deadline_passed_while_down_is_judged_at_the_start_in_due_order_and_once(scene: Scene) -> None:
    for n, span in enumerate((300, 100, 200)):
        scene.dag(f"d{n}", job("load", alert=within(span + 1)), deadline_alert=late(within(span)))
        scene.trigger(f"d{n}")
    scene.advance(150)
    assert alerts(scene) == [("d1", 100, 100), ("d1.load", 101, 101)]
    scene.crash(down=1000)
    assert alerts(scene)[2:] == [
        ("d2", 200, 1150), ("d2.load", 201, 1150), ("d0", 300, 1150), ("d0.load", 301, 1150),
    ]  # fmt: skip
    scene.crash(down=1000)
    assert len(alerts(scene)) == 6


def test_c79_a_run_that_is_made_late_is_late_at_once_and_what_was_due_before_the_dag_was_known_is_not(
    scene: Scene,
) -> None:
    scene.now = T0 + 3 * HOUR
    schedule = Every(hours=1, anchor=from_us(T0 - 48 * HOUR))
    options: dict[str, Any] = {"catchup": "all", "deadline_alert": late(by("00:30", tz="UTC"))}
    scene.dag("hourly", job("load"), schedule=schedule, start_us=T0 - 48 * HOUR, **options)
    assert len(scene.runs()) > 40
    assert alerts(scene) == []  # each was due before the DAG was there, or tomorrow
    for attempt in sorted(scene.bodies):
        scene.feed(scene.ended(attempt))
    while scene.bodies:
        scene.feed(scene.ended(min(scene.bodies)))
    scene.crash(down=22 * 3600)
    made = [(due, fired) for _, due, fired in alerts(scene)]
    assert {due for due, _ in made} == {24.5 * 3600}
    assert {fired for _, fired in made} == {25 * 3600}
    assert len(made) == 21  # 04:00 to 24:00 were not run in time; the one of 01:00 is due tomorrow


def test_a_time_on_the_wall_that_has_passed_is_no_promise_of_a_run_by_hand(scene: Scene) -> None:
    nightly(scene, promise=by("05:45", tz="UTC"))
    scene.trigger("mart", logical_us=T0 - 20 * 24 * HOUR)
    scene.advance(3600)
    assert alerts(scene) == []
    assert scene._rows("SELECT * FROM alarm") == []


@pytest.mark.parametrize(("days", "found"), [(0, 1), (1, 0), (9, 0)])
def test_a_run_that_a_version_makes_late_is_late_unless_it_corrects_the_past(
    scene: Scene, days: int, found: int
) -> None:
    scene.now = T0 - 5 * 24 * HOUR
    promise = late(by("05:00", tz="UTC"))
    scene.dag(
        "up", job("make", outlets=("a",)), schedule=Every(hours=24, anchor=from_us(T0)), start_us=T0 * 2
    )
    scene.dag("mart", job("load"), schedule=OnAssets(Asset("a"), consume="each"), deadline_alert=promise)
    scene.now = T0 + 29 * HOUR - 1  # the 2nd, just before 05:00
    scene.advance(10)
    scene.trigger("up", logical_us=T0 - days * 24 * HOUR)
    scene.end("make")
    scene.advance(1)
    assert (len(scene.runs("mart")), len(alerts(scene))) == (1, found)


def test_a_pause_stops_the_clock_of_spans_and_of_no_wall(scene: Scene) -> None:
    scene.dag(
        "etl", job("load", alert=within(100)), deadline_alert=late(by("00:03", tz="UTC")), on_pause="freeze"
    )
    scene.trigger("etl")
    scene.advance(40)
    scene.command("pause", dag="etl")
    scene.advance(1000)
    assert alerts(scene) == [("etl", 180, 180)]
    scene.command("unpause", dag="etl")
    scene.advance(59)
    assert len(alerts(scene)) == 1
    scene.advance(1)
    assert alerts(scene)[1:] == [("etl.load", 1100, 1100)]


def test_what_ends_during_a_pause_is_judged_by_the_time_before_it(scene: Scene) -> None:
    scene.dag("etl", job("load", alert=within(100)), on_pause="freeze")
    scene.trigger("etl")
    scene.advance(40)
    scene.command("pause", dag="etl")
    scene.advance(1000)
    scene.end("load")
    assert alerts(scene) == []


@pytest.mark.parametrize("step", [-1800, 1800])
def test_a_step_of_the_clock_moves_spans_and_no_time_on_the_wall(scene: Scene, step: int) -> None:
    scene.dag("etl", job("load", alert=within(600)), deadline_alert=late(by("01:00", tz="UTC")))
    scene.trigger("etl")
    scene.advance(60)
    scene.step_clock(step)
    scene.advance(539)
    assert [what for what, *_ in alerts(scene)] == []
    scene.advance(1)
    assert alerts(scene) == [("etl.load", 600 + step, 600 + step)]
    scene.advance(7200)
    assert alerts(scene)[1:] == [("etl", 3600, 3600)]


def test_s3_49_a_rerun_arms_anew_and_a_promise_is_found_broken_once(scene: Scene) -> None:
    scene.dag("etl", job("load", alert=within(60)), deadline_alert=late(by("00:05", tz="UTC")))
    run = scene.trigger("etl")
    scene.advance(10)
    scene.end("load")
    scene.command("rerun", run_id=run, whole=True)
    scene.advance(61)
    assert alerts(scene) == [("etl.load", 70, 70)]
    scene.advance(400)
    assert alerts(scene)[1:] == [("etl", 300, 300)]
    scene.end("load")
    scene.command("rerun", run_id=run, whole=True)  # 00:05 has passed: a span is armed, the wall is not
    assert [kind for (kind,) in scene._rows("SELECT kind FROM alarm")] == ["task"]
    scene.end("load")
    scene.step_clock(-400)  # it is 00:01 again
    scene.command("rerun", run_id=run, whole=True)
    scene.advance(400)
    assert [what for what, *_ in alerts(scene)].count("etl") == 1


def test_an_alert_is_taken_once_and_acknowledged_once(scene: Scene) -> None:
    scene.dag("etl", job("load", alert=within(10)), deadline_alert=late(within(20)))
    scene.trigger("etl")
    scene.advance(30)
    [one] = scene.command("alert_take", limit=1)["alerts"]
    assert (one["kind"], one["subject"], one["state"]) == ("task", "etl.load", "taken")
    [other] = scene.command("alert_take")["alerts"]
    assert (other["kind"], other["payload"]["open"]) == ("run", ["load (running)"])
    assert scene.command("alert_take")["alerts"] == []
    assert scene.command("alert_ack", alert_id=int(one["id"]))["state"] == "acked"
    with pytest.raises(RefusedError, match="already"):
        scene.command("alert_ack", alert_id=int(one["id"]))
    with pytest.raises(NotFoundError, match="bide alerts"):
        scene.command("alert_ack", alert_id=1)
    with pytest.raises(UsageError, match="limit"):
        scene.command("alert_take", limit=0)
    assert [state for (state,) in scene._rows("SELECT state FROM alert ORDER BY alert_id")] == [
        "acked",
        "taken",
    ]
    assert [now for now, _ in scene.said("alert")] == ["new", "new", "taken", "taken", "acked"]


def test_alarms_of_what_is_over_leave_nothing_behind(scene: Scene) -> None:
    scene.dag("etl", job("load", alert=within(500)), deadline_alert=late(within(500)))
    run = scene.trigger("etl")
    scene.command("cancel", run_id=run)
    assert (scene.world.alarms, scene._rows("SELECT * FROM alarm")) == ({}, [])
    scene.advance(600)
    assert alerts(scene) == []


def test_a_dag_without_alerts_pays_nothing(scene: Scene) -> None:
    scene.dag("etl", job("load"))
    scene.trigger("etl")
    assert (scene.world.alarms, scene.world.marks) == ({}, {})
