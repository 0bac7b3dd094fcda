"""What DAG files say that will be regretted: each warning with its code and its reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bide import Asset, Cron, Every, Manual, On, OnAssets, by, dag, task
from bide.runtime.clock import HOUR, SECOND
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.lint import Warn, lint
from bide.runtime.schedules import Schedule
from bide.sensors import ExternalTaskSensor, FileSensor, HttpSensor, TimeSensor
from bide.triggers import FileTrigger

NOW = 1_767_225_600 * SECOND  # 2026-01-01 00:00 UTC


def make(name: str, schedule: Schedule, *nodes: Callable[[], Any], **options: Any) -> Dag:
    @dag(name=name, schedule=schedule, **options)
    def body() -> None:
        for node in nodes:
            node()

    return body


@task(outlets=["sales"])
def makes() -> None: ...


@task(inlets=["sales"])
def reads() -> None: ...


@task
def work() -> None: ...


UP = make("up", Cron("0 2 * * *"), makes)


def codes(*dags: Dag) -> list[tuple[str, str, str]]:
    return [(warn.code, warn.dag, warn.task) for warn in lint(dags, NOW)]


def only(*dags: Dag) -> Warn:
    [warn] = lint(dags, NOW)
    return warn


def external(**options: Any) -> Callable[[], Any]:
    return lambda: ExternalTaskSensor("wait", dag="up", timeout=timedelta(hours=2), **options)


# --- time offsets -----------------------------------------------------------------------------------


def test_s3_23_a_delta_that_is_the_offset_of_two_schedules_is_warned_of() -> None:
    down = make("down", Cron("30 2 * * *"), external(delta=timedelta(minutes=-30)))
    warn = only(UP, down)
    assert (warn.code, warn.dag, warn.task) == ("time-offset", "down", "wait")
    assert "delta of 0:30:00 is how long 'down' is timed after 'up'" in warn.message


def test_s3_23_a_sensor_on_the_same_interval_is_no_offset() -> None:
    daily = make("up", Cron("0 2 * * *", interval="day"), makes)
    down = make("down", Cron("30 2 * * *", interval="day"), external())
    assert codes(daily, down) == []
    before = make("down", Cron("0 2 * * *"), external(delta=timedelta(days=-1)))
    assert codes(UP, before) == []


def test_s3_23_reading_what_another_dag_makes_some_minutes_later_is_warned_of() -> None:
    warn = only(UP, make("down", Cron("45 2 * * *"), reads))
    assert (warn.code, warn.dag, warn.task) == ("time-offset", "down", "")
    assert "timed 0:45:00 after 'up' and reads sales" in warn.message


def test_s3_23_a_time_sensor_in_the_place_of_what_is_read_is_warned_of() -> None:
    down = make("down", Cron("0 2 * * *"), lambda: TimeSensor("nap", at="03:00"), reads)
    warn = only(UP, down)
    assert (warn.code, warn.task) == ("time-offset", "nap")
    assert "sales, which 'up' makes" in warn.message


@pytest.mark.parametrize(
    "down",
    [
        make("down", Cron("45 2 * * *", interval="day"), external(interval="day"), reads),
        make("down", On(FileTrigger(path="/x")), reads),
        make("down", Cron("45 2 1 * *"), work),
        make("down", Cron("0,30 2 * * *"), reads),
    ],
    ids=["waits", "event", "reads nothing", "no one offset"],
)
def test_s3_23_what_waits_or_reads_nothing_of_it_is_left_alone(down: Dag) -> None:
    assert codes(UP, down) == []


# --- deadlines ----------------------------------------------------------------------------------------


def test_a_runs_deadline_below_a_sensors_timeout_is_warned_of() -> None:
    one = make(
        "one", Cron("0 2 * * *"), lambda: FileSensor("drop", path="/x", timeout=timedelta(hours=6)),
        deadline=timedelta(hours=1),
    )  # fmt: skip
    assert codes(one) == [("deadline-before-timeout", "one", "drop")]


def test_a_sensors_own_deadline_below_its_timeout_is_warned_of() -> None:
    one = make(
        "one",
        Cron("0 2 * * *"),
        lambda: FileSensor("drop", path="/x", timeout=timedelta(hours=6), deadline=timedelta(hours=1)),
    )
    assert codes(one) == [("deadline-before-timeout", "one", "drop")]


def test_a_deadline_before_the_instant_that_is_waited_for_fails_every_run() -> None:
    one = make("one", Cron("0 2 * * *"), lambda: TimeSensor("six", at="06:00"), deadline=timedelta(hours=3))
    warn = only(one)
    assert (warn.code, warn.task) == ("deadline-before-wait", "six")
    assert "4:00:00 from the firing" in warn.message
    well = make("one", Cron("0 2 * * *"), lambda: TimeSensor("six", at="06:00"), deadline=timedelta(hours=5))
    assert codes(well) == []


def test_a_promise_before_that_of_the_upstream_is_warned_of() -> None:
    @task(deadline_alert=by("04:00"))
    def first() -> int:
        return 1

    @task(deadline_alert=by("03:00"))
    def second(_x: int) -> None: ...

    assert codes(make("one", Cron("0 2 * * *"), lambda: second(first()))) == [
        ("deadline-before-upstream", "one", "second")
    ]


# --- periods ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "said"),
    [
        ("queue_all", "pile up"),
        ("queue_one", "all firings but one"),
        ("skip", "are not run"),
        ("cancel_running", "cancels"),
    ],
)
def test_a_timeout_longer_than_the_period_is_warned_of(overlap: str, said: str) -> None:
    one = make(
        "one", Every(timedelta(microseconds=HOUR)),
        lambda: FileSensor("drop", path="/x", timeout=timedelta(hours=2)), overlap=overlap,
    )  # fmt: skip
    warn = only(one)
    assert (warn.code, warn.task) == ("timeout-over-period", "drop")
    assert said in warn.message


def test_the_default_timeout_is_named_as_such_and_a_manual_dag_has_no_period() -> None:
    assert (
        "1 day, 0:00:00, the default"
        in only(
            make("one", Cron("0 * * * *"), lambda: HttpSensor("page", url="https://partner.example"))
        ).message
    )
    from bide import Manual

    assert codes(make("one", Manual(), lambda: FileSensor("drop", path="/x"))) == []
    assert codes(make("one", Cron("0 2 * * *"), lambda: FileSensor("drop", path="/x"))) == []


def test_a_promise_of_an_asset_that_is_never_judged_is_named() -> None:
    @task(outlets=[Asset("orders", promise=by("04:00"))])
    def promised() -> None: ...

    warn = only(make("by_hand", Manual(), promised))
    assert (warn.code, warn.task) == ("promise-unjudged", "promised")
    assert "orders is promised for each interval" in warn.message
    assert codes(make("daily", Cron("0 2 * * *"), promised)) == []
    assert codes(make("gathers", OnAssets(Asset("a"), consume="each", interval="day"), promised)) == []
    assert codes(make("each", OnAssets(Asset("a"), consume="each"), promised)) == [
        ("promise-unjudged", "each", "promised")
    ]
