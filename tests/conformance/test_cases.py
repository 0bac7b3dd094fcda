"""The table of cases can be meant: every option of every sensor stands in it, and each case declares."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import bide.sensors
from bide.runtime.graph.dag import dag
from bide.sensors import Sensor

from .cases import CASES, Case

FILLED = {"folder": "/f", "server": "http://s", "broker": "b:9092", "bucket": "s3://k"}


def filled(value: Any) -> Any:
    if isinstance(value, str):
        for key, text in FILLED.items():
            value = value.replace(f"{{{key}}}", text)
    return value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("mode", ["deferred", "reschedule", "poke"])
def test_a_case_declares_in_every_mode(case: Case, mode: str) -> None:
    params = {key: filled(value) for key, value in case.params.items()}
    if case.sensor == "PythonSensor":
        params["fn"] = lambda: None

    @dag(name="d")
    def body() -> None:
        getattr(bide.sensors, case.sensor)("w", mode=mode, **params)

    assert body.spec.tasks[0].sensor is not None


def test_names_are_unique_and_every_family_has_cases_that_end_and_that_wait() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    families = {case.sensor for case in CASES}
    assert families == {name for name in bide.sensors.__all__ if name != "Sensor"}
    for family in families - {"KafkaOffsetSensor"}:
        assert {"success", "waiting"} <= {case.ends for case in CASES if case.sensor == family}


def test_every_option_that_decides_the_end_stands_in_a_case() -> None:
    wire = {
        "look_timeout",
        "call_timeout",
        "ca",
        "env_proxies",
        "follow_redirects",
        "auth",
        "security",
        "store",
    }
    apart = {"name", "options", "fn", "args", "kwargs", "interval", "at"}
    for name in bide.sensors.__all__:
        if name == "Sensor":
            continue
        kind: type[Sensor] = getattr(bide.sensors, name)
        options = set(inspect.signature(kind.__init__).parameters) - {"self"} - wire - apart
        used = {key for case in CASES if case.sensor == name for key in case.params}
        assert options <= used, name
