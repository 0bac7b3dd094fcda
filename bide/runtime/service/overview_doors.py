"""What every door offers on how all of it stands: one answer for the first page."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.overview_shapes import HomeShown
from bide.runtime.service.route import get


class OverviewDoors(Protocol):
    """How all of it stands."""

    @get("/home")
    async def home(self) -> HomeShown:
        """Show what needs a person first, then what runs, what comes, and what of it all is in use."""
        ...
