"""Schedules of events, several at once, and how all kinds are stored."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from bide.runtime.clock import DAY, HOUR, SECOND
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules import AnyOf, Cron, Every, Firing, Manual, On, Schedule, schedule_from_json
from bide.triggers import ExternalTaskTrigger, FileTrigger, HttpTrigger, PythonTrigger, TimeTrigger
from bide.triggers.base import key_of

T0 = 1_767_225_600 * SECOND  # 2026-01-01 00:00 UTC
DROPS = On(FileTrigger(glob="/drops/*.csv"))
PAGE = On(HttpTrigger(url="https://partner.example/ready"), timedelta(minutes=5))


@pytest.mark.parametrize(
    "schedule",
    [
        Manual(),
        Every(hours=6),
        Cron("0 2 * * *", "Europe/Berlin", "day"),
        DROPS,
        PAGE,
        AnyOf(DROPS, Every(hours=6)),
        AnyOf(Cron("0 5 * * *", interval="day"), AnyOf(DROPS, PAGE)),
    ],
)
def test_s3_1_b23_every_kind_is_stored_as_json_and_read_back(schedule: Schedule) -> None:
    again = schedule_from_json(schedule.to_json())
    assert again == schedule
    assert again.describe() == schedule.describe()


def test_s3_5_any_of_is_the_first_of_its_members_by_the_clock() -> None:
    either = AnyOf(DROPS, Every(hours=6), Cron("0 5 * * *"))
    assert either.next_after(T0, T0) == Firing(T0 + 5 * HOUR, T0 - 19 * HOUR, T0 + 5 * HOUR)
    assert either.next_after(T0 + 5 * HOUR, T0) == Firing(T0 + 6 * HOUR, T0, T0 + 6 * HOUR)
    assert either.last_until(T0 + 7 * HOUR, T0) == Firing(T0 + 6 * HOUR, T0, T0 + 6 * HOUR)
    assert AnyOf(DROPS, PAGE).next_after(T0) is None
    assert AnyOf(DROPS, PAGE).last_until(T0) is None
    assert either.parts() == (DROPS, Every(hours=6), Cron("0 5 * * *"))


def test_b23_members_due_at_one_instant_stand_in_their_order() -> None:
    daily, hourly = Cron("0 0 * * *"), Cron("0 * * * *")
    due = AnyOf(daily, hourly).due_at(T0 + DAY)
    assert due == [
        (daily, Firing(T0 + DAY, T0, T0 + DAY)),
        (hourly, Firing(T0 + DAY, T0 + 23 * HOUR, T0 + DAY)),
    ]
    assert AnyOf(daily, hourly).due_at(T0 + HOUR) == [(hourly, Firing(T0 + HOUR, T0, T0 + HOUR))]


def test_b24_an_interval_for_a_manual_run_is_of_the_first_grid() -> None:
    assert AnyOf(DROPS, Cron("0 5 * * *", interval="day")).interval_for(T0 + HOUR, T0) == (T0, T0 + DAY)
    assert DROPS.interval_for(None, T0) == (T0, T0)


def test_the_zone_of_the_dag_reaches_the_members() -> None:
    either = AnyOf(DROPS, Cron("0 5 * * *"))
    assert either.zone_name is None
    assert either.in_zone("Europe/Berlin").zone_name == "Europe/Berlin"


def test_relative_paths_of_an_event_are_under_the_dags_folder() -> None:
    either = AnyOf(On(FileTrigger(glob="drops/*.csv")), Every(hours=6)).in_folder(Path("/home/dags"))
    [drops, _] = either.parts()
    assert drops.standing() == FileTrigger(glob="/home/dags/drops/*.csv")
    assert DROPS.in_folder(Path("/home/dags")) == DROPS
    assert PAGE.in_folder(Path("/home/dags")) == PAGE


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: On("drops"), "takes a trigger"),
        (lambda: On(TimeTrigger(at_us=T0)), "use Cron"),
        (lambda: On(ExternalTaskTrigger(dag="d", logical_us=T0)), "OnAssets"),
        (lambda: On(PythonTrigger(dag="d", task="t")), "PythonSensor"),
        (lambda: On(DROPS.trigger, timedelta(0)), "10 ms or more"),
        (lambda: AnyOf(DROPS), "two schedules or more"),
        (lambda: AnyOf(DROPS, Manual()), "leave it out"),
        (lambda: AnyOf(DROPS, On(FileTrigger(glob="/drops/*.csv"))), "twice"),
        (lambda: AnyOf(DROPS, cast("Any", "0 2 * * *")), "takes schedules"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(make: Any, said: str) -> None:
    with pytest.raises(ScheduleError, match=said):
        make()


def test_a_trigger_that_is_not_installed_hinders_nobody_else() -> None:
    stored = (
        b'{"kind":"any_of","members":[{"kind":"on","trigger":{"kind":"pigeon","loft":7}},{"kind":"manual"}]}'
    )
    with pytest.raises(ScheduleError):
        schedule_from_json(stored)
    lone = schedule_from_json(b'{"kind":"on","trigger":{"kind":"pigeon","loft":7}}')
    assert lone.standing() is None
    assert "'pigeon', which is not installed" in lone.describe()
    assert schedule_from_json(lone.to_json()) == lone


def test_a_stored_schedule_that_cannot_be_read_says_so() -> None:
    for data in (b"[]", b'{"kind":"lunar"}', b'{"kind":"every","period":"soon"}', b'{"kind":"any_of"}'):
        with pytest.raises(ScheduleError, match="cannot be read"):
            schedule_from_json(data)


def test_the_same_event_has_the_same_key_whatever_its_answer_bears_beside_it() -> None:
    page, drop = HttpTrigger(url="https://partner.example/ready"), FileTrigger(path="/a")
    one = {"status": 200, "headers": {"date": "now"}, "json": {"day": 1}}
    assert key_of(page, one) == key_of(page, {**one, "headers": {"date": "later"}})
    assert key_of(page, one) != key_of(page, {**one, "json": {"day": 2}})
    assert key_of(drop, {"path": "/a", "size": 1}) != key_of(drop, {"path": "/a", "size": 2})
