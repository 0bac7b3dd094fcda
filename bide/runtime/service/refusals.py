"""A request that is refused at the edge, as the problem (RFC 9457) that its sender gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime.service.shapes import Problem
from bide.runtime.values import redactor

if TYPE_CHECKING:
    from starlette.types import Send

Headers = tuple[tuple[bytes, bytes], ...]
_AGAIN: Final = frozenset({503})


class Refusal(Exception):  # noqa: N818 - an answer, raised where it is found
    """`code` is a class of `bide.runtime.errors`. `last`: the connection ends with it, for its body is not read."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        code: str = "RefusedError",
        headers: Headers = (),
        *,
        last: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.code = status, title, detail, code
        self.headers, self.last = headers, last

    @property
    def body(self) -> bytes:
        """The problem, as JSON."""
        return msgspec.json.encode(
            Problem(title=self.title, status=self.status, detail=redactor(self.detail), code=self.code)
        )


async def refuse(send: Send, refusal: Refusal, body: bool = True) -> None:
    """Answer with the problem."""
    data = refusal.body
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(data)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *refusal.headers,
    ]
    if refusal.status in _AGAIN:
        headers.append((b"retry-after", b"1"))
    if refusal.last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": data if body else b""})
