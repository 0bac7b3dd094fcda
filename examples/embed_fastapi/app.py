"""The shop. Its lifespan opens the runtime, its routes use it, and bide's REST API stands under /bide.

uvicorn --factory examples.embed_fastapi.app:shop
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from starlette.types import Scope

from bide import Runtime
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.caller import Caller
from examples.embed_fastapi.dags import fulfil


def shop(folder: Path | None = None) -> FastAPI:
    """The application; its database and the labels it waits for lie in `folder` ($SHOP, else here)."""
    place = folder or Path(os.environ.get("SHOP", "."))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Runtime(db=place / "shop.db", dags=[fulfil], slots=16) as runtime:
            app.state.runtime = runtime
            app.mount("/bide", runtime.asgi_for(lambda scope: staff(app, scope)))
            yield

    app = FastAPI(title="shop", lifespan=lifespan)
    app.state.sessions = {}  # session -> who; the shop's own login fills it

    @app.post("/orders/{order}", status_code=202)
    async def take(order: int) -> dict[str, str]:
        """Durable before it is answered: a crash after this loses no order, and the same order is one run."""
        run = await app.state.runtime.trigger(
            fulfil, params={"order": order, "labels": str(place)}, key=f"order-{order}"
        )
        return {"order": str(order), "run_id": run.run_id}

    @app.get("/shipments/{run_id}")
    async def shipment(run_id: str) -> dict[str, Any]:
        """What has become of an order, and what it waits for."""
        try:
            shown = await app.state.runtime.operations.show(run_id)
        except NotFoundError as error:
            raise HTTPException(404, str(error)) from None
        except UsageError as error:
            raise HTTPException(422, str(error)) from None
        return {"state": shown.state, "tasks": {each.task: each.state for each in shown.tasks}}

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    return app


def staff(app: FastAPI, scope: Scope) -> Caller | None:
    """Who of the shop asks bide, by the shop's own session: they may start and stop runs. Anybody else needs a token."""
    session = Request(scope).cookies.get("session", "")
    who = app.state.sessions.get(session)
    return None if who is None else Caller(who, scope="run")
