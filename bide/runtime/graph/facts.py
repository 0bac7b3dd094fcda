"""What is known about one task instance when its code starts or its templates are rendered."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from bide.runtime.clock import from_us


class Interval(NamedTuple):
    """A data interval `[start, end)`, aware datetimes in the DAG's zone.

    >>> from datetime import UTC
    >>> str(Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)))
    '2026-01-01T00:00:00+00:00/2026-01-02T00:00:00+00:00'
    """

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.start.isoformat()}/{self.end.isoformat()}"


RERUN = "bide.rerun"
"""The parameter under which a step of a rerun plan knows what it is."""


class Rerun(msgspec.Struct, frozen=True):
    """What a step of a rerun plan makes anew: the plan's number, and of each asset how, and instead of which versions.

    The words of `modes` are those of the plan: `stage_validate_replace`, `append_correction`, `rebuild`, ...
    """

    plan: str
    step: str
    modes: dict[str, str] = {}
    replaces: dict[str, tuple[str, ...]] = {}


class Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The facts of an instance; instants are epoch microseconds, UTC."""

    dag: str
    task: str
    run_id: int
    map_index: int = -1
    attempt: int = 1
    logical_us: int
    start_us: int
    end_us: int
    scheduled_us: int
    params: dict[str, Any] = {}
    tz: str = "UTC"
    folder: str = "."

    def _local(self, at_us: int) -> datetime:
        return from_us(at_us).astimezone(ZoneInfo(self.tz))

    @property
    def logical_date(self) -> datetime:
        """The start of the interval, in the DAG's zone."""
        return self._local(self.logical_us)

    @property
    def interval(self) -> Interval:
        return Interval(self._local(self.start_us), self._local(self.end_us))

    @property
    def scheduled_for(self) -> datetime:
        """The instant the run was due, in the DAG's zone."""
        return self._local(self.scheduled_us)
