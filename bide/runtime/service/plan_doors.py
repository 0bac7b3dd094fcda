"""What every door offers on rerun plans: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.assets.rerun import RerunPlan
from bide.runtime.service.plan_shapes import PlanLine, PlanRun, PlanShown
from bide.runtime.service.route import Limit, Person, Text, get, post
from bide.runtime.service.shapes import Done


class PlanDoors(Protocol):
    """The operations on rerun plans; they are named by their number, "3"."""

    @post("/plans", status=201, kept=True)
    async def make(self, invalidation: str, keep: bool = True) -> RerunPlan:
        """Make the plan that mends an invalidation as things are now.

        `keep` false: it is only looked at.
        """
        ...

    @get("/plans", pages="plan_id")
    async def listed(self, limit: Limit = 50, before: str | None = None) -> list[PlanLine]:
        """List rerun plans, the newest first."""
        ...

    @get("/plans/{plan}", tagged="plan")
    async def show(self, plan: str) -> PlanShown:
        """Show a rerun plan and how far it is."""
        ...

    @post("/plans/{plan}/approve", scope="admin", names={"plan_hash": "hash"}, tagged="plan")
    async def approve(self, plan: str, plan_hash: str, by: Person, why: Text) -> Done:
        """Approve the plan that was read: `hash` is its own."""
        ...

    @post("/plans/{plan}/run", names={"plan_hash": "hash"}, tagged="plan")
    async def run(self, plan: str, plan_hash: str) -> PlanRun:
        """Run the plan that was read; of one that runs or ran, nothing is changed.

        It is refused when a plan made now would do something else.
        """
        ...

    @post("/plans/{plan}/cancel", tagged="plan")
    async def cancel(self, plan: str, reason: Text = "") -> Done:
        """Cancel a plan, and its runs with it."""
        ...
