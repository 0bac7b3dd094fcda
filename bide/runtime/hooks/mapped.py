"""From a delivery to what is asked for: which DAG, with which parameters, or why nothing is.

Pure, and bounded: the document's depth, each parameter's bytes and their number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from bide.runtime.errors import UsageError
from bide.runtime.hooks.hook import HookSpec, RouteSpec, Value
from bide.runtime.hooks.pointer import MISSING, Headers, pointer

DEEPEST: Final = 64
PARAM_LIMIT: Final = 64 * 1024
PARAMS_LIMIT: Final = 256 * 1024
_LONGEST_KEY: Final = 256
_encoder = msgspec.json.Encoder()


def document_of(body: bytes) -> Any:
    """The JSON of a body, null when it is empty. `UsageError` when it is none, or nested too deep."""
    if not body:
        return None
    try:
        found = msgspec.json.decode(body)
        found.encode() if isinstance(found, str) else None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise UsageError(f"the body is not JSON: {_short(str(error))}") from None
    except RecursionError:
        raise UsageError(f"the body is nested deeper than {DEEPEST} levels") from None
    if _deeper(found, DEEPEST):
        raise UsageError(f"the body is nested deeper than {DEEPEST} levels")
    return found


def chosen(hook: HookSpec, document: Any, headers: Headers) -> RouteSpec | None:
    """The first route whose conditions hold; None when there is none."""
    return next((route for route in hook.routes if _holds(route, document, headers)), None)


def params_of(route: RouteSpec, document: Any, headers: Headers) -> dict[str, Any]:
    """What the run is given. A parameter whose pointer finds nothing is left out: its default holds."""
    found: dict[str, Any] = {}
    total = 0
    for name, source in route.params.items():
        value = read(source, document, headers)
        if value is MISSING:
            continue
        size = _size(name, value)
        total += size
        if size > PARAM_LIMIT or total > PARAMS_LIMIT:
            raise UsageError(
                f"the parameter {name!r} is {size:,} bytes of JSON, and the limit is {PARAM_LIMIT:,} "
                f"({PARAMS_LIMIT:,} for all): point at the part that is needed"
            )
        found[name] = value
    return found


def check_found(route: RouteSpec, params: Mapping[str, Any], required: Iterable[str]) -> None:
    """`UsageError` names the first that the DAG cannot do without, and where it was looked for."""
    for name in required:
        at = route.params[name].at if name in route.params else ""
        if at and name not in params:
            raise UsageError(
                f"the DAG {route.dag!r} needs the parameter {name!r}, and {at} finds nothing in what was sent"
            )


def read(source: Value, document: Any, headers: Headers) -> Any:
    return pointer(source.at).read(document, headers) if source.at else source.value


def date_of(route: RouteSpec, document: Any, headers: Headers) -> str | None:
    """The text of the logical date, None where the hook says none."""
    if route.logical_date is None:
        return None
    found = read(route.logical_date, document, headers)
    if not isinstance(found, str) or not found or len(found) > 64:
        at = route.logical_date.at
        raise UsageError(f"the logical date at {at} is {_shown(found)}, and must be a date (ISO 8601)")
    return found


def key_of(hook: HookSpec, document: Any, headers: Headers) -> str:
    """What `key` points at, as a text."""
    found = pointer(hook.key).read(document, headers)
    if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
        raise UsageError(f"the key at {hook.key} is {_shown(found)}, and must be a text or a whole number")
    return kept_key(str(found))


def kept_key(text: str) -> str:
    """A key as it is stored: a long one, or one of other than printable characters, by its digest."""
    if len(text) <= _LONGEST_KEY and text.isprintable():
        return text
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def matches(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern with stars says.

    >>> matches("com.acme.*", "com.acme.order"), matches("com.acme.*", "org.acme.order")
    (True, False)
    """
    first, *rest = pattern.split("*")
    if not rest:
        return text == first
    *between, last = rest
    if not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for (
        part
    ) in between:  # each at the first place there is: what is taken early leaves the most for the others
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return at <= end


def _holds(route: RouteSpec, document: Any, headers: Headers) -> bool:
    return all(
        any(_same(pointer(at).read(document, headers), value) for value in values)
        for at, values in route.where.items()
    )


def _same(found: Any, wanted: Any) -> bool:
    return isinstance(found, bool) is isinstance(wanted, bool) and bool(found == wanted)


def _size(name: str, value: Any) -> int:
    try:
        return len(_encoder.encode(value))
    except (UnicodeError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise UsageError(f"the parameter {name!r} cannot be stored: {_short(str(error))}") from None


def _deeper(value: Any, limit: int) -> bool:
    """Level by level, without recursion."""
    level = [value]
    for _ in range(limit + 1):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _shown(value: Any) -> str:
    return "missing" if value is MISSING else _short(ascii(value))


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"
