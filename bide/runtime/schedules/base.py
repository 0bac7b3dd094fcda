"""What every schedule can answer: the next firing, and the interval that holds a date."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NamedTuple

import msgspec

from bide.triggers.base import Trigger


class Firing(NamedTuple):
    """One run that is due: when, and for which data interval `[start, end)`. Microseconds, UTC."""

    fires_us: int
    start_us: int
    end_us: int


class Schedule(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True, repr_omit_defaults=True):
    """The base of all schedules: plain data, stored as JSON.

    A kind is of one of two sorts. Those of the clock answer `next_after` and `last_until`, and the
    engine keeps one timer a DAG for them. Those of events set `event` and leave both as they are: what
    wakes them creates the run itself, and finds them with `parts`, in an `AnyOf` too. `standing` is
    the trigger that the engine holds for such a kind, if it is one.
    """

    event: ClassVar[bool] = False
    """Its runs are made by something that happens, not by the clock."""

    def parts(self) -> tuple[Schedule, ...]:
        """What it is made of: itself, or the members of an `AnyOf` in their order."""
        return (self,)

    def standing(self) -> Trigger | None:
        """What is waited for as long as the DAG is loaded: each time it comes true, a run is made."""
        return None

    def in_folder(self, _folder: Path) -> Schedule:
        """The same schedule, where relative paths are under the folder of the DAG's file."""
        return self

    def next_after(self, us: int, anchor_us: int | None = None) -> Firing | None:
        """The first firing strictly after `us`; None when there is none.

        `anchor_us` is the instant the DAG was first loaded, for schedules that count from it.
        """
        return None

    def last_until(self, us: int, anchor_us: int | None = None) -> Firing | None:
        """The last firing at or before `us`, found without stepping through those before."""
        return None

    def interval_for(self, date_us: int | None, now_us: int, anchor_us: int | None = None) -> tuple[int, int]:
        """(start, end) of the interval for a manual run.

        With a date: the interval of this schedule's grid that holds it. Without one: the last
        interval that is complete at `now_us`. Without a grid: the instant itself, `[date, date)`.
        """
        at = now_us if date_us is None else date_us
        return at, at

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
