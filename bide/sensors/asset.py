"""`AssetSensor`: waits for the version of an asset that goes with the run's interval."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Unpack

from bide.runtime.assets.asset import check_asset_name
from bide.runtime.errors import GraphError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules.calendar import floor, following
from bide.runtime.schedules.zones import zone
from bide.sensors.base import Sensor, SensorOptions
from bide.triggers.asset import AssetTrigger

SAME: Final = "same"
_INTERVALS: Final = (SAME, "hour", "day", "week", "month")


class AssetSensor(Sensor):
    """Waits until there is a version of `asset` for the run's interval.

    `interval="same"`: of exactly the run's interval; with `delta` of that moved by `delta`
    (negative: earlier). `interval="day"` (hour, week, month): versions that cover the calendar
    period, in this DAG's zone, that holds the run's date: a daily run waits for its 24 hours, an
    hourly one for its day. No polling: the commit that publishes the version wakes it.
    """

    __slots__ = ()

    kind = "asset"
    poll_interval = timedelta(seconds=60)

    def __init__(
        self,
        name: str,
        *,
        asset: Any,
        interval: str = SAME,
        delta: timedelta | None = None,
        **options: Unpack[SensorOptions],
    ) -> None:
        self._title = f"the sensor {name!r}"
        other = asset if isinstance(asset, str) else getattr(asset, "name", None)
        if not isinstance(other, str):
            raise GraphError(f"{self._title}: asset is {asset!r}, and must be an Asset or its name")
        check_asset_name(other)
        if interval not in _INTERVALS:
            raise GraphError(
                f"{self._title}: interval is {interval!r}, and must be one of {', '.join(_INTERVALS)}"
                f"{suggestion(str(interval), _INTERVALS)}"
            )
        params = {
            "asset": other,
            "interval": None if interval == SAME else interval,
            "delta_us": self.span_param(delta, "delta"),
        }
        super().__init__(name, params, options)

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> AssetTrigger:
        delta = params.get("delta_us", 0)
        start, end, period = facts.start_us + delta, facts.end_us + delta, params.get("interval")
        if period is not None:
            tz = zone(facts.tz)
            start = floor(start, period, tz)
            end = following(start, period, tz)
        return AssetTrigger(asset=params["asset"], start_us=start, end_us=end, cover=period is not None)
