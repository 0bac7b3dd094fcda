"""What every door offers on rerun plans: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.assets.rerun import RerunPlan
from bide.runtime.service.plan_shapes import PlanLine, PlanRun, PlanShown
from bide.runtime.service.shapes import Done


class PlanDoors(Protocol):
    """The operations on rerun plans; they are named by their number, "3"."""

    async def make(self, invalidation: str, keep: bool = True) -> RerunPlan:
        """The plan that mends an invalidation as things are now. `keep=False`: it is only looked at."""
        ...

    async def listed(self, limit: int = 50) -> list[PlanLine]: ...

    async def show(self, plan: str) -> PlanShown: ...

    async def approve(self, plan: str, plan_hash: str, by: str, why: str) -> Done: ...

    async def run(self, plan: str, plan_hash: str) -> PlanRun:
        """Refused when a plan made now would do something else; of one that runs or ran, nothing is changed."""
        ...

    async def cancel(self, plan: str, reason: str = "") -> Done: ...
