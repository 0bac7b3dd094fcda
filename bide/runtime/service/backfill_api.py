"""The routes of backfills: `/api/v1/backfills`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Header
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from bide.runtime.errors import UsageError
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.runtime.service.doors import Doors


class PlanBody(BaseModel):
    """What a backfill is to be; dates without a zone are read in the DAG's."""

    model_config = ConfigDict(extra="forbid", strict=True)
    dag: str
    from_: str = Field(alias="from")
    to: str
    every: str | None = None
    order: str = "oldest"
    max_active: int | None = None
    overwrite: str = "skip"
    weight: int = 1
    tasks: list[str] = []
    params: dict[str, Any] = {}
    asset_caps: dict[str, int] = {}


class StartBody(PlanBody):
    """With the `hash` of a plan: only if that is still what it would do."""

    hash: str | None = None


class ResumeBody(BaseModel):
    """`failed`: what failed or was cancelled is taken up again."""

    model_config = ConfigDict(extra="forbid", strict=True)
    failed: bool = False


class CancelBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    reason: str = Field(default="", max_length=10_000)


def _request(body: PlanBody) -> BackfillRequest:
    try:
        return msgspec.convert(body.model_dump(by_alias=True, exclude={"hash"}), BackfillRequest)
    except msgspec.ValidationError as error:
        raise UsageError(f"{error}; /api/v1/openapi.json shows what this route takes") from None


def backfill_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    """Add them; `answer` makes a response of a value."""

    @app.post("/api/v1/backfills/plan")
    async def plan_backfill(body: PlanBody) -> Response:
        return answer(await ops.backfills.plan(_request(body)))

    @app.post("/api/v1/backfills", status_code=201)
    async def start_backfill(
        body: StartBody, idempotency_key: Annotated[str | None, Header(max_length=255)] = None
    ) -> Response:
        return answer(await ops.backfills.start(_request(body), body.hash, idempotency_key), 201)

    @app.get("/api/v1/backfills")
    async def backfills(dag: str | None = None, limit: int = 50) -> Response:
        return answer(await ops.backfills.listed(dag, limit))

    @app.get("/api/v1/backfills/{backfill}")
    async def backfill(backfill: str, state: str | None = None, limit: int = 100_000) -> Response:
        return answer(await ops.backfills.show(backfill, state, limit))

    @app.post("/api/v1/backfills/{backfill}/pause")
    async def pause_backfill(backfill: str) -> Response:
        return answer(await ops.backfills.pause(backfill))

    @app.post("/api/v1/backfills/{backfill}/resume")
    async def resume_backfill(backfill: str, body: ResumeBody | None = None) -> Response:
        return answer(await ops.backfills.resume(backfill, body.failed if body else False))

    @app.post("/api/v1/backfills/{backfill}/cancel")
    async def cancel_backfill(backfill: str, body: CancelBody | None = None) -> Response:
        return answer(await ops.backfills.cancel(backfill, body.reason if body else ""))
