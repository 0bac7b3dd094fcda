"""`KafkaOffsetSensor`: waits until a topic has grown far enough, or a group has caught up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Unpack

from bide.runtime.clock import SECOND
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Linked
from bide.sensors.base import Sensor, SensorOptions, copied
from bide.triggers.kafka import KafkaOffsetTrigger

Text = str | Callable[..., str] | Linked


class KafkaOffsetSensor(Sensor):
    """Waits until the end offsets of `topic` reach `offset`, or `lag_below=(group, n)` holds.

    `across` asks it of every partition (`"min"`), of at least one (`"any"`), or of their `"sum"`;
    `partitions` is `"all"` or a list of numbers. `security` holds protocol, mechanism, username,
    password, ca, cert, key; a `Secret` may stand for any of them. All waits on a cluster share one
    connection and one question per period.
    """

    __slots__ = ()

    kind = "kafka"
    poll_interval = timedelta(seconds=10)
    samples: ClassVar[Mapping[str, Any]] = {
        "bootstrap": "sample:9092",
        "topic": "sample",
        "offset": 1,
        "lag_below": ["sample", 1],
        "security": {},
    }

    def __init__(
        self,
        name: str,
        *,
        bootstrap: Text | Sequence[str],
        topic: Text,
        partitions: str | Sequence[int] = "all",
        offset: int | Callable[..., int] | Linked | None = None,
        lag_below: tuple[str, int] | None = None,
        across: str = "min",
        security: Mapping[str, Any] | None = None,
        look_timeout: timedelta = timedelta(seconds=10),
        **options: Unpack[SensorOptions],
    ) -> None:
        self._title = f"the sensor {name!r}"
        params = {
            "bootstrap": bootstrap,
            "topic": topic,
            "partitions": partitions,
            "offset": offset,
            "lag_below": lag_below,
            "across": across,
            "security": copied(security),
            "look_timeout_us": self.span_param(look_timeout, "look_timeout"),
        }
        super().__init__(name, params, options)

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> KafkaOffsetTrigger:
        given = dict(params)
        given["timeout"] = given.pop("look_timeout_us") / SECOND
        if isinstance(given.get("bootstrap"), list):
            given["bootstrap"] = tuple(given["bootstrap"])
        if isinstance(given.get("offset"), str):
            given["offset"] = int(given["offset"])
        for key in ("lag_below", "partitions"):
            if isinstance(given.get(key), list):
                given[key] = tuple(given[key])
        return KafkaOffsetTrigger(**given)
