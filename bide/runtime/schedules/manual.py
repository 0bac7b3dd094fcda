"""No schedule: runs start when somebody asks for one."""

from __future__ import annotations

from bide.runtime.schedules.base import Schedule


class Manual(Schedule, frozen=True, tag="manual"):
    """Started by hand, by a program or by a webhook only. The interval is empty: `[date, date)`."""

    def describe(self) -> str:
        return "started by hand"
