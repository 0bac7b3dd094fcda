"""The first routes of the REST API, over the same operations as the terminal (extra `server`).

`/api/v1/...` speaks the shapes of `shapes.py`; errors are problems (RFC 9457) whose `code` is the
class's name in `bide.runtime.errors`. Importing this costs FastAPI: only `serve` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

import bide
from bide.runtime.errors import (
    BideError,
    GaveUpError,
    NotFoundError,
    RefusedError,
    StoreError,
    StoreFullError,
    StoreLostError,
    UnreachableError,
    UsageError,
)
from bide.runtime.service.approval_api import approval_routes
from bide.runtime.service.asset_api import asset_routes
from bide.runtime.service.asset_graph_api import asset_graph_routes
from bide.runtime.service.backfill_api import backfill_routes
from bide.runtime.service.doors import Doors
from bide.runtime.service.effect_api import effect_routes
from bide.runtime.service.evidence_api import evidence_routes
from bide.runtime.service.plan_api import plan_routes
from bide.runtime.service.shapes import Problem

_STATUS: Final[tuple[tuple[type[BideError], int, str], ...]] = (
    (UsageError, 422, "Cannot be meant"),
    (NotFoundError, 404, "Not found"),
    (RefusedError, 409, "Refused"),
    (StoreFullError, 503, "No room"),
    (StoreLostError, 503, "Store lost"),
    (StoreError, 409, "Database cannot be used"),
    (UnreachableError, 503, "Out of reach"),
    (GaveUpError, 503, "Gave up"),
)
_encoder = msgspec.json.Encoder()


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TriggerBody(_Body):
    """A date without a zone is read in the DAG's."""

    logical_date: str | None = None
    params: dict[str, Any] | None = None
    new: bool = False
    shadow: bool = False


class RerunBody(_Body):
    """Nothing: what did not succeed. `task`: that one; `downstream`: and all below it; `whole`: all."""

    task: str | None = None
    downstream: bool = False
    whole: bool = False


class MarkBody(_Body):
    """`downstream`: every task below becomes the same."""

    state: str
    downstream: bool = False


class SkipBody(_Body):
    downstream: bool = False


class ExtendBody(_Body):
    """`deadline`: ISO 8601, or `+2h` from the one it has."""

    deadline: str


class SatisfyBody(_Body):
    event: Any = None


class FailBody(_Body):
    reason: str = Field(default="", max_length=10_000)


