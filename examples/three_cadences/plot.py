"""What happens on the day: when each source breaks and comes back, and what people do about it.

Instants are hours of the day in the DAGs' zone, counted on past midnight: 26.17 is 02:10 of the next day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from examples.three_cadences.dags import PACIFIC, micros


class Plot(msgspec.Struct, frozen=True):
    """One day. `speed`: how many times as fast as real time it passes."""

    day: str
    speed: float
    begins: float
    ends: float
    api_down: tuple[float, float]
    broker_down: tuple[float, float]
    batch_dies: float
    reruns: float
    crm_comes: float
    """Promised for 01:30."""
    whole_day: bool
    """Whether the day is seen from its beginning: then three assets cover it, else the clock makes the mart."""

    def at(self, hour: float) -> int:
        """Epoch microseconds of an hour of the day."""
        midnight = datetime.fromisoformat(self.day).replace(tzinfo=ZoneInfo(PACIFIC))
        return micros(midnight.astimezone(UTC) + timedelta(hours=hour))

    @property
    def start_us(self) -> int:
        return self.at(self.begins)

    @property
    def real_s(self) -> float:
        """How long it takes."""
        return (self.ends - self.begins) * 3600 / self.speed


WHOLE = Plot(
    day="2026-06-15", speed=1440, begins=0.0, ends=29.9, api_down=(9.0, 9 + 40 / 60), broker_down=(14.0, 15.0),
    batch_dies=11.0, reruns=10.5, crm_comes=26 + 10 / 60, whole_day=True,
)  # fmt: skip
"""From midnight to 05:54 of the next morning, in 75 seconds."""

EVENING = Plot(
    day="2026-06-15", speed=2880, begins=22.0, ends=29.2, api_down=(23.45, 23.45 + 40 / 60),
    broker_down=(22.25, 23.25), batch_dies=24.5, reruns=24.75, crm_comes=26 + 10 / 60, whole_day=False,
)  # fmt: skip
"""From 22:00 to 05:12, in nine seconds: the day is not covered, so the clock makes the mart at 05:00."""
