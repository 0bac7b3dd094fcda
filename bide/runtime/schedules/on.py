"""A run each time something happens in the world: a trigger that is waited for without a run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path, PurePath
from typing import Any, ClassVar, Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import span_us
from bide.runtime.errors import BideError, ScheduleError
from bide.runtime.schedules.base import Schedule
from bide.triggers import decode_trigger, encode_trigger, kind_of
from bide.triggers.base import Trigger

_LEAST: Final = timedelta(milliseconds=10)
_INSTEAD: Final = {
    "time": 'an instant comes once: use Cron("...") or Every(...)',
    "external_task": "a run of one date ends once: let that task have an outlet, and use OnAssets(...)",
    "python": "a function belongs to a task: use a PythonSensor in a DAG with Every(...)",
}


class On(Schedule, frozen=True, tag="on"):
    """`On(FileTrigger(glob="drops/*.csv"))`: a run each time the trigger fires.

    The trigger is held as long as the DAG is loaded and not paused, without a run and without a
    slot; `poll_interval` is between looks, where looks are made. The same event makes one run,
    whatever dies in between: another event makes another. The run has the event as its parameter
    `event`, and an empty interval at the instant it fired, unless the event names an `interval`.
    """

    event: ClassVar[bool] = True

    trigger: Any
    poll_interval: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if isinstance(self.trigger, dict):
            return  # stored, and of a kind that is not installed here
        if not isinstance(self.trigger, Trigger):
            raise ScheduleError(
                f"On({self.trigger!r}) takes a trigger of bide.triggers, such as FileTrigger(path=...)"
            )
        if (instead := _INSTEAD.get(kind_of(self.trigger))) is not None:
            raise ScheduleError(f"On({type(self.trigger).__name__}) cannot be a schedule: {instead}")
        try:
            encode_trigger(self.trigger)
        except BideError as error:
            raise ScheduleError(f"On({type(self.trigger).__name__}): {error}") from None
        period: object = self.poll_interval
        if not isinstance(period, timedelta) or period < _LEAST:
            raise ScheduleError(f"On: poll_interval is {period!r}, and must be a timedelta of 10 ms or more")

    @property
    def poll_us(self) -> int:
        return span_us(self.poll_interval)

    def standing(self) -> Trigger | None:
        return self.trigger if isinstance(self.trigger, Trigger) else None

    def in_folder(self, folder: Path) -> Schedule:
        given = {key: getattr(self.trigger, key, None) for key in ("path", "glob")}
        under = {key: str(PurePath(folder) / path) for key, path in given.items() if path}
        if not under or not isinstance(self.trigger, Trigger) or kind_of(self.trigger) != "file":
            return self
        return On(msgspec.structs.replace(self.trigger, **under), self.poll_interval)

    def describe(self) -> str:
        trigger = self.standing()
        if trigger is None:
            return f"on a trigger of the kind {self.trigger.get('kind')!r}, which is not installed"
        words, kind = trigger.describe(), kind_of(trigger)
        return f"on {words if words.startswith(kind) else f'{kind} {words}'}"


def on_from(raw: dict[str, Any]) -> On:
    """The schedule as it was stored; a trigger whose kind is not installed is kept as it is."""
    trigger: Any = raw["trigger"]
    try:
        trigger = decode_trigger(msgspec.json.encode(trigger))
    except BideError:
        pass  # the DAG says so; nothing else of the database is hindered
    rest = {"poll_interval": raw["poll_interval"]} if "poll_interval" in raw else {}
    return On(trigger, **{key: typed.convert(value, timedelta) for key, value in rest.items()})
