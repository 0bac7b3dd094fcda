"""When runs are due. Pure: instants go in, firings come out; no clock is read here."""

from __future__ import annotations

from bide.runtime.schedules.any_of import AnyOf
from bide.runtime.schedules.base import Firing, Schedule
from bide.runtime.schedules.catchup import Within, within
from bide.runtime.schedules.cron import Cron
from bide.runtime.schedules.every import Every
from bide.runtime.schedules.manual import Manual
from bide.runtime.schedules.on import On
from bide.runtime.schedules.on_assets import OnAssets
from bide.runtime.schedules.stored import schedule_from_json

__all__ = [
    "AnyOf",
    "Cron",
    "Every",
    "Firing",
    "Manual",
    "On",
    "OnAssets",
    "Schedule",
    "Within",
    "schedule_from_json",
    "within",
]
