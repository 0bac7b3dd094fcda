"""The REST API (extra `server`): a route for each operation of the table, over the same operations as the terminal.

`/api/v1/...` speaks the shapes of `shapes.py`; errors are problems (RFC 9457) whose `code` is the
class's name in `bide.runtime.errors`. Importing this costs FastAPI: only `serve` does.

Routes that are no operation (streams, hooks, metrics) stand in modules of their own, and are added
in `make_app`, each saying its scope with `scoped`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

import bide
from bide.runtime.engine.precondition import Match
from bide.runtime.errors import (
    BideError,
    ChangedError,
    GaveUpError,
    NotFoundError,
    NotNowError,
    RefusedError,
    StoreError,
    StoreFullError,
    StoreLostError,
    UnreachableError,
    UsageError,
)
from bide.runtime.service.addresses import entity
from bide.runtime.service.cursor import MOST, cursor
from bide.runtime.service.doors import Doors
from bide.runtime.service.feed import Feed
from bide.runtime.service.feed_api import feed_routes
from bide.runtime.service.given import given
from bide.runtime.service.hook_desk import HookDesk
from bide.runtime.service.hook_routes import hook_routes
from bide.runtime.service.metric_routes import metric_routes
from bide.runtime.service.metrics import Metrics
from bide.runtime.service.once import Kept, once
from bide.runtime.service.openapi import described, document
from bide.runtime.service.paging import page_of
from bide.runtime.service.probe_routes import probe_routes
from bide.runtime.service.probes import Health, Said
from bide.runtime.service.scopes import scoped
from bide.runtime.service.shapes import Problem
from bide.runtime.service.table import KEY_HEADER, Operation, operations
from bide.runtime.service.tags import IF_MATCH, IF_NONE_MATCH, matching, numbers, seen, tag
from bide.runtime.values import redactor

_STATUS: Final[tuple[tuple[type[BideError], int, str], ...]] = (
    (UsageError, 422, "Cannot be meant"),
    (NotFoundError, 404, "Not found"),
    (ChangedError, 412, "Precondition failed"),
    (NotNowError, 503, "Not now"),
    (RefusedError, 409, "Refused"),
    (StoreFullError, 503, "No room"),
    (StoreLostError, 503, "Store lost"),
    (StoreError, 409, "Database cannot be used"),
    (UnreachableError, 503, "Out of reach"),
    (GaveUpError, 503, "Gave up"),
)
_encoder = msgspec.json.Encoder()
log = logging.getLogger("bide.api")


def make_app(
    ops: Doors,
    alive: Callable[[], str],
    ready: Callable[[], str] | None = None,
    feed: Callable[[], Feed] | None = None,
    hooks: HookDesk | None = None,
    probes: Health | None = None,
    metrics: Callable[[], Metrics] | None = None,
) -> FastAPI:
    """The ASGI app. `alive()` says what is wrong with the runtime, "" when it is well.

    `ready()` says why it takes no new work, as `alive` does when it is not given; `feed()` is the live feed.
    `probes` answer for health in their place; `metrics()` are what is scraped.
    """
    app = FastAPI(
        title="bide",
        version=bide.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    _described(app)
    _errors(app)
    probe_routes(app, probes or Said(alive, ready or alive))
    for each in sorted(
        operations(), key=lambda one: ":path" in one.path
    ):  # a path with slashes takes all below it
        _add(app, ops, each)
    if feed is not None:
        feed_routes(app, feed)
    if hooks is not None:
        hook_routes(app, hooks, json_response, problem_response)
    if metrics is not None:
        metric_routes(app, metrics)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI) -> None:
    async def describe(_: Request) -> Response:
        return Response(await described(app), media_type="application/json")

    app.add_route("/api/v1/openapi.json", describe, methods=["GET"], include_in_schema=False)
    scoped(app, "GET", "/api/v1/openapi.json", "read")


def _add(app: FastAPI, ops: Doors, of: Operation) -> None:
    async def handle(request: Request) -> Response:
        room = getattr(ops, of.room) if of.room else ops
        call: Callable[..., Awaitable[Any]] = getattr(room, of.name)
        query = request.query_params.multi_items()
        arguments = given(of, request.path_params, query, request.headers, await request.body())
        if of.route.tagged and of.route.method == "GET":
            return await _tagged(of, request, ops, call, arguments)
        if of.route.pages:
            return await _page(of, request, call, arguments)
        with _as_seen(of, request, arguments):
            return await asked(request, call, arguments)

    async def asked(
        request: Request, call: Callable[..., Awaitable[Any]], arguments: dict[str, Any]
    ) -> Response:
        key = request.headers.get(KEY_HEADER)
        if key is None or of.route.method == "GET":
            return json_response(await call(**arguments), of.route.status)
        with once(key, of.id, arguments):
            if (before := await ops.answered()) is not None:
                return before_response(before)
            try:
                answer = json_response(await call(**arguments), of.route.status)
            except NotNowError:
                raise  # asked again under this key it goes on: what is done of it is not done twice
            except (
                UsageError,
                NotFoundError,
                RefusedError,
            ) as error:  # what it has done is done under this key
                if of.route.kept and await ops.has_commanded():
                    told = refusal_response(error)
                    await ops.keep_answer(told.status_code, bytes(told.body))
                raise
            if of.route.kept:
                await ops.keep_answer(answer.status_code, bytes(answer.body))
            return answer

    app.add_route(of.path, handle, methods=[of.route.method], name=of.id, include_in_schema=False)
    scoped(app, of.route.method, of.path, of.route.scope)


async def _tagged(
    of: Operation,
    request: Request,
    ops: Doors,
    call: Callable[..., Awaitable[Any]],
    arguments: dict[str, Any],
) -> Response:
    """An answer with its entity tag, or 304 to whoever has it. The number is read first: it is never newer than the answer."""
    number = await ops.revision(of.route.tagged, arguments[of.route.tagged])
    if of.route.pages:
        answer = await _page(of, request, call, arguments)
    else:
        answer = json_response(await call(**arguments), of.route.status)
    answer.headers["ETag"] = known = tag(number, bytes(answer.body))
    told = request.headers.getlist(IF_NONE_MATCH)
    if told and seen(", ".join(told), known):
        return Response(status_code=304, headers={"ETag": known})
    return answer


def _as_seen(
    of: Operation, request: Request, arguments: dict[str, Any]
) -> contextlib.AbstractContextManager[None]:
    """What is commanded within goes by the If-Match of the request, where it has one."""
    said = request.headers.getlist(IF_MATCH) if of.route.method != "GET" else []
    if not said:
        return contextlib.nullcontext()
    if not of.route.tagged:
        raise UsageError(
            f"this route takes no {IF_MATCH}: what it does is not compared with what was seen of anything"
        )
    found = numbers(", ".join(said))
    named = arguments[of.route.tagged]
    if found is None:
        return contextlib.nullcontext()
    if named is None:
        raise UsageError(f"{IF_MATCH} goes with a {of.route.tagged} that is named by its number")
    known = entity(of.route.tagged, named)
    assert known is not None
    return matching(Match(of.route.tagged, known, found))


async def _page(
    of: Operation, request: Request, call: Callable[..., Awaitable[Any]], arguments: dict[str, Any]
) -> Response:
    """A page of a listing, and where the next one is: a `Link` header, as RFC 8288 has it."""
    limit = min(arguments["limit"], MOST)
    found = await call(**{**arguments, "limit": limit + 1})
    page, then = page_of(of, arguments, found, limit)
    answer = json_response(page)
    for name, last in then.items():
        said = {"cursor": cursor(of.id, last)} if name == "before" else {name: last}
        at = request.url.include_query_params(**said)
        answer.headers["Link"] = f'<{at.path}?{at.query}>; rel="next"'
    return answer


def json_response(value: Any, status: int = 200) -> Response:
    """A value in the shapes of the API."""
    return Response(_encoder.encode(value), status, media_type="application/json")


def before_response(before: Kept) -> Response:
    """What was answered the first time."""
    kind = "application/json" if before.status < 400 else "application/problem+json"
    return Response(before.body, before.status, media_type=kind)


def refusal_response(error: BideError) -> Response:
    """The problem that an error is."""
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            return problem_response(status, title, str(error), type(error).__name__)
    return problem_response(500, "Failed", str(error), type(error).__name__)


def problem_response(
    status: int, title: str, detail: str, code: str, headers: dict[str, str] | None = None
) -> Response:
    """An error as RFC 9457 has it."""
    body = _encoder.encode(Problem(title=title, status=status, detail=redactor(detail), code=code))
    also = {"Retry-After": "1"} if status == 503 else {}
    return Response(body, status, {**also, **(headers or {})}, media_type="application/problem+json")


def _errors(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, BideError)
        return refusal_response(error)

    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        detail = f"{where}: {first['msg']}; /api/v1/openapi.json shows what this route takes"
        return problem_response(422, "Cannot be meant", detail, "UsageError")

    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = f"{request.method} {request.url.path}: {error.detail}; see /api/v1/openapi.json"
        code = "NotFoundError" if error.status_code == 404 else "UsageError"
        headers = dict(error.headers or {})
        return problem_response(error.status_code, str(error.detail), detail, code, headers)

    async def unreadable(_: Request, error: Exception) -> Response:
        """What was asked has been read before: this was in a row."""
        detail = (
            f"a row of the database holds what bide has not written ({error}): `bide doctor` says which, "
            "`bide db restore` puts a backup back"
        )
        return problem_response(409, "Database cannot be used", detail, "StoreError")

    async def fault(request: Request, error: Exception) -> Response:
        log.error("%s %r has failed", request.method, request.url.path, exc_info=error)
        detail = (
            f"this should not have happened, and is a fault of bide ({type(error).__name__}): report it with what "
            "the service's log shows; what was acknowledged is in the database"
        )
        return problem_response(500, "Failed", detail, "BideError")

    app.add_exception_handler(BideError, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(msgspec.MsgspecError, unreadable)
    app.add_exception_handler(OverflowError, unreadable)  # an instant beyond the calendar
    app.add_exception_handler(Exception, fault)
