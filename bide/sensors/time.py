"""`TimeSensor`: waits for an instant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from typing import Any, ClassVar, Final, Unpack

from bide.runtime.clock import to_us
from bide.runtime.errors import GraphError, UsageError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Linked
from bide.sensors.base import Sensor, SensorOptions, in_zone, moment, moment_us
from bide.triggers.time import TimeTrigger

_TIME: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


class TimeSensor(Sensor):
    """Waits for `at`, or until `delta` has passed since the end of the run's interval.

    `at` is a datetime (naive: in the DAG's zone), its text in ISO 8601, or a time of day
    (`"06:30"`, a `time`) on the day, in the DAG's zone, on which the interval ends. A time that is
    past ends the wait at once. Ends with `{"at": ...}` (ISO 8601, UTC).
    """

    __slots__ = ()

    kind = "time"
    samples: ClassVar[Mapping[str, Any]] = {"at": 0}

    def __init__(
        self,
        name: str,
        *,
        at: datetime | time | str | Callable[..., Any] | Linked | None = None,
        delta: timedelta | None = None,
        **options: Unpack[SensorOptions],
    ) -> None:
        self._title = f"the sensor {name!r}"
        if (at is None) == (delta is None):
            raise GraphError(f"{self._title} takes either at or delta: say when, in one of the two ways")
        written = at.isoformat() if isinstance(at, time) else moment(at)
        super().__init__(name, {"at": written, "delta_us": self.span_param(delta, "delta")}, options)

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> TimeTrigger:
        if "delta_us" in params:
            return TimeTrigger(at_us=facts.end_us + params["delta_us"])
        at = params["at"]
        if isinstance(at, str) and _TIME.fullmatch(at):
            at = _time_of_day(at)
        if isinstance(at, time):
            day = facts.interval.end.date()
            return TimeTrigger(at_us=to_us(in_zone(datetime.combine(day, at), facts)))
        return TimeTrigger(at_us=moment_us(at, facts, "at"))


def _time_of_day(text: str) -> time:
    try:
        hour, minute, second = [*map(int, text.split(":")), 0][:3]
        return time(hour, minute, second)
    except ValueError:
        raise UsageError(f"at is {text!r}, and there is no such time of day: write HH:MM") from None
