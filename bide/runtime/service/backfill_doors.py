"""What every door offers on backfills: the database itself, and the service at its socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.backfill_shapes import (
    BackfillLine,
    BackfillPlan,
    BackfillRequest,
    BackfillShown,
    BackfillStarted,
)
from bide.runtime.service.shapes import Done


class BackfillDoors(Protocol):
    """The operations on backfills; they are named by their number, "3"."""

    async def plan(self, request: BackfillRequest) -> BackfillPlan:
        """A dry run: nothing is written."""
        ...

    async def start(
        self, request: BackfillRequest, plan_hash: str | None = None, key: str | None = None
    ) -> BackfillStarted: ...

    async def listed(self, dag: str | None = None, limit: int = 50) -> list[BackfillLine]: ...

    async def show(self, backfill: str, state: str | None = None, limit: int = 100_000) -> BackfillShown: ...

    async def pause(self, backfill: str) -> Done: ...

    async def resume(self, backfill: str, failed: bool = False) -> Done: ...

    async def cancel(self, backfill: str, reason: str = "") -> Done: ...
