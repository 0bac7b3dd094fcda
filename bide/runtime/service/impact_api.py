"""The routes of invalidations, blast radii and lineage."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from bide.runtime.service.doors import Doors


class InvalidateBody(BaseModel):
    """`asset` with `interval` (`2026-06-15`, `2026-06`, `FROM..TO`), or one `version`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    asset: str | None = None
    interval: str | None = None
    version: str | None = None
    reason: str = Field(default="", max_length=10_000)
    cause: str = "source_correction"
    severity: str | None = None
    effective: str | None = None
    code: str = ""
    evidence: list[str] = Field(default=[], max_length=1000)
    by: str = Field(default="", max_length=200)
    key: str | None = None


def impact_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    @app.get("/api/v1/blast")
    async def blast_radius(
        asset: str | None = None,
        interval: str | None = None,
        version: str | None = None,
        invalidation: str | None = None,
        cause: str = "source_correction",
        severity: str | None = None,
        effective: str | None = None,
        code: str = "",
    ) -> Response:
        return answer(
            await ops.assets.blast(asset, interval, version, invalidation, cause, severity, effective, code)
        )

    @app.get("/api/v1/invalidations")
    async def invalidations(limit: int = 50) -> Response:
        return answer(await ops.assets.invalidations(limit))

    @app.post("/api/v1/invalidations")
    async def invalidate(body: InvalidateBody) -> Response:
        return answer(await ops.assets.invalidate(**body.model_dump()))

    @app.get("/api/v1/lineage/{version}")
    async def lineage(version: str, depth: int = 3) -> Response:
        return answer(await ops.assets.lineage(version, depth))
