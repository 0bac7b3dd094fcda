"""Schedules as they are stored: JSON with their kind."""

from __future__ import annotations

import msgspec

from bide.runtime.errors import ScheduleError
from bide.runtime.schedules.base import Schedule
from bide.runtime.schedules.cron import Cron
from bide.runtime.schedules.every import Every
from bide.runtime.schedules.manual import Manual


def schedule_from_json(data: bytes | str) -> Schedule:
    """The schedule that `Schedule.to_json` wrote."""
    try:
        return msgspec.json.decode(data, type=Manual | Every | Cron)
    except msgspec.MsgspecError as error:
        raise ScheduleError(f"the stored schedule {data!r} cannot be read: {error}") from None
