"""What every door offers on backfills: the database itself, and the service at its socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.backfill_shapes import (
    BackfillLine,
    BackfillPlan,
    BackfillProgress,
    BackfillRequest,
    BackfillShown,
    BackfillStarted,
    IntervalLine,
)
from bide.runtime.service.route import Limit, Number, Text, get, post
from bide.runtime.service.shapes import Done


class BackfillDoors(Protocol):
    """The operations on backfills; they are named by their number, "3"."""

    @post("/backfills/plan", scope="read", once=False)
    async def plan(self, request: BackfillRequest) -> BackfillPlan:
        """Plan a backfill: a dry run, nothing is written."""
        ...

    @post("/backfills", status=201, names={"plan_hash": "hash"})
    async def start(
        self, request: BackfillRequest, plan_hash: str | None = None, key: str | None = None
    ) -> BackfillStarted:
        """Start a backfill; with the `hash` of a plan, only if that is still what it would do."""
        ...

    @get("/backfills", pages="backfill_id")
    async def listed(
        self, dag: str | None = None, limit: Limit = 50, before: str | None = None
    ) -> list[BackfillLine]:
        """List backfills, the newest first."""
        ...

    @get("/backfills/{backfill}", tagged="backfill", pages="place", parts={"intervals": "place"})
    async def show(
        self, backfill: str, state: str | None = None, limit: Limit = 100_000, before: str | None = None
    ) -> BackfillShown:
        """Show a backfill and its intervals."""
        ...

    @get("/backfills/{backfill}/intervals", pages="place")
    async def intervals(
        self,
        backfill: str,
        state: str | None = None,
        place: Number | None = None,
        limit: Limit = 100,
        before: str | None = None,
    ) -> list[IntervalLine]:
        """List the intervals of a backfill, in its order; `place`: the one that stands there.

        Here a page goes on after the place where the one before ended.
        """
        ...

    @get("/backfills/{backfill}/progress")
    async def progress(self, backfill: str, starts: bool = False) -> BackfillProgress:
        """Show how far every interval of a backfill is, in a letter each; `starts`: and when each begins."""
        ...

    @post("/backfills/{backfill}/pause", tagged="backfill")
    async def pause(self, backfill: str) -> Done:
        """Let a backfill make no more runs."""
        ...

    @post("/backfills/{backfill}/resume", tagged="backfill")
    async def resume(self, backfill: str, failed: bool = False) -> Done:
        """Let a backfill go on; `failed`: what failed or was cancelled is taken up again."""
        ...

    @post("/backfills/{backfill}/cancel", tagged="backfill")
    async def cancel(self, backfill: str, reason: Text = "") -> Done:
        """Cancel a backfill and its runs."""
        ...
