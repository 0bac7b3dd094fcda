"""`/metrics`: what Prometheus scrapes. It is for readers, as it names DAGs and assets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bide.runtime.service.scopes import scoped

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi import Request as Asked

    from bide.runtime.service.metrics import Metrics


def metric_routes(app: FastAPI, metrics: Callable[[], Metrics]) -> None:
    """Add it; `metrics` is asked at the first scrape."""
    from fastapi.responses import Response

    async def scrape(request: Asked) -> Response:
        body, kind = await metrics().text(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    app.add_route("/metrics", scrape, methods=["GET"], name="metrics", include_in_schema=False)
    scoped(app, "GET", "/metrics", "read")
