"""`/livez`, `/readyz`, `/startupz` and `/healthz`: 200 or 503, with `?verbose` every check as JSON.

They are open to whoever reaches the port, as probes have no token; what they say holds no data.
`/healthz` is `/livez` and `/readyz` in one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import Response

from bide.runtime.service.probes import Checks, Health
from bide.runtime.service.shapes import Problem

_encoder = msgspec.json.Encoder()
_NOT_KEPT = {"Cache-Control": "no-store"}


def probe_routes(app: FastAPI, health: Health) -> None:
    """Add the four."""

    async def all_of_it() -> Checks:
        found = (*await health.ready(), *await health.live())
        return tuple({(check.name, check.ok): check for check in found}.values())

    for path, ask in (
        ("/livez", health.live),
        ("/readyz", health.ready),
        ("/startupz", health.started),
        ("/healthz", all_of_it),
    ):
        answer = _answering(ask)
        app.add_api_route(
            path, answer, methods=["GET"], response_class=Response, tags=["health"], name=path[1:]
        )
        app.add_route(path, answer, methods=["HEAD"], include_in_schema=False)


def _answering(ask: Callable[[], Awaitable[Checks]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        checks = await ask()
        wrong = [check for check in checks if not check.ok]
        status = 503 if wrong else 200
        headers = {**_NOT_KEPT, **({"Retry-After": "1"} if wrong else {})}
        if "verbose" in request.query_params:
            body = _encoder.encode({"ok": not wrong, "checks": checks})
            return Response(body, status, headers, media_type="application/json")
        if not wrong:
            return Response(b'{"ok":true}', status, headers, media_type="application/json")
        said = "; ".join(dict.fromkeys(check.detail or f"{check.name} is not well" for check in wrong))
        problem = Problem(title="Not well", status=503, detail=said, code="UnreachableError")
        return Response(_encoder.encode(problem), status, headers, media_type="application/problem+json")

    return answer
