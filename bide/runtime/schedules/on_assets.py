"""`OnAssets`: a run when assets have new versions; its interval is that of the versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal, cast

import msgspec

from bide.runtime.assets.asset import Asset, Condition, condition, in_words, names_of
from bide.runtime.errors import BideError, ScheduleError
from bide.runtime.schedules.base import Schedule
from bide.runtime.schedules.calendar import Period, floor, following, previous
from bide.runtime.schedules.zones import zone

if TYPE_CHECKING:
    Given = Condition | Asset
else:  # as it is kept: plain data
    Given = Condition
CONSUME: Final = ("each", "latest", "batch")
PERIODS: Final = ("hour", "day", "week", "month")
_WORDS: Final = {
    "each": "a run for each version",
    "latest": "a run for the newest version",
    "batch": "a run for all versions so far",
}


class OnAssets(Schedule, frozen=True, tag="on_assets"):
    """`OnAssets(a & (b | c), consume="each")`: runs made of versions of assets.

    `consume` says what becomes of several versions: `"each"` makes a run for each (of `a & b` for
    each interval that both have), `"latest"` one for the newest, `"batch"` one for all of them; in
    the last two, versions gather while `max_active_runs` runs of the DAG are not over.
    `interval="day"` (hour, week, month; in `tz`, else the DAG's zone) makes a run for each such
    period that the versions of every asset cover: 24 hours make a day, and a day makes 24 hours.
    A DAG that is loaded for the first time begins with the next version; with `backlog=True` it
    takes every version there is.
    """

    event: ClassVar[bool] = True

    assets: Given
    consume: Literal["each", "latest", "batch", ""] = ""
    interval: Period | None = None
    tz: str | None = None
    backlog: bool = False

    def __post_init__(self) -> None:
        change = msgspec.structs.force_setattr
        try:
            change(self, "assets", condition(self.assets))
        except BideError as error:
            raise ScheduleError(f"OnAssets: {error}") from None
        if self.consume not in CONSUME:
            asked = f"consume is {self.consume!r}" if self.consume else "it does not say what it consumes"
            raise ScheduleError(
                f'OnAssets({in_words(self.condition)}): {asked}: write consume="each" (a run for each version), '
                '"latest" (one for the newest) or "batch" (one for all so far)'
            )
        if self.interval is not None and self.interval not in PERIODS:
            raise ScheduleError(
                f"OnAssets({in_words(self.condition)}): interval is {self.interval!r}, and must be one of "
                f"{', '.join(PERIODS)}; without it a run has the interval of its versions"
            )
        if self.tz is not None:
            zone(self.tz)

    @property
    def condition(self) -> Condition:
        """What it waits for, as plain data."""
        return cast("Condition", self.assets)

    @property
    def names(self) -> tuple[str, ...]:
        """The assets it looks at, each once."""
        return names_of(self.condition)

    def in_zone(self, tz: str) -> Schedule:
        if self.interval is None or self.tz is not None:
            return self
        return msgspec.structs.replace(self, tz=tz)

    @property
    def zone_name(self) -> str | None:
        return self.tz

    def interval_for(self, date_us: int | None, now_us: int, anchor_us: int | None = None) -> tuple[int, int]:
        if self.interval is None:
            return super().interval_for(date_us, now_us, anchor_us)
        if date_us is not None:
            return self.period(date_us)
        return self.period(previous(self.period(now_us)[0], self.interval, zone(self.tz or "UTC")))

    def period(self, us: int) -> tuple[int, int]:
        """The period `[start, end)` that holds an instant. Only where there is an `interval`."""
        assert self.interval is not None
        tz = zone(self.tz or "UTC")
        start = floor(us, self.interval, tz)
        return start, following(start, self.interval, tz)

    def describe(self) -> str:
        words = f"when {in_words(self.condition)} {'has' if len(self.names) == 1 else 'have'} a new version, "
        if self.interval is None:
            return words + _WORDS[self.consume]
        which = "the newest" if self.consume == "latest" else "each"
        return f"{words}a run for {which} {self.interval} ({self.tz or 'UTC'}) that they cover"


def on_assets(schedule: Schedule | None) -> OnAssets | None:
    """The part of a schedule that looks at assets, if any."""
    parts = () if schedule is None else schedule.parts()
    return next((part for part in parts if isinstance(part, OnAssets)), None)
