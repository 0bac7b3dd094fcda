"""How an operation says its route: beside its signature, in the protocol that every door offers.

A protocol's methods are the table of doors: the handlers, the client over a socket and the OpenAPI
document are all made of it, so none of them can know an operation that the others do not.

    @post("/dags/{dag}/runs", status=201)
    async def trigger(self, dag: str, logical_date: str | None = None, key: str | None = None) -> Triggered: ...

Names in the path are its parameters. The others are the query of a GET and the JSON body of anything
else, the fields of a struct each by itself; `key` is the header `Idempotency-Key`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar, cast

import msgspec
from msgspec import Meta

Scope = Literal["read", "run", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "run", "admin")
"""Each allows what those before it do: looking, working, and deciding in others' place."""

NAME: Final = 1_000
"""Characters that a text may have which does not say how many it may have."""

Text = Annotated[str, Meta(max_length=10_000)]
Person = Annotated[str, Meta(max_length=200)]
Limit = Annotated[int, Meta(ge=1, le=100_000)]
Number = Annotated[int, Meta(ge=0, le=2**53)]
"""A whole number that every reader of JSON takes as it is."""

Call = TypeVar("Call", bound=Callable[..., Any])
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where an operation is found, below `/api/v1`, and who may call it.

    `names`: what parameters are called there, where that differs. `nulls`: the word that stands for
    None, where there is no leaving it out. `pages`: what of a listing's items it is read page by page by; the
    operation's `before` is its `cursor` there. `parts`: the lists of an answer that is a struct which are read so, each with
    what of its items says to which of the first list they belong. `onward`: the parameter from which on a listing is read that
    else gives its last items (`paging.py`). `once`: whether a command takes an
    Idempotency-Key; it cannot where the answer is kept nowhere. `kept`: whether all of its answer is kept under the key, as
    there is more in it than in that of its command. `tagged`: the parameter that names the entity which a question
    answers with a tag of, and which a command edits as it was seen (`tags.py`).
    """

    method: str
    path: str
    status: int = 200
    scope: Scope = "read"
    names: Mapping[str, str] = _NONE
    nulls: Mapping[str, str] = _NONE
    pages: str = ""
    parts: Mapping[str, str] = _NONE
    onward: str = ""
    once: bool = True
    kept: bool = False
    tagged: str = ""


def get(
    path: str,
    *,
    scope: Scope = "read",
    names: Mapping[str, str] = _NONE,
    nulls: Mapping[str, str] = _NONE,
    pages: str = "",
    parts: Mapping[str, str] = _NONE,
    onward: str = "",
    tagged: str = "",
) -> Callable[[Call], Call]:
    """A question. It changes nothing."""
    return _at(
        Route(
            method="GET",
            path=path,
            scope=scope,
            names=names,
            nulls=nulls,
            pages=pages,
            parts=parts,
            onward=onward,
            tagged=tagged,
        )
    )


def post(
    path: str,
    *,
    status: int = 200,
    scope: Scope = "run",
    names: Mapping[str, str] = _NONE,
    nulls: Mapping[str, str] = _NONE,
    once: bool = True,
    kept: bool = False,
    tagged: str = "",
) -> Callable[[Call], Call]:
    """A command, or a question that is recorded."""
    return _at(
        Route(
            method="POST",
            path=path,
            status=status,
            scope=scope,
            names=names,
            nulls=nulls,
            once=once,
            kept=kept,
            tagged=tagged,
        )
    )


def _at(route: Route) -> Callable[[Call], Call]:
    def mark(function: Call) -> Call:
        function.route = route  # type: ignore[attr-defined]
        return function

    return mark


def route_of(function: object) -> Route | None:
    """The route that a method says; None: it says none."""
    return cast("Route | None", getattr(function, "route", None))
