"""The routes of the ledger of external effects: `/api/v1/effects`."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.responses import Response

from bide.runtime.service.doors import Doors


def effect_routes(app: FastAPI, ops: Doors, answer: Callable[..., Response]) -> None:
    """Add them; `answer` makes a response of a value."""

    @app.get("/api/v1/effects")
    async def effects(effect: str | None = None, state: str | None = None, limit: int = 100) -> Response:
        return answer(await ops.effects.listed(effect, state, limit))

    @app.get("/api/v1/effects/{delivery}")
    async def show_effect(delivery: str) -> Response:
        return answer(await ops.effects.show(delivery))
