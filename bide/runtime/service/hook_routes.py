"""The doors for what comes in: `POST /hooks/{name}` and `POST /api/v1/events`, plain routes of their own.

A 2xx is answered when the run is durable, 201 for a new one, 200 for a delivery that has made its run before or
is not wanted; everything else is a problem (RFC 9457), and the sender may send it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from bide.runtime import errors
from bide.runtime.errors import BideError, NotFoundError, RefusedError, UsageError
from bide.runtime.hooks.cloudevent import NoEvent, event_of
from bide.runtime.hooks.delivery import ACCEPTED, REFUSED
from bide.runtime.hooks.hook import BODY
from bide.runtime.hooks.pointer import Headers
from bide.runtime.hooks.signing import Forged, Unusable
from bide.runtime.loading import loaded
from bide.runtime.service.hook_desk import HookDesk, Taken
from bide.runtime.service.hook_shapes import Delivered, EventTaken
from bide.runtime.service.scopes import scoped

_BODY_S: Final = 10.0
_MOST_HEADERS, _HEADER_BYTES = 100, 32 * 1024
_REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "NotFoundError": (404, "Not found"),
    "RefusedError": (409, "Refused"),
}


class TooMuch(Exception):  # noqa: N818 - a signal to the handler below
    """The request is larger than it may be, or comes too slowly."""

    def __init__(self, status: int, title: str, said: str) -> None:
        super().__init__(said)
        self.status, self.title = status, title


Problem = Callable[[int, str, str, str], Response]
Json = Callable[..., Response]


def hook_routes(app: FastAPI, desk: HookDesk, answer: Json, problem: Problem) -> None:
    """Add them; `answer` makes a response of a value, `problem` one of what is wrong."""

    @app.post("/hooks/{name}", tags=["hooks"], status_code=201)
    async def webhook(name: str, request: Request) -> Response:
        """Deliver to a webhook. Its signature says who sends it."""
        try:
            hook = desk.webhook(name)
            headers = _headers(request)
            try:
                body = await _body(request, hook.max_body)
            except TooMuch:
                desk.count(hook.name, "large")
                raise
            taken = await desk.take_webhook(hook, headers, body)
        except (TooMuch, Forged, Unusable, NotFoundError) as error:
            return _refused(error, problem)
        except BideError as error:
            return problem(503, "Not taken", str(error), type(error).__name__)
        return _answered(taken, answer, problem)

    scoped(app, "POST", "/api/v1/events", "run")

    @app.post("/api/v1/events", tags=["hooks"], status_code=201)
    async def events(request: Request) -> Response:
        """Deliver a CloudEvent, in binary or structured mode."""
        try:
            headers = _headers(request)
            await _at_hand("cloudevents.core.bindings.http")
            event = event_of(headers, await _body(request, BODY))
            taken = await desk.take_event(event, headers)
        except NoEvent as error:
            return problem(error.status, "No CloudEvent", str(error), UsageError.__name__)
        except (TooMuch, NotFoundError, UsageError) as error:
            return _refused(error, problem)
        except BideError as error:
            return problem(503, "Not taken", str(error), type(error).__name__)
        if len(taken) == 1:
            return _answered(taken[0], answer, problem)
        if (refused := next((each for each in taken if each["outcome"] == REFUSED), None)) is not None:
            return _answered(refused, answer, problem)
        made = any(each["outcome"] == ACCEPTED for each in taken)
        return answer(EventTaken(deliveries=tuple(map(_shape, taken))), 201 if made else 200)


def _refused(error: Exception, problem: Problem) -> Response:
    match error:
        case TooMuch():
            return problem(error.status, error.title, str(error), UsageError.__name__)
        case Forged():
            response = problem(401, "Not signed by a known sender", str(error), "RefusedError")
            response.headers["WWW-Authenticate"] = "Signature"
            return response
        case Unusable():
            return problem(503, "Cannot be checked", str(error), "RefusedError")
        case NotFoundError():
            return problem(404, "Not found", str(error), NotFoundError.__name__)
        case _:
            return problem(422, "Cannot be meant", str(error), UsageError.__name__)


def _answered(taken: Taken, answer: Json, problem: Problem) -> Response:
    if taken["outcome"] != REFUSED:
        return answer(_shape(taken), 201 if taken["outcome"] == ACCEPTED else 200)
    kind = getattr(errors, taken["error"], RefusedError)
    status, title = 422, "Cannot be meant"
    for name, said in _REFUSALS.items():
        if issubclass(kind, getattr(errors, name)):
            status, title = said
    return problem(status, title, taken["reason"], kind.__name__)


def _shape(taken: Taken) -> Delivered:
    run_id = taken.get("run_id")
    return Delivered(
        hook=taken["hook"],
        delivery=taken["delivery"],
        outcome=taken["outcome"],
        run_id=None if run_id is None else str(run_id),
        dag=taken.get("dag") or None,
        reason=taken.get("reason") or "",
        paused=bool(taken.get("paused")),
    )


async def _at_hand(library: str) -> None:
    """Import what the first of its kind needs in a thread: it takes longer than a loop may be held."""
    await loaded(library)


# --- the request ---------------------------------------------------------------------------------


def _headers(request: Request) -> Headers:
    raw: list[tuple[bytes, bytes]] = request.scope["headers"]
    if len(raw) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in raw) > _HEADER_BYTES:
        raise TooMuch(
            431, "Headers too large", f"at most {_MOST_HEADERS} headers of {_HEADER_BYTES:,} bytes are taken"
        )
    found: dict[str, tuple[str, ...]] = {}
    for name, value in raw:
        key = name.decode("latin-1").lower()
        found[key] = (*found.get(key, ()), _text(value))
    if "content-encoding" in found and found["content-encoding"] != ("identity",):
        raise TooMuch(415, "Encoded", "a body with a Content-Encoding is not taken: send it as it is")
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


async def _body(request: Request, limit: int) -> bytes:
    """The raw body, read within its limit and its time."""
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and (len(said) > 18 or int(said) > limit):
        raise _large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _large(limit)
                parts.append(part)
    except TimeoutError:
        raise TooMuch(
            408, "Too slow", f"the body was not there within {_BODY_S:g} s: send it again"
        ) from None
    return b"".join(parts)


def _large(limit: int) -> TooMuch:
    return TooMuch(413, "Too large", f"the body is larger than {limit:,} bytes, the limit here")
