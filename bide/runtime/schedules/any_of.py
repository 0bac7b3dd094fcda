"""Several schedules of one DAG: whichever is due first makes the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import force_setattr

from bide.runtime.errors import ScheduleError
from bide.runtime.schedules.base import Firing, Schedule
from bide.runtime.schedules.manual import Manual
from bide.runtime.schedules.on_assets import OnAssets


class _Members(type(Schedule)):  # type: ignore[misc]  # msgspec types its metaclass as plain `type`
    """Takes the members one by one, as they are written."""

    def __call__(cls, *members: Schedule) -> Any:
        return super().__call__(members)


class AnyOf(Schedule, frozen=True, tag="any_of", metaclass=_Members):
    """`AnyOf(On(trigger), Every(hours=6))`: an event with a fallback.

    The first member that is due makes the run, and its reason says which. A firing of the clock
    whose interval has a run of this DAG already, whatever made that, is skipped and recorded: the
    fallback fires for what no event has brought. An event always makes its run. Of two members that
    are due at one instant the one named first makes it.
    """

    members: tuple[Schedule, ...]

    if TYPE_CHECKING:

        def __init__(self, *members: Schedule) -> None: ...

    def __post_init__(self) -> None:
        flat: list[Schedule] = []
        for member in self.members:
            if not isinstance(member, Schedule):
                raise ScheduleError(f"AnyOf takes schedules, such as Every(hours=6), and not {member!r}")
            if isinstance(member, Manual):
                raise ScheduleError("AnyOf with Manual(): a DAG can always be started by hand; leave it out")
            flat += member.parts()
        if sum(isinstance(member, OnAssets) for member in flat) > 1:
            raise ScheduleError("AnyOf with OnAssets twice: join their assets by | in one OnAssets")
        if len(flat) < 2:
            raise ScheduleError(
                f"AnyOf takes two schedules or more, and has {len(flat)}: use the schedule itself"
            )
        if len({member.to_json() for member in flat}) < len(flat):
            raise ScheduleError("AnyOf has the same schedule twice: leave one of them out")
        force_setattr(self, "members", tuple(flat))

    def parts(self) -> tuple[Schedule, ...]:
        return self.members

    def in_zone(self, tz: str) -> Schedule:
        return AnyOf(*(member.in_zone(tz) for member in self.members))

    def in_folder(self, folder: Path) -> Schedule:
        return AnyOf(*(member.in_folder(folder) for member in self.members))

    @property
    def zone_name(self) -> str | None:
        return next((member.zone_name for member in self.members if member.zone_name), None)

    def next_after(self, us: int, anchor_us: int | None = None) -> Firing | None:
        found = [member.next_after(us, anchor_us) for member in self.members]
        return min((one for one in found if one is not None), key=lambda one: one.fires_us, default=None)

    def last_until(self, us: int, anchor_us: int | None = None) -> Firing | None:
        found = [member.last_until(us, anchor_us) for member in self.members]
        return max((one for one in found if one is not None), key=lambda one: one.fires_us, default=None)

    def due_at(self, fires_us: int, anchor_us: int | None = None) -> list[tuple[Schedule, Firing]]:
        """The members that fire at this very instant, in their order, each with its firing."""
        found = [(member, member.next_after(fires_us - 1, anchor_us)) for member in self.members]
        return [(member, one) for member, one in found if one is not None and one.fires_us == fires_us]

    def interval_for(self, date_us: int | None, now_us: int, anchor_us: int | None = None) -> tuple[int, int]:
        """By the grid of the first member that has one."""
        grid = next((member for member in self.members if not member.event), self.members[0])
        return grid.interval_for(date_us, now_us, anchor_us)

    def describe(self) -> str:
        return ", or ".join(member.describe() for member in self.members)
