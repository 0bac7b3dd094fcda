"""No schedule: runs start when somebody asks for one."""

from __future__ import annotations

from bide.runtime.schedules.base import Firing, Schedule


class Manual(Schedule, frozen=True, tag="manual"):
    """Started by hand, by a program or by a webhook only. The interval is empty: `[date, date)`."""

    def next_after(self, us: int, anchor_us: int | None = None) -> Firing | None:
        return None

    def last_until(self, us: int, anchor_us: int | None = None) -> Firing | None:
        return None

    def interval_for(self, date_us: int | None, now_us: int, anchor_us: int | None = None) -> tuple[int, int]:
        at = now_us if date_us is None else date_us
        return at, at

    def describe(self) -> str:
        return "started by hand"
