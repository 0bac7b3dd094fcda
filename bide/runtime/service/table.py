"""The table of doors, read out of the protocols: which operations there are, and what each takes over HTTP.

Nothing here knows a web framework: the client of the terminal reads the same table. A method is read
when it is asked for, so a command pays for its own operation alone.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from bide.runtime.service.doors import ROOMS, Doors
from bide.runtime.service.route import NAME, Route, route_of

PREFIX: Final = "/api/v1"
KEY_HEADER: Final = "Idempotency-Key"
SEE: Final = "/api/v1/openapi.json shows what this route takes"
_NAMED: Final = re.compile(r"\{(\w+)(:path)?\}")
_LONGEST_LIST: Final = 10_000
_WIDEST: Final = Meta(ge=-(2**53), le=2**53)


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of an operation. `said` is its name over HTTP; `type` what it takes, with its limits.

    `null` is the word for None. `fields` are those of a struct, (attribute, name over HTTP), which is
    given field by field.
    """

    name: str
    said: str
    where: Literal["path", "query", "body", "header"]
    type: Any
    default: Any = msgspec.NODEFAULT
    null: str | None = None
    struct: Any = None
    fields: tuple[tuple[str, str], ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: `room` is "" for those of `Doors` itself. `query` and `body` are the types of what is sent."""

    room: str
    name: str
    route: Route
    parameters: tuple[Parameter, ...]
    result: Any
    doc: str
    query: Any = None
    body: Any = None

    @property
    def id(self) -> str:
        """`show`, `backfills_start`: stable, and one of a kind."""
        return f"{self.room}_{self.name}" if self.room else self.name

    @property
    def path(self) -> str:
        """From the root, as a router takes it."""
        return PREFIX + self.route.path

    def of(self, where: str) -> tuple[Parameter, ...]:
        return tuple(each for each in self.parameters if each.where == where)


@cache
def protocol(room: str) -> type:
    """The protocol of a room of `Doors`; of "" that is `Doors`."""
    if not room:
        return Doors
    module, name = ROOMS[room].split(":")
    found = getattr(import_module(f"bide.runtime.service.{module}"), name)
    assert isinstance(found, type)
    return found


@cache
def operation(room: str, name: str) -> Operation | None:
    """The operation of that name; None: there is none, or it has no route."""
    function = getattr(protocol(room), name, None)
    route = route_of(function)
    if route is None or function is None:
        return None
    return _read(room, name, function, route)


def operations() -> Iterator[Operation]:
    """All of them, in the order in which they are declared."""
    for room in ("", *ROOMS):
        for name in _declared(protocol(room)):
            found = operation(room, name)
            if found is not None:
                yield found


def _declared(of: type) -> list[str]:
    """The public names of a protocol and those it is built on, each once."""
    bases = [each for each in reversed(of.__mro__) if getattr(each, "_is_protocol", False)]
    return list(dict.fromkeys(name for base in bases for name in vars(base) if not name.startswith("_")))


def _read(room: str, name: str, function: Any, route: Route) -> Operation:
    hints = get_type_hints(function, include_extras=True)
    in_path = {match[0] for match in _NAMED.findall(route.path)}
    found = tuple(
        _parameter(each, hints[each.name], route, in_path)
        for each in list(inspect.signature(function).parameters.values())[1:]
    )
    unknown = in_path - {each.said for each in found if each.where == "path"}
    assert not unknown, f"{route.path} of {name} names {unknown}, and takes no such parameter"
    made = Operation(
        room=room,
        name=name,
        route=route,
        parameters=found,
        result=hints["return"],
        doc=inspect.getdoc(function) or "",
    )
    title = "".join(part.title() for part in made.id.split("_"))
    return msgspec.structs.replace(
        made, query=_struct(f"{title}Query", made.of("query")), body=_struct(f"{title}Body", made.of("body"))
    )


def _parameter(of: inspect.Parameter, kind: Any, route: Route, in_path: set[str]) -> Parameter:
    said = "cursor" if route.pages and of.name == "before" else route.names.get(of.name, of.name)
    where: Literal["path", "query", "body", "header"] = "query" if route.method == "GET" else "body"
    if said in in_path:
        where = "path"
    elif of.name == "key" and route.method != "GET":
        where, said = "header", KEY_HEADER
    struct = kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None
    fields: tuple[tuple[str, str], ...] = ()
    if struct is not None:
        fields = tuple((field.name, field.encode_name) for field in msgspec.structs.fields(struct))
    return Parameter(
        name=of.name,
        said=said,
        where=where,
        type=limited(kind),
        default=msgspec.NODEFAULT if of.default is inspect.Parameter.empty else of.default,
        null=route.nulls.get(of.name),
        struct=struct,
        fields=fields,
    )


def _struct(title: str, parameters: Sequence[Parameter]) -> Any:
    """The type of a query or a body: strict, closed, every text and list with a limit. None: nothing is taken."""
    fields: list[tuple[str, Any, Any]] = []
    for each in parameters:
        if each.struct is not None:
            for field in msgspec.structs.fields(each.struct):
                made = field.default_factory
                default = made() if made is not msgspec.NODEFAULT else field.default
                said = msgspec.field(name=field.encode_name, **_default(default))
                fields.append((field.name, limited(field.type), said))
        else:
            default = each.null if each.null and each.default is None else each.default
            fields.append((each.name, each.type, msgspec.field(name=each.said, **_default(default))))
    if not fields:
        return None
    return msgspec.defstruct(title, fields, kw_only=True, frozen=True, forbid_unknown_fields=True)


def _default(value: Any) -> dict[str, Any]:
    if value is msgspec.NODEFAULT:
        return {}
    return {"default_factory": type(value)} if isinstance(value, list | dict) else {"default": value}


def limited(kind: Any) -> Any:
    """A type with a limit on every text, list and number that has none of its own."""
    if kind is str:
        return Annotated[str, Meta(max_length=NAME)]
    if kind is int:
        return Annotated[int, _WIDEST]
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(limited(each) for each in args)]  # noqa: UP007 - made of a list
    parts: tuple[Any, ...] = ()
    if origin in (Sequence, list, tuple):
        parts = (tuple, (limited(args[0]), ...))
    elif origin in (Mapping, dict):
        parts = (dict, (args[0], limited(args[1])))
    if parts:
        return Annotated[types.GenericAlias(*parts), Meta(max_length=_LONGEST_LIST)]
    return kind
