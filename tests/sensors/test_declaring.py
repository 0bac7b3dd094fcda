"""Sensors as an author writes them: options, defaults, templates, errors at the declaration."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context
from bide.runtime.clock import HOUR, SECOND, to_us
from bide.runtime.errors import BideError, GraphError
from bide.runtime.graph.binding import bind_params
from bide.runtime.graph.dag import Dag, dag
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.spec import Mode, OnTimeout, SensorSpec
from bide.runtime.graph.task import task
from bide.runtime.values import Secret
from bide.sensors import (
    ExternalTaskSensor,
    FileSensor,
    HttpSensor,
    KafkaOffsetSensor,
    ObjectSensor,
    PythonSensor,
    Sensor,
    TimeSensor,
)
from bide.triggers import encode_trigger
from bide.triggers.base import Trigger

NIGHT = to_us(datetime(2026, 6, 14, 22, tzinfo=UTC))  # midnight of the 15th in Berlin
FACTS = Facts(
    dag="d",
    task="w",
    run_id=7,
    logical_us=NIGHT,
    start_us=NIGHT,
    end_us=NIGHT + 24 * HOUR,
    scheduled_us=NIGHT + 26 * HOUR,
    params={"model": "m1", "day": "2026-01-02"},
    tz="Europe/Berlin",
    folder="/dags",
)


def declared(make: Callable[[], Sensor]) -> Dag:
    @dag(name="d")
    def body() -> None:
        make()

    return body


def spec(make: Callable[[], Sensor]) -> SensorSpec:
    found = declared(make).spec.tasks[-1].sensor
    assert found is not None
    return found


def built(make: Callable[[], Sensor], outputs: dict[str, Any] | None = None) -> Any:
    of = declared(make)
    node = of.spec.tasks[-1]
    code = of.code[node.name]
    assert code.build is not None
    trigger: Trigger = code.build(bind_params(node, code, outputs or {}), FACTS)
    encode_trigger(trigger)
    return trigger


def test_c31_every_sensor_has_a_finite_timeout_and_shows_it() -> None:
    shown: list[str] = []

    def make() -> Sensor:
        sensor = FileSensor("w", path="a")
        shown.append(repr(sensor))
        return sensor

    assert spec(make).timeout_us == 24 * HOUR
    assert shown == ["<FileSensor 'w': deferred, at most 1 day, 0:00:00, looks every 0:00:30>"]


def test_common_options() -> None:
    found = spec(
        lambda: FileSensor(
            "w",
            path="a",
            timeout=timedelta(hours=6),
            poll_interval=timedelta(seconds=5),
            mode="poke",
            soft_fail=True,
            backoff=2,
        )
    )
    assert (found.timeout_us, found.poll_us, found.mode) == (6 * HOUR, 5 * SECOND, Mode.POKE)
    assert (found.soft_fail, found.backoff, found.on_timeout) == (True, 2.0, OnTimeout.SKIP)


def test_task_options_reach_the_node() -> None:
    of = declared(lambda: FileSensor("w", path="a", pool="p", priority=3, trigger_rule="all_done", retries=2))
    node = of.spec.tasks[0]
    assert (node.pool, node.priority, node.rule, node.retries) == ("p", 3, "all_done", 2)


def _async_key() -> Any:
    async def key(ctx: Any) -> str:
        return "a"

    return key


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FileSensor("w"), "either path or glob"),
        (lambda: FileSensor("w", path="a", glob="b"), "either path or glob"),
        (lambda: FileSensor("w", path="a", timeout=None), "no sensor waits for ever"),  # type: ignore[arg-type]  # what is tested
        (lambda: FileSensor("w", path="a", timeout=timedelta(0)), "must be above zero"),
        (lambda: FileSensor("w", path="a", timeout=5), "must be a timedelta"),  # type: ignore[arg-type]  # what is tested
        (lambda: FileSensor("w", path="a", poll_interval=timedelta(milliseconds=1)), "busy loop"),
        (lambda: FileSensor("w", path="a", mode="defered"), "must be one of deferred, reschedule, poke"),
        (lambda: FileSensor("w", path="a", on_timeout="explode"), "must be one of fail, skip, succeed"),
        (lambda: FileSensor("w", path="a", soft_fail=True, on_timeout="fail"), "says the opposite"),
        (lambda: FileSensor("w", path="a", soft_fail="yes"), "must be True or False"),  # type: ignore[arg-type]  # what is tested
        (lambda: FileSensor("w", path="a", backoff=0.5), "between 1 and 100"),
        (lambda: FileSensor("w", path="a", poke_interval=3), "no option 'poke_interval'"),  # type: ignore[call-arg]  # what is tested
        (lambda: FileSensor("w", path="{nope}"), "{nope}"),
        (lambda: FileSensor("w", path="{"), "cannot be read"),
        (lambda: FileSensor("w", path="a", count=2), "belong to glob"),
        (lambda: FileSensor("w", path="a", min_size="1"), "must be of type int"),  # type: ignore[arg-type]  # what is tested
        (lambda: FileSensor("w", path="a", newer_than="yesterday"), "ISO 8601"),
        (lambda: FileSensor("w", path=_async_key()), "is async"),
        (lambda: TimeSensor("w"), "either at or delta"),
        (lambda: TimeSensor("w", at="25:00"), "no such time of day"),
        (lambda: TimeSensor("w", at="soon"), "ISO 8601"),
        (lambda: HttpSensor("w", url="ftp://x/"), "ftp"),
        (lambda: HttpSensor("w", url="http://x/", equals=3), "equals needs json_path"),
        (lambda: KafkaOffsetSensor("w", bootstrap="b:1", topic="t"), "offset or lag_below"),
        (lambda: KafkaOffsetSensor("w", bootstrap="b:1", topic="t", offset=1, across="most"), "across"),
        (lambda: ObjectSensor("w", url="s3://bucket/key", count=2), "count 2"),
        (lambda: ExternalTaskSensor("w", dag=""), "must be a DAG or its name"),
        (
            lambda: ExternalTaskSensor("w", dag="o", delta=timedelta(1), interval="day"),
            "give one of them",
        ),
        (lambda: ExternalTaskSensor("w", dag="o", interval="dya"), "did you mean"),
        (lambda: ExternalTaskSensor("w", dag="o", states=("succes",)), "did you mean"),
        (lambda: ExternalTaskSensor("w", dag="o", states=("failed",), fail_on=("failed",)), "choose one"),
        (lambda: PythonSensor("w"), "needs a function"),
        (lambda: PythonSensor("w", lambda day: day), "arguments it does not take"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(make: Callable[[], Sensor], says: str) -> None:
    with pytest.raises(GraphError) as caught:
        declared(make)
    assert says in str(caught.value)
    assert "'w'" in str(caught.value)


def test_templates_and_relative_paths() -> None:
    trigger = built(lambda: FileSensor("w", path="drops/{interval.start:%Y-%m-%d}/{params.model}.csv"))
    assert trigger.path == "/dags/drops/2026-06-15/m1.csv"
    assert built(lambda: FileSensor("w", glob=Path("/in") / "*.csv")).glob == "/in/*.csv"


def test_a_callable_of_the_context_stands_where_a_string_does() -> None:
    trigger = built(lambda: FileSensor("w", path=lambda ctx: f"{ctx.params['model']}-{ctx.logical_date:%d}"))
    assert trigger.path == "/dags/m1-15"


def test_an_output_of_another_task_is_an_edge_and_a_value_and_no_template() -> None:
    @task
    def listing() -> dict[str, str]:
        return {}

    def make() -> Sensor:
        return FileSensor("w", path=listing()["path"])

    assert declared(make).spec.tasks[-1].upstream == ("listing",)
    assert built(make, {"listing": {"path": "/x/{run_id}"}}).path == "/x/{run_id}"


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"at": "06:30"}, datetime(2026, 6, 16, 4, 30, tzinfo=UTC)),
        ({"at": time(6, 30)}, datetime(2026, 6, 16, 4, 30, tzinfo=UTC)),
        ({"at": datetime(2026, 7, 1, 12)}, datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ({"at": datetime(2026, 7, 1, 12, tzinfo=UTC)}, datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ({"at": "{params.day}T03:00"}, datetime(2026, 1, 2, 2, tzinfo=UTC)),
        ({"delta": timedelta(hours=2)}, datetime(2026, 6, 16, 0, tzinfo=UTC)),
    ],
)
def test_instants_are_read_in_the_zone_of_the_dag(options: dict[str, Any], at: datetime) -> None:
    assert built(lambda: TimeSensor("w", **options)).at_us == to_us(at)


@pytest.mark.parametrize(
    ("options", "logical"),
    [
        ({}, datetime(2026, 6, 14, 22, tzinfo=UTC)),
        ({"delta": timedelta(hours=-1)}, datetime(2026, 6, 14, 21, tzinfo=UTC)),
        ({"at": datetime(2026, 6, 1, tzinfo=UTC)}, datetime(2026, 6, 1, tzinfo=UTC)),
        ({"at": "{logical_date}"}, datetime(2026, 6, 14, 22, tzinfo=UTC)),
        ({"interval": "hour"}, datetime(2026, 6, 14, 22, tzinfo=UTC)),
        ({"interval": "day"}, datetime(2026, 6, 14, 22, tzinfo=UTC)),
        ({"interval": "month"}, datetime(2026, 5, 31, 22, tzinfo=UTC)),
    ],
)
def test_which_run_of_the_other_dag(options: dict[str, Any], logical: datetime) -> None:
    trigger = built(lambda: ExternalTaskSensor("w", dag="other", task="load", **options))
    assert (trigger.dag, trigger.task, trigger.logical_us) == ("other", "load", to_us(logical))
    assert trigger.fail_on == ("failed", "upstream_failed", "skipped", "cancelled", "lost")


def test_b72_c18_a_secret_reaches_the_trigger_by_its_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")

    def http() -> Sensor:
        return HttpSensor("w", url="http://x/", auth=Secret("env:TOKEN"), headers={"X": Secret("env:TOKEN")})

    def python() -> Sensor:
        return PythonSensor("w", lambda token: token, kwargs={"token": Secret("env:TOKEN")})

    for make in (http, python):
        data = encode_trigger(built(make))
        assert b"hunter2" not in data
        assert b'{"$secret":"env:TOKEN"}' in data


def test_http_parameters() -> None:
    trigger = built(
        lambda: HttpSensor(
            "w",
            url="http://x/{interval.start:%Y}",
            headers={"X-Run": "{run_id}"},
            body={"model": "{params.model}"},
            json_path="$.state",
            equals=None,
            look_timeout=timedelta(seconds=3),
        )
    )
    assert (trigger.url, trigger.headers, trigger.body) == ("http://x/2026", {"X-Run": "7"}, {"model": "m1"})
    assert (trigger.timeout, trigger.equals) == (3.0, None)


def test_kafka_and_object_parameters() -> None:
    kafka = built(lambda: KafkaOffsetSensor("w", bootstrap=["a:1", "b:2"], topic="t", lag_below=("g", 5)))
    assert (kafka.bootstrap, kafka.lag_below, kafka.partitions) == ("a:1,b:2", ("g", 5), "all")
    found = built(lambda: ObjectSensor("w", url="s3://b/{params.day}/*", count=2, store={"region": "eu"}))
    assert (found.url, found.options, found.min_size) == ("s3://b/2026-01-02/*", {"region": "eu"}, 1)


def test_a_predicate_takes_its_arguments_and_no_context() -> None:
    def ready(day: str) -> bool:
        return bool(day)

    trigger = built(lambda: PythonSensor("w", ready, kwargs={"day": "{interval.start:%d}"}))
    assert (trigger.dag, trigger.task, trigger.kwargs) == ("d", "w", {"day": "15"})
    named = declared(lambda: PythonSensor(ready, args=["x"]))
    assert named.code["ready"].predicate is ready

    def with_context(ctx: Context) -> bool:
        return True

    with pytest.raises(GraphError, match="takes a Context"):
        declared(lambda: PythonSensor("w", with_context))


def test_a_value_only_a_run_knows_may_be_wrong_in_the_run() -> None:
    with pytest.raises(BideError, match="ISO 8601"):
        built(lambda: FileSensor("w", path="a", newer_than="{params.model}"))
