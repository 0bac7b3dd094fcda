"""Waits across DAGs, judged when they are loaded: B7, C27, D6 and the other ways to wait in vain."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bide import Cron, Dag, Every, Manual, dag, task
from bide.runtime.clock import to_us
from bide.runtime.graph.external import Known, concerned, refused
from bide.runtime.schedules import Schedule
from bide.sensors import ExternalTaskSensor

NOW = to_us(datetime(2026, 3, 20, 12, tzinfo=UTC))
AT_TWO = Cron("0 2 * * *", tz="UTC", interval="day")


@task
def step() -> None: ...


def target(schedule: Schedule | None = None, name: str = "source") -> Dag:
    @dag(name=name, schedule=schedule or Manual())
    def body() -> None:
        step()

    return body


def waiting(schedule: Schedule | None = None, on: str = "source", **how: Any) -> Dag:
    @dag(name="sink", schedule=schedule or Manual(), max_active_runs=4)
    def body() -> None:
        ExternalTaskSensor("wait", dag=on, **how) >> step.options(name="after")()

    return body


def judged(*dags: Dag, stored: dict[str, Known] | None = None) -> str:
    found = refused(dags, dags, stored or {}, NOW)
    assert set(found) <= {"sink"}
    return found.get("sink", "")


def test_c27_a_dag_that_does_not_exist_is_refused() -> None:
    said = judged(waiting(on="sorce"), target())
    assert "'wait'" in said
    assert "'sink'" in said
    assert "did you mean 'source'" in said


def test_c27_a_task_that_does_not_exist_is_refused() -> None:
    assert "has no such task: did you mean 'step'" in judged(waiting(task="stepp"), target())
    assert judged(waiting(task="step"), target()) == ""


def test_a_dag_known_to_the_database_alone_will_do_but_not_a_removed_one() -> None:
    source = target(AT_TWO)
    known = Known(source.spec, source.schedule, NOW)
    assert judged(waiting(AT_TWO, task="step"), stored={"source": known}) == ""
    gone = Known(source.spec, source.schedule, NOW, removed=True)
    assert "was removed" in judged(waiting(AT_TWO), stored={"source": gone})


@pytest.mark.parametrize(
    ("own", "theirs", "how"),
    [
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {}),
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {"delta": timedelta(hours=-3)}),
        (Cron("30 * * * *"), Cron("0 * * * *"), {}),
        (Cron("0 2 * * 1"), Cron("0 2 * * 2"), {}),
        (Every(hours=1), Every(hours=1, anchor=datetime(2026, 1, 1, 0, 7, tzinfo=UTC)), {}),
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {"interval": "day"}),
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {"at": datetime(2026, 1, 1, 3, tzinfo=UTC)}),
        (AT_TWO, Cron("0 2 * * *", tz="Europe/Berlin", interval="day"), {}),
    ],
)
def test_b7_d6_schedules_that_can_never_meet_are_refused(own: Schedule, theirs: Schedule, how: Any) -> None:
    said = judged(waiting(own, **how), target(theirs))
    assert "of a date that it never has" in said


@pytest.mark.parametrize(
    ("own", "theirs", "how"),
    [
        (AT_TWO, Cron("0 9 * * *", tz="UTC", interval="day"), {}),
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {"delta": timedelta(hours=-4)}),
        (Cron("0 * * * *"), Cron("0 0 1 1 *"), {}),
        (Cron("0 0 1 1 *"), Cron("* * * * *"), {}),
        (Cron("* * * * *"), Cron("0 0 1 1 *"), {"delta": timedelta(hours=-1)}),
        (Cron("17 * * * *"), AT_TWO, {"interval": "day"}),
        (Cron("0 6 * * *"), Cron("0 0 1 * *", interval="month"), {"interval": "month"}),
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {"at": datetime(2026, 1, 1, 2, tzinfo=UTC)}),
        (Every(minutes=7), Every(minutes=11), {}),
        (Manual(), Cron("0 2 * * *"), {}),
        (Cron("0 2 * * *"), Manual(), {"delta": timedelta(minutes=1)}),
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {"at": "{logical_date:%Y-%m-%d}T02:00"}),
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {"at": lambda _: datetime(2026, 1, 1, 2, tzinfo=UTC)}),
        (Cron("0 6 * * *"), Cron("0 2 * * *"), {"delta": timedelta(days=900_000)}),
    ],
)
def test_those_that_meet_or_cannot_be_told_are_accepted(own: Schedule, theirs: Schedule, how: Any) -> None:
    assert judged(waiting(own, **how), target(theirs)) == ""


def test_the_sentence_names_the_delta_that_would_do() -> None:
    said = judged(waiting(Cron("0 6 * * *")), target(Cron("0 2 * * *")))
    assert "delta=timedelta(hours=-4) is the run before" in said
    assert judged(waiting(Cron("0 6 * * *"), delta=timedelta(hours=-4)), target(Cron("0 2 * * *"))) == ""


def test_the_anchor_in_the_database_is_the_one_that_counts() -> None:
    own, theirs = waiting(Every(hours=1)), target(Every(hours=1))
    stored = {
        "sink": Known(own.spec, own.schedule, NOW - 90_000_000),
        "source": Known(theirs.spec, theirs.schedule, NOW - 30_000_000),
    }
    assert judged(own, theirs) == ""
    assert "of a date that it never has" in judged(own, theirs, stored=stored)


@pytest.mark.parametrize("on", [None, "wait", "after"])
@pytest.mark.parametrize("how", [{}, {"delta": timedelta(0)}])
def test_a_wait_for_the_end_of_its_own_run_is_refused(on: str | None, how: Any) -> None:
    assert "neither would ever go on" in judged(waiting(on="sink", task=on, **how))


def test_a_wait_for_the_first_run_of_its_own_day_is_refused() -> None:
    hourly = Cron("0 * * * *")
    assert "neither would ever go on" in judged(waiting(hourly, on="sink", task="after", interval="day"))


def test_a_wait_for_an_earlier_run_of_its_own_is_accepted() -> None:
    assert judged(waiting(AT_TWO, on="sink", delta=timedelta(days=-1))) == ""


def test_a_wait_for_a_task_beside_it_is_accepted() -> None:
    @dag(name="sink")
    def body() -> None:
        step.options(name="beside")()
        ExternalTaskSensor("wait", dag="sink", task="beside")

    assert judged(body) == ""


def test_thousands_of_equal_waits_are_judged_once_and_dags_without_any_not_at_all() -> None:
    @dag(name="sink", schedule=Cron("* * * * *"))
    def body() -> None:
        for n in range(2000):
            ExternalTaskSensor(f"w{n}", dag="source", task="step")

    assert concerned([target()]) == set()
    assert concerned([body, target()]) == {"sink", "source"}
    assert judged(body, target(Cron("0 0 1 1 *"))) == ""