def make_app(operations: Doors, alive: Callable[[], str], ready: Callable[[], str] | None = None) -> FastAPI:
    """The ASGI app. `alive()` says what is wrong with the runtime, "" when it is well.

    `ready()` says why it takes no new work, as `alive` does when it is not given.
    """
    app = FastAPI(
        title="bide",
        version=bide.__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    _errors(app)
    _health(app, alive, ready or alive)
    _dags_and_runs(app, operations)
    _waits(app, operations)
    backfill_routes(app, operations, _json)
    asset_routes(app, operations, _json)
    asset_graph_routes(app, operations, _json)
    plan_routes(app, operations, _json)
    approval_routes(app, operations, _json)
    evidence_routes(app, operations, _json)
    effect_routes(app, operations, _json)
    _alerts(app, operations)
    return app


def _json(value: Any, status: int = 200) -> Response:
    return Response(_encoder.encode(value), status, media_type="application/json")


def _problem(status: int, title: str, detail: str, code: str) -> Response:
    body = _encoder.encode(Problem(title=title, status=status, detail=detail, code=code))
    headers = {"Retry-After": "1"} if status == 503 else None
    return Response(body, status, headers, media_type="application/problem+json")


def _errors(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        for kind, status, title in _STATUS:
            if isinstance(error, kind):
                return _problem(status, title, str(error), type(error).__name__)
        return _problem(500, "Failed", str(error), type(error).__name__)

    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        detail = f"{where}: {first['msg']}; /api/v1/openapi.json shows what this route takes"
        return _problem(422, "Cannot be meant", detail, "UsageError")

    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = f"{request.method} {request.url.path}: {error.detail}; see /api/v1/openapi.json"
        code = "NotFoundError" if error.status_code == 404 else "UsageError"
        return _problem(error.status_code, str(error.detail), detail, code)

    app.add_exception_handler(BideError, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, no_route)


def _health(app: FastAPI, alive: Callable[[], str], ready: Callable[[], str]) -> None:
    def answer(wrong: str) -> Response:
        if wrong:
            return _problem(503, "Not well", wrong, "UnreachableError")
        return _json({"ok": True})

    async def well() -> Response:
        return answer(alive())

    async def takes_work() -> Response:
        return answer(ready())

    for path in ("/healthz", "/livez", "/startupz"):
        app.add_api_route(path, well, methods=["GET"], response_class=Response, tags=["health"])
    app.add_api_route("/readyz", takes_work, methods=["GET"], response_class=Response, tags=["health"])


def _dags_and_runs(app: FastAPI, ops: Doors) -> None:
    @app.get("/api/v1/dags")
    async def dags() -> Response:
        return _json(await ops.dags())

    @app.get("/api/v1/dags/{dag}")
    async def one_dag(dag: str) -> Response:
        return _json(await ops.dag(dag))

    @app.get("/api/v1/dags/{dag}/schedule")
    async def schedule(
        dag: str, n: int | None = None, since: str | None = None, until: str | None = None
    ) -> Response:
        return _json(await ops.schedule(dag, n, since, until))

    @app.post("/api/v1/dags/{dag}/runs", status_code=201)
    async def trigger(
        dag: str,
        body: TriggerBody | None = None,
        idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
    ) -> Response:
        said = body or TriggerBody()
        return _json(
            await ops.trigger(dag, said.logical_date, said.params, said.new, idempotency_key, said.shadow),
            201,
        )

    @app.post("/api/v1/dags/{dag}/pause")
    async def pause(dag: str) -> Response:
        return _json(await ops.pause(dag))

    @app.post("/api/v1/dags/{dag}/unpause")
    async def unpause(dag: str) -> Response:
        return _json(await ops.unpause(dag))

    @app.get("/api/v1/runs")
    async def runs(
        dag: str | None = None,
        state: str | None = None,
        limit: Annotated[int, Query(json_schema_extra={"minimum": 1, "maximum": 100_000})] = 50,
    ) -> Response:
        return _json(await ops.runs(dag, state, limit))

    @app.get("/api/v1/runs/{run}")
    async def show(run: str) -> Response:
        return _json(await ops.show(run))

    @app.get("/api/v1/runs/{run}/why")
    async def why(run: str, task: str | None = None) -> Response:
        return _json(await ops.why(run, task))

    @app.get("/api/v1/runs/{run}/tasks/{task}/logs")
    async def logs(
        run: str, task: str, attempt: int | None = None, offset: int = 0, limit: int = 262_144
    ) -> Response:
        return _json(await ops.logs(run, task, attempt, offset, limit))

    @app.post("/api/v1/runs/{run}/cancel")
    async def cancel(run: str) -> Response:
        return _json(await ops.cancel(run))

    @app.post("/api/v1/runs/{run}/rerun")
    async def rerun(run: str, body: RerunBody | None = None) -> Response:
        said = body or RerunBody()
        return _json(await ops.rerun(run, said.task, said.downstream, said.whole))

    @app.post("/api/v1/runs/{run}/tasks/{task}/mark")
    async def mark(run: str, task: str, body: MarkBody) -> Response:
        return _json(await ops.mark(run, task, body.state, body.downstream))

    @app.post("/api/v1/runs/{run}/tasks/{task}/skip")
    async def skip(run: str, task: str, body: SkipBody | None = None) -> Response:
        return _json(await ops.skip(run, task, body.downstream if body else False))

    @app.get("/api/v1/doctor")
    async def doctor() -> Response:
        return _json(await ops.doctor())


def _waits(app: FastAPI, ops: Doors) -> None:
    @app.get("/api/v1/waits")
    async def waits() -> Response:
        return _json(await ops.waits())

    @app.post("/api/v1/waits/{wait}/look")
    async def look(wait: str) -> Response:
        return _json(await ops.wait_look(wait))

    @app.post("/api/v1/waits/{wait}/extend")
    async def extend(wait: str, body: ExtendBody) -> Response:
        return _json(await ops.wait_extend(wait, body.deadline))

    @app.post("/api/v1/waits/{wait}/satisfy")
    async def satisfy(wait: str, body: SatisfyBody | None = None) -> Response:
        return _json(await ops.wait_satisfy(wait, body.event if body else None))

    @app.post("/api/v1/waits/{wait}/fail")
    async def fail(wait: str, body: FailBody | None = None) -> Response:
        return _json(await ops.wait_fail(wait, body.reason if body else ""))


def _alerts(app: FastAPI, ops: Doors) -> None:
    @app.get("/api/v1/alerts")
    async def alerts(
        run: str | None = None,
        state: str | None = None,
        limit: Annotated[int, Query(json_schema_extra={"minimum": 1, "maximum": 100_000})] = 100,
    ) -> Response:
        return _json(await ops.alerts(run, state, limit))

    @app.post("/api/v1/alerts/{alert}/ack")
    async def acknowledge(alert: str) -> Response:
        return _json(await ops.alert_ack(alert))
