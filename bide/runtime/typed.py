"""Plain data read as a type, by any thread: every `decode` and `convert` of bide with a type goes through here.

The first use of a type has msgspec look at its fields. Meanwhile the type is half known, and a second thread
that reads the same type, or one that has it for a field, follows pointers that are not there yet: the whole
process dies of it (SIGSEGV, msgspec 0.22). Here a type is looked at by one thread at a time, and used when all
of it is known.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, Final, TypeVar, overload

import msgspec

T = TypeVar("T")
Text = bytes | bytearray | memoryview | str

_looking: Final = Lock()
_json: Final[dict[tuple[Any, bool], msgspec.json.Decoder[Any]]] = {}
_MOST: Final = 2_000
"""Decoders that are kept: a reload makes types of people's files anew, and those before it are let go."""


@overload
def decode(data: Text, kind: type[T], /, *, strict: bool = True) -> T: ...
@overload
def decode(data: Text, kind: Any, /, *, strict: bool = True) -> Any: ...
def decode(data: Text, kind: Any, /, *, strict: bool = True) -> Any:
    """JSON as a type. `msgspec.DecodeError` where it is none, `msgspec.ValidationError` where it is another."""
    return decoder(kind, strict=strict).decode(data)


@overload
def convert(value: Any, kind: type[T], /, *, strict: bool = True) -> T: ...
@overload
def convert(value: Any, kind: Any, /, *, strict: bool = True) -> Any: ...
def convert(value: Any, kind: Any, /, *, strict: bool = True) -> Any:
    """Plain values as a type. `msgspec.ValidationError` where they are another."""
    decoder(kind)
    return msgspec.convert(value, kind, strict=strict)


@overload
def decoder(kind: type[T], /, *, strict: bool = True) -> msgspec.json.Decoder[T]: ...
@overload
def decoder(kind: Any, /, *, strict: bool = True) -> msgspec.json.Decoder[Any]: ...
def decoder(kind: Any, /, *, strict: bool = True) -> msgspec.json.Decoder[Any]:
    """One of JSON for each type, which any thread may keep and use."""
    found = _json.get((kind, strict))
    if found is None:
        with _looking:
            if len(_json) >= _MOST:
                _json.clear()
            found = _json[kind, strict] = msgspec.json.Decoder(kind, strict=strict)
    return found


def packed(kind: Any, /) -> msgspec.msgpack.Decoder[Any]:
    """One of MessagePack, made as the others are; kept by who asks for it."""
    with _looking:
        return msgspec.msgpack.Decoder(kind)
