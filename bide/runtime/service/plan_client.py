"""The operations on rerun plans over a service's socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from bide.runtime.assets.rerun import RerunPlan
from bide.runtime.service.plan_shapes import PlanLine, PlanRun, PlanShown
from bide.runtime.service.shapes import Done


class PlanClient:
    """`get` and `post` are those of `ServiceClient`."""

    def __init__(self, get: Callable[..., Any], post: Callable[..., Any]) -> None:
        self._get, self._post = get, post

    async def make(self, invalidation: str, keep: bool = True) -> RerunPlan:
        found: RerunPlan = self._post(RerunPlan, "/plans", {"invalidation": invalidation, "keep": keep})
        return found

    async def listed(self, limit: int = 50) -> list[PlanLine]:
        found: list[PlanLine] = self._get(list[PlanLine], "/plans", limit=limit)
        return found

    async def show(self, plan: str) -> PlanShown:
        found: PlanShown = self._get(PlanShown, _at(plan))
        return found

    async def approve(self, plan: str, plan_hash: str, by: str, why: str) -> Done:
        done: Done = self._post(Done, f"{_at(plan)}/approve", {"hash": plan_hash, "by": by, "why": why})
        return done

    async def run(self, plan: str, plan_hash: str) -> PlanRun:
        found: PlanRun = self._post(PlanRun, f"{_at(plan)}/run", {"hash": plan_hash})
        return found

    async def cancel(self, plan: str, reason: str = "") -> Done:
        done: Done = self._post(Done, f"{_at(plan)}/cancel", {"reason": reason})
        return done


def _at(plan: str) -> str:
    return f"/plans/{quote(plan, safe='')}"
