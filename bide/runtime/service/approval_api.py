"""The routes of approvals: `/api/v1/approvals`."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from bide.runtime.service.doors import Doors


class AnswerBody(BaseModel):
    """Who decides, and why; both are kept."""

    model_config = ConfigDict(extra="forbid", strict=True)
    by: str = Field(max_length=200)
    why: str = Field(max_length=10_000)


def approval_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    """Add them; `answer` makes a response of a value. `only` in place of a number: the one that is open."""

    @app.get("/api/v1/approvals")
    async def approvals(state: str = "open", run: str | None = None, limit: int = 100) -> Response:
        return answer(await ops.approvals.listed(None if state == "all" else state, run, limit))

    @app.post("/api/v1/approvals/{approval}/approve")
    async def approve(approval: str, body: AnswerBody) -> Response:
        return answer(await ops.approvals.approve(_or_only(approval), body.by, body.why))

    @app.post("/api/v1/approvals/{approval}/reject")
    async def reject(approval: str, body: AnswerBody) -> Response:
        return answer(await ops.approvals.reject(_or_only(approval), body.by, body.why))


def _or_only(approval: str) -> str | None:
    return None if approval == "only" else approval
