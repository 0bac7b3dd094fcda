"""What every door offers on the process and the database themselves."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.route import get
from bide.runtime.service.system_shapes import PulseShown, SystemShown


class SystemDoors(Protocol):
    """The process that holds a database, and the database."""

    @get("/system")
    async def show(self) -> SystemShown:
        """Show what a service is made of: versions, settings with where each comes from, sources, what held the loop."""
        ...

    @get("/system/pulse")
    async def pulse(self) -> PulseShown:
        """Show how a service is at this moment: how late its loop is, what is to be decided, who follows its events."""
        ...
