"""The routes of assets: `/api/v1/assets`, and those of a DAG that looks at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from bide.runtime.service.doors import Doors
from bide.runtime.service.impact_api import impact_routes
from bide.runtime.service.use_api import use_routes


class DropBody(BaseModel):
    """`versions`, `until` (an instant: intervals that end by then) or `all`; of one asset or of every one."""

    model_config = ConfigDict(extra="forbid", strict=True)
    asset: str | None = None
    versions: list[str] = []
    until: str | None = None
    all: bool = False
    reason: str = Field(default="", max_length=10_000)


class ReplayBody(BaseModel):
    """`from`: a version's number, or an instant."""

    model_config = ConfigDict(extra="forbid", strict=True)
    from_: str = Field(alias="from")
    asset: str | None = None
    reason: str = Field(default="", max_length=10_000)


def asset_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    use_routes(app, ops, answer)
    impact_routes(app, ops, answer)

    @app.get("/api/v1/assets")
    async def assets() -> Response:
        return answer(await ops.assets.listed())

    @app.get("/api/v1/assets/{asset:path}")
    async def show_asset(asset: str, limit: int = 20) -> Response:
        return answer(await ops.assets.show(asset, limit))

    @app.get("/api/v1/dags/{dag}/why")
    async def why_dag(dag: str) -> Response:
        return answer(await ops.assets.why(dag))

    @app.get("/api/v1/dags/{dag}/asset-events")
    async def asset_events(
        dag: str, everything: Annotated[bool, Query(alias="all")] = False, limit: int = 1000
    ) -> Response:
        return answer(await ops.assets.events(dag, everything, limit))

    @app.post("/api/v1/dags/{dag}/asset-events/drop")
    async def drop_asset_events(dag: str, body: DropBody) -> Response:
        return answer(
            await ops.assets.drop(dag, body.asset, body.versions, body.until, body.all, body.reason)
        )

    @app.post("/api/v1/dags/{dag}/asset-events/replay")
    async def replay_asset_events(dag: str, body: ReplayBody) -> Response:
        return answer(await ops.assets.replay(dag, body.from_, body.asset, body.reason))
