"""`ObjectSensor`: waits for keys of an object store (extra `objects`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Unpack

from bide.runtime.clock import SECOND
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Linked
from bide.sensors.base import Sensor, SensorOptions, copied, moment, moment_us
from bide.triggers.objects import ObjectTrigger

Text = str | Callable[..., str] | Linked


class ObjectSensor(Sensor):
    """Waits for `s3://bucket/key`, `s3://bucket/prefix/` or a glob (also gs, az, file, memory).

    `count` objects of at least `min_size` bytes (default 1), changed after `newer_than`, must be
    there. `store` are options of the store (endpoint, region, access_key_id, ...), and may hold
    `Secret`s. All waits below a prefix share one listing per period.
    """

    __slots__ = ()

    kind = "object"
    poll_interval = timedelta(seconds=60)
    samples: ClassVar[Mapping[str, Any]] = {"url": "s3://sample/*", "newer_than": 0, "store": {}}

    def __init__(
        self,
        name: str,
        *,
        url: Text,
        min_size: int = 1,
        count: int = 1,
        newer_than: datetime | Text | None = None,
        store: Mapping[str, Any] | None = None,
        look_timeout: timedelta = timedelta(seconds=30),
        **options: Unpack[SensorOptions],
    ) -> None:
        self._title = f"the sensor {name!r}"
        params = {
            "url": url,
            "min_size": min_size,
            "count": count,
            "newer_than": moment(newer_than),
            "store": copied(store),
            "look_timeout_us": self.span_param(look_timeout, "look_timeout"),
        }
        super().__init__(name, params, options)

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> ObjectTrigger:
        given = dict(params)
        given["timeout"] = given.pop("look_timeout_us") / SECOND
        if "store" in given:
            given["options"] = given.pop("store")
        newer_than = given.pop("newer_than", None)
        if newer_than is not None:
            given["newer_than_us"] = moment_us(newer_than, facts, "newer_than")
        return ObjectTrigger(**given)
