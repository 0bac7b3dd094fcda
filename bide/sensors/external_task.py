"""`ExternalTaskSensor`: waits for another DAG's task or run of the same logical date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Unpack

from bide.runtime.clock import to_us
from bide.runtime.errors import GraphError, UsageError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Linked
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules.calendar import following
from bide.runtime.schedules.zones import zone
from bide.sensors.base import Sensor, SensorOptions, in_zone, moment, moment_us
from bide.triggers.external_task import FAIL_STATES, SUCCESS_STATES, ExternalTaskTrigger

PERIODS: Final = ("hour", "day", "week", "month")
_ENDS: Final = frozenset({*SUCCESS_STATES, *FAIL_STATES})


class ExternalTaskSensor(Sensor):
    """Waits until `task` of the DAG `dag`, or its whole run, has ended in one of `states`.

    Which of its runs: the one of the same logical date; with `delta`, of that date plus `delta`
    (negative: earlier); with `at`, of that logical date; with `interval` (hour, day, week, month),
    of the calendar period, in this DAG's zone, that holds this run's date. With `cover=True` all of
    its runs that cover the interval of this run (moved by `delta`) or that period together: a
    daily run waits for 24 hourly ones. It fails at once when
    the other ends in one of `fail_on` (by default every end but success). No polling: the commit
    that ends the other wakes it.
    """

    __slots__ = ()

    kind = "external_task"
    poll_interval = timedelta(seconds=60)
    samples: ClassVar[Mapping[str, Any]] = {"at": 0}

    def __init__(
        self,
        name: str,
        *,
        dag: Any,
        task: str | None = None,
        delta: timedelta | None = None,
        at: datetime | str | Callable[..., Any] | Linked | None = None,
        interval: str | None = None,
        cover: bool = False,
        states: Sequence[str] = SUCCESS_STATES,
        fail_on: Sequence[str] | None = None,
        **options: Unpack[SensorOptions],
    ) -> None:
        self._title = f"the sensor {name!r}"
        other = dag if isinstance(dag, str) else getattr(dag, "name", None)
        if not isinstance(other, str) or not other or "{" in other:
            raise GraphError(f"{self._title}: dag is {dag!r}, and must be a DAG or its name")
        if task is not None and (task == "" or "{" in str(task)):
            raise GraphError(f"{self._title}: task is {task!r}, and must be the name of a task")
        if sum(given is not None for given in (delta, at, interval)) > 1:
            raise GraphError(f"{self._title}: delta, at and interval each say which run: give one of them")
        if interval is not None and interval not in PERIODS:
            raise GraphError(
                f"{self._title}: interval is {interval!r}, and must be one of {', '.join(PERIODS)}"
                f"{suggestion(str(interval), PERIODS)}"
            )
        asked: object = cover
        if not isinstance(asked, bool):
            raise GraphError(f"{self._title}: cover is {asked!r}, and must be True or False")
        if cover and at is not None:
            raise GraphError(f"{self._title}: at names one date and cover waits for several: leave one out")
        good = self._states(states, "states")
        if not good:
            raise GraphError(f"{self._title}: states is empty: nothing would end the wait well")
        bad = (
            tuple(state for state in FAIL_STATES if state not in good)
            if fail_on is None
            else self._states(fail_on, "fail_on")
        )
        if both := [state for state in good if state in bad]:
            raise GraphError(f"{self._title}: {both[0]!r} stands in states and in fail_on: choose one")
        params = {
            "dag": other,
            "task": task,
            "delta_us": self.span_param(delta, "delta"),
            "at": moment(at),
            "interval": interval,
            "cover": cover or None,
            "states": list(good),
            "fail_on": list(bad),
        }
        super().__init__(name, params, options)

    def _states(self, written: Sequence[str], option: str) -> tuple[str, ...]:
        names = (written,) if isinstance(written, str) else tuple(str(state) for state in written)
        for name in names:
            if name not in _ENDS:
                known = ", ".join(sorted(_ENDS))
                raise GraphError(
                    f"{self._title}: {option} holds {name!r}, and the ends there are: {known}"
                    f"{suggestion(name, _ENDS)}"
                )
        return names

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> ExternalTaskTrigger:
        until_us = None
        logical_us = facts.logical_us + params.get("delta_us", 0)
        if "at" in params:
            logical_us = moment_us(params["at"], facts, "at")
        elif "interval" in params:
            logical_us = _start_of(params["interval"], facts)
        if params.get("cover"):
            until_us = facts.end_us + params.get("delta_us", 0)
            if "interval" in params:
                until_us = following(logical_us, params["interval"], zone(facts.tz))
        return ExternalTaskTrigger(
            dag=params["dag"],
            task=params.get("task"),
            logical_us=logical_us,
            states=tuple(params["states"]),
            fail_on=tuple(params["fail_on"]),
            until_us=until_us,
        )


def _start_of(period: str, facts: Facts) -> int:
    """The beginning of the period that holds the run's logical date, in the DAG's zone."""
    date = facts.logical_date
    if period == "hour":
        return to_us(date.replace(minute=0, second=0, microsecond=0))
    day = datetime(date.year, date.month, date.day)  # noqa: DTZ001 - set into the zone below
    match period:
        case "day":
            start = day
        case "week":
            start = day - timedelta(days=day.weekday())
        case "month":
            start = day.replace(day=1)
        case _:
            raise UsageError(f"interval is {period!r}, and must be one of {', '.join(PERIODS)}")
    return to_us(in_zone(start, facts))
