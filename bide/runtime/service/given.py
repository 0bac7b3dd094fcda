"""What a request gives to its operation: the path, the query and the body, read strictly and within limits.

An unknown name, a wrong type or too much of anything is a `UsageError` that names the place, and then
nothing was asked of the operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.errors import UsageError
from bide.runtime.service.cursor import read_cursor
from bide.runtime.service.route import NAME
from bide.runtime.service.table import KEY_HEADER, SEE, Operation, Parameter

_DEEPEST: Final = 64


def given(
    of: Operation,
    path: Mapping[str, str],
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    """The arguments of an operation, by name."""
    key = headers.get(KEY_HEADER) if of.route.method != "GET" else None
    if key is not None and not of.route.once:
        raise _wrong(
            f"this route takes no {KEY_HEADER}: its answer is kept nowhere, and cannot be given twice"
            if of.route.scope != "read"
            else f"this route takes no {KEY_HEADER}: it changes nothing, and may be asked any number of times"
        )
    if key is not None and not 1 <= len(key) <= 255:
        raise _wrong(f"the header {KEY_HEADER} has {len(key)} characters, and may have 1 to 255")
    asked, told = _query(of, query), _body(of, body)
    found = {each.name: _argument(each, path, asked, headers, told) for each in of.parameters}
    if of.route.pages and found["before"] is not None:
        found["before"] = read_cursor(of.id, found["before"])
    return found


def _argument(
    of: Parameter, path: Mapping[str, str], query: Any, headers: Mapping[str, str], body: Any
) -> Any:
    match of.where:
        case "path":
            found: Any = path[of.said]
            if len(found) > NAME:
                raise _wrong(f"{of.said} has {len(found)} characters, and may have {NAME}")
        case "header":
            found = headers.get(KEY_HEADER)
        case "query":
            found = getattr(query, of.name)
        case _ if of.struct is not None:
            return of.struct(**{name: getattr(body, name) for name, _ in of.fields})
        case _:
            found = getattr(body, of.name)
    return None if of.null is not None and found == of.null else found


def _query(of: Operation, said: Sequence[tuple[str, str]]) -> Any:
    if len(dict(said)) < len(said):
        twice = next(name for name, _ in said if sum(name == other for other, _ in said) > 1)
        raise _wrong(f"{twice!r} is said twice in the query")
    if of.query is None:
        if said:
            raise _wrong(f"this route takes no query, and was given {said[0][0]!r}")
        return None
    try:
        return typed.convert(dict(said), of.query, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(f"query: {_place(error)}") from None


def _body(of: Operation, data: bytes) -> Any:
    if of.body is None:
        if data and data.strip() not in (b"", b"{}"):
            raise _wrong("this route takes no body: send none, or {}")
        return None
    try:
        found = typed.decode(data or b"{}", of.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _wrong(f"body: {_place(error)}") from None
    except RecursionError:
        raise _wrong(f"body: it is nested more than {_DEEPEST} levels deep") from None
    _within(found)
    return found


def _place(error: Exception) -> str:
    """What is wrong, and where, without msgspec's `$`."""
    text, _, where = str(error).partition(" - at `")
    return f"{where.rstrip('`').removeprefix('$').lstrip('.')}: {text}" if where else text


def _within(body: Any) -> None:
    """Free values are no deeper, and their numbers no larger, than the database takes."""
    level: list[Any] = [getattr(body, field) for field in body.__struct_fields__]
    for _ in range(_DEEPEST):
        if not level:
            return
        below: list[Any] = []
        for value in level:
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise _wrong("body: a number in it has more than 64 bits")
            below += _parts(value)
        level = below
    raise _wrong(f"body: it is nested more than {_DEEPEST} levels deep")


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _wrong(what: str) -> UsageError:
    return UsageError(f"{what}; {SEE}")
