"""The body of a request: read whole before any route sees it, within a size, a time and a depth."""

from __future__ import annotations

import asyncio
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime import typed
from bide.runtime.service.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Message, Receive

DEPTH: Final = 64
"""Levels of lists and objects that JSON may have."""
_DRAIN: Final = 8  # times the limit: so much is read and thrown away, that a sender hears the answer
_OTHER: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # one level in, one out, as signed bytes


async def read_body(receive: Receive, lengths: Sequence[bytes], limit: int, within_s: float) -> bytes:
    """All of it. `Refusal`: larger than `limit` bytes, slower than `within_s`, cut off."""
    body, more, size = bytearray(), True, 0
    said = _length(lengths)
    try:
        async with asyncio.timeout(within_s):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(
                        400, "Cut off", "the body ended before it was whole", "UsageError", last=True
                    )
                part = message.get("body", b"")
                size += len(part)
                if size <= limit and said <= limit:
                    body += part
                elif size > limit * _DRAIN or said > limit * _DRAIN:
                    break
                more = message.get("more_body", False)
    except TimeoutError:
        said_so = f"the body was not whole within {within_s:g} s"
        raise Refusal(408, "Too slow", said_so, "GaveUpError", last=True) from None
    if max(size, said) > limit:
        said_so = f"the body is larger than {limit:,} bytes: send a path or a key of what it holds"
        raise Refusal(413, "Too large", said_so, "UsageError", last=True)
    return bytes(body)


def check_json(body: bytes) -> None:
    """`Refusal` for what is no JSON, or is nested deeper than `DEPTH`. It takes time in proportion to its size.

    >>> check_json(b'{"a": ["]]"]}')
    """
    try:
        typed.decode(body, msgspec.Raw)
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError as error:
        raise Refusal(400, "Not JSON", f"the body is not JSON: {error}", "UsageError") from None
    if body.count(b"[") + body.count(b"{") > DEPTH and _depth(body) > DEPTH:
        raise _too_deep()


def _too_deep() -> Refusal:
    return Refusal(400, "Too deep", f"the JSON is nested deeper than {DEPTH} levels", "UsageError")


def _depth(body: bytes) -> int:
    """Of what is known to be JSON: its strings end, so that what is left between them are its brackets."""
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in body else body
    brackets = b"".join(bare.split(b'"')[::2]).translate(_STEP, _OTHER)
    return max(accumulate(array("b", brackets)), default=0)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, then what there is still to be received."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _length(lengths: Sequence[bytes]) -> int:
    if len(set(lengths)) > 1 or not all(each.isdigit() and len(each) < 19 for each in lengths):
        raise Refusal(400, "Not meant", "Content-Length is said once, as a number", "UsageError", last=True)
    return int(lengths[0]) if lengths else 0
