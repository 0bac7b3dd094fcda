"""The routes of the asset graph, of contracts and of promises."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import Response

from bide.runtime.service.doors import Doors


def asset_graph_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    """Add them; `answer` makes a response of a value."""

    @app.get("/api/v1/asset-graph")
    async def asset_graph() -> Response:
        return answer(await ops.asset_graph.graph())

    @app.get("/api/v1/contracts")
    async def contracts(asset: str | None = None) -> Response:
        return answer(await ops.asset_graph.contracts(asset))

    @app.get("/api/v1/promises")
    async def promises() -> Response:
        return answer(await ops.asset_graph.promises())
