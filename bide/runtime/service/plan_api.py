"""The routes of rerun plans: `/api/v1/plans`."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from bide.runtime.service.doors import Doors


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PlanBody(_Body):
    """`keep` false: the plan is only looked at."""

    invalidation: str
    keep: bool = True


class ApproveBody(_Body):
    """`hash` is that of the plan that was read."""

    hash: str
    by: str = Field(max_length=1_000)
    why: str = Field(max_length=10_000)


class RunBody(_Body):
    hash: str


class CancelBody(_Body):
    reason: str = Field(default="", max_length=10_000)


def plan_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    """Add them; `answer` makes a response of a value."""

    @app.post("/api/v1/plans", status_code=201)
    async def make_plan(body: PlanBody) -> Response:
        return answer(await ops.plans.make(body.invalidation, body.keep), 201)

    @app.get("/api/v1/plans")
    async def plans(limit: int = 50) -> Response:
        return answer(await ops.plans.listed(limit))

    @app.get("/api/v1/plans/{plan}")
    async def plan(plan: str) -> Response:
        return answer(await ops.plans.show(plan))

    @app.post("/api/v1/plans/{plan}/approve")
    async def approve_plan(plan: str, body: ApproveBody) -> Response:
        return answer(await ops.plans.approve(plan, body.hash, body.by, body.why))

    @app.post("/api/v1/plans/{plan}/run")
    async def run_plan(plan: str, body: RunBody) -> Response:
        return answer(await ops.plans.run(plan, body.hash))

    @app.post("/api/v1/plans/{plan}/cancel")
    async def cancel_plan(plan: str, body: CancelBody | None = None) -> Response:
        return answer(await ops.plans.cancel(plan, body.reason if body else ""))
