"""The routes of using assets and letting versions out."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from bide.runtime.service.doors import Doors


class UseBody(BaseModel):
    """`interval`: a day, a month or FROM..TO; without it the newest version is meant. `purpose`: the consumer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    asset: str
    interval: str | None = None
    purpose: str = Field(max_length=200)
    by: str = Field(default="", max_length=200)


class PublishBody(BaseModel):
    """Who lets it out, and why; both are kept."""

    model_config = ConfigDict(extra="forbid", strict=True)
    by: str = Field(max_length=200)
    why: str = Field(max_length=10_000)


class DegradeBody(PublishBody):
    """`expires`: an instant, from which on the limitations are not accepted any more."""

    limitations: list[str]
    expires: str | None = None


def use_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    @app.post("/api/v1/asset-uses")
    async def use_asset(body: UseBody) -> Response:
        return answer(await ops.assets.may_use(body.asset, body.interval, body.purpose, body.by))

    @app.get("/api/v1/asset-decisions")
    async def asset_decisions(asset: str | None = None, run: str | None = None, limit: int = 50) -> Response:
        return answer(await ops.assets.decisions(asset, run, limit))

    @app.post("/api/v1/asset-versions/{version}/publish")
    async def publish_version(version: str, body: PublishBody) -> Response:
        return answer(await ops.assets.publish(version, body.by, body.why))

    @app.post("/api/v1/asset-versions/{version}/degrade")
    async def degrade_version(version: str, body: DegradeBody) -> Response:
        return answer(await ops.assets.degrade(version, body.limitations, body.by, body.why, body.expires))
