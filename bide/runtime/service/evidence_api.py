"""The routes of evidence: `/api/v1/evidence/checklist/ASSET` and `/api/v1/incidents`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from bide.runtime.service.doors import Doors


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    by: str = Field(default="", max_length=1_000)


class OpenBody(_Body):
    """Of an `asset`, or of an `invalidation`."""

    title: str = Field(max_length=1_000)
    asset: str | None = None
    invalidation: str | None = None
    severity: str | None = None
    dimensions: list[str] = []
    text: str = Field(default="", max_length=10_000)


class NoteBody(_Body):
    """`step` is one of the runbook's twelve."""

    step: str
    text: str = Field(max_length=10_000)
    data: dict[str, Any] = {}


class PlanBody(_Body):
    """Neither: the newest plan of its invalidation."""

    plan: str | None = None
    invalidation: str | None = None


class CloseBody(_Body):
    """`anyway`: although a step is open."""

    text: str = Field(default="", max_length=10_000)
    anyway: bool = False


def evidence_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    @app.get("/api/v1/evidence/checklist/{asset:path}")
    async def checklist(asset: str) -> Response:
        return answer(await ops.evidence.checklist(asset))

    @app.get("/api/v1/incidents")
    async def incidents(state: str | None = None, limit: int = 50) -> Response:
        return answer(await ops.evidence.incidents(state, limit))

    @app.post("/api/v1/incidents")
    async def open_incident(body: OpenBody) -> Response:
        found = await ops.evidence.open(
            body.title, body.asset, body.invalidation, body.severity, body.by, body.text, body.dimensions
        )
        return answer(found)

    @app.get("/api/v1/incidents/{incident}")
    async def incident(incident: str) -> Response:
        return answer(await ops.evidence.incident(incident))

    @app.post("/api/v1/incidents/{incident}/notes")
    async def note(incident: str, body: NoteBody) -> Response:
        return answer(await ops.evidence.note(incident, body.step, body.text, body.by, body.data))

    @app.post("/api/v1/incidents/{incident}/plan")
    async def plan(incident: str, body: PlanBody) -> Response:
        return answer(await ops.evidence.plan(incident, body.plan, body.invalidation, body.by))

    @app.post("/api/v1/incidents/{incident}/close")
    async def close(incident: str, body: CloseBody) -> Response:
        return answer(await ops.evidence.close(incident, body.text, body.by, body.anyway))

    @app.get("/api/v1/incidents/{incident}/bundle")
    async def bundle(incident: str) -> Response:
        return answer(await ops.evidence.export(incident))
