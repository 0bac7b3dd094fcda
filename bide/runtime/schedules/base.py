"""What every schedule can answer: the next firing, and the interval that holds a date."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Firing(NamedTuple):
    """One run that is due: when, and for which data interval `[start, end)`. Microseconds, UTC."""

    fires_us: int
    start_us: int
    end_us: int


class Schedule(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True, repr_omit_defaults=True):
    """The base of all schedules: plain data, stored as JSON."""

    def next_after(self, us: int, anchor_us: int | None = None) -> Firing | None:
        """The first firing strictly after `us`; None when there is none.

        `anchor_us` is the instant the DAG was first loaded, for schedules that count from it.
        """
        raise NotImplementedError

    def last_until(self, us: int, anchor_us: int | None = None) -> Firing | None:
        """The last firing at or before `us`, found without stepping through those before."""
        raise NotImplementedError

    def interval_for(self, date_us: int | None, now_us: int, anchor_us: int | None = None) -> tuple[int, int]:
        """(start, end) of the interval for a manual run.

        With a date: the interval of this schedule's grid that holds it. Without one: the last
        interval that is complete at `now_us`.
        """
        raise NotImplementedError

    def in_zone(self, _tz: str) -> Schedule:
        """The same schedule in the DAG's zone, where it has none of its own."""
        return self

    @property
    def zone_name(self) -> str | None:
        """The zone it was given, if any."""
        return None

    def describe(self) -> str:
        """In words: `at 02:00 every day, Europe/Berlin, for the day before`."""
        raise NotImplementedError

    def to_json(self) -> bytes:
        """As it is stored; `schedule_from_json` reads it back."""
        return msgspec.json.encode(self)
