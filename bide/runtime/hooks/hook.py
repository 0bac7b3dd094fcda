"""What an author writes of a hook, and the same as plain data.

`Webhook` takes signed deliveries at `/hooks/{name}`, `CloudEvents` events of some type at `/api/v1/events`;
making one declares it, for the runtimes that load its file. What a delivery brings becomes parameters by
pointers (`pointer.py`), with limits; nothing of it is ever run, imported or formatted into anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, Protocol

import msgspec

from bide.runtime.errors import GraphError
from bide.runtime.hooks.pointer import pointer
from bide.runtime.hooks.signing import GITHUB, STANDARD, STRIPE, UNSIGNED, WINDOWED
from bide.runtime.values import Secret

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_PATTERN: Final = re.compile(r"[\x21-\x7e]{1,256}")
_MOST_PARAMS: Final = 64
_MOST_ROUTES: Final = 64
_MOST_STARS: Final = 4
BODY: Final = 1024 * 1024
"""Bytes of a body, where a hook does not say less."""
MOST_BODY: Final = BODY
_DAY_US: Final = 24 * 3600 * 1_000_000
_SECOND_US: Final = 1_000_000
LEAST_KEPT_US: Final = 7 * _DAY_US
KEPT_WITHOUT_TIME_US: Final = 400 * _DAY_US
"""How long deliveries are known whose signature covers no time: what was caught once could be sent for ever."""


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a value comes from: a pointer, or, where that is empty, itself."""

    at: str = ""
    value: Any = None


class RouteSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which DAG a delivery starts, if `where` holds: each pointer finds one of its values."""

    dag: str
    where: dict[str, tuple[Any, ...]] = {}
    params: dict[str, Value] = {}
    logical_date: Value | None = None
    new: bool = True


class HookSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hook as plain data; secrets are named, never held."""

    name: str
    kind: Literal["webhook", "cloudevents"]
    scheme: str
    secrets: tuple[str, ...] = ()
    routes: tuple[RouteSpec, ...]
    type: str = ""
    source: str = ""
    key: str = ""
    max_body: int = BODY
    tolerance_us: int = 300 * _SECOND_US
    keep_us: int = LEAST_KEPT_US
    doc: str = ""

    @property
    def path(self) -> str:
        return f"/hooks/{self.name}" if self.kind == "webhook" else "/api/v1/events"


class Fixed:
    """A value that is the same for every delivery; needed for texts, which otherwise are pointers."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Scheme:
    """How deliveries are signed. Any of several secrets may have signed: name the new one beside the old."""

    __slots__ = ("kind", "secrets")
    kind: str

    def __init__(self, *secrets: Secret | str) -> None:
        name = type(self).__name__
        if not secrets:
            raise GraphError(f'{name} needs a secret: {name}(Secret("env:NAME"))')
        self.secrets = tuple(_reference(name, each) for each in secrets)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.secrets)})"


class GitHub(Scheme):
    """`X-Hub-Signature-256`: HMAC-SHA256 of the body."""

    kind = GITHUB


class Stripe(Scheme):
    """`Stripe-Signature`: HMAC-SHA256 of time and body."""

    kind = STRIPE


class StandardWebhooks(Scheme):
    """`webhook-id`, `webhook-timestamp`, `webhook-signature`: version 1 of Standard Webhooks (`whsec_` secrets)."""

    kind = STANDARD


class Unsigned(Scheme):
    """Not signed at all: whoever sends needs a token of scope `run`, or the service's socket."""

    kind = UNSIGNED

    def __init__(self) -> None:
        self.secrets = ()


class Named(Protocol):
    """A DAG, or what has its name."""

    @property
    def name(self) -> str: ...


class Route:
    """One of several DAGs that a hook may start: `Route("build", where={"$.ref": "refs/heads/main"})`.

    `where`: pointer -> the value it must find, or a list of them. `params`: parameter -> pointer, or a value
    that is no text (`Fixed("text")` for one that is). `logical_date`: a pointer to an ISO 8601 text. `new`:
    whether a date that has a run gets another; so it is where no `logical_date` is said.
    """

    __slots__ = ("spec",)

    def __init__(
        self,
        dag: str | Named,
        *,
        where: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        logical_date: str | Fixed | None = None,
        new: bool | None = None,
    ) -> None:
        name = dag if isinstance(dag, str) else dag.name
        if len(params or {}) > _MOST_PARAMS:
            raise GraphError(
                f"a hook maps {len(params or {})} parameters of {name!r}: at most {_MOST_PARAMS}"
            )
        self.spec = RouteSpec(
            dag=name,
            where={_pointer(at): _wanted(value) for at, value in (where or {}).items()},
            params={param: _value(source) for param, source in (params or {}).items()},
            logical_date=None if logical_date is None else _value(logical_date),
            new=logical_date is None if new is None else new,
        )


class Webhook:
    """A hook at `/hooks/{name}`; making one declares it.

    >>> hook = Webhook("github", dag="build", scheme=GitHub(Secret("env:GITHUB_SECRET")), params={"branch": "$.ref"})
    >>> hook.spec.path
    '/hooks/github'

    `dag`, `where`, `params`, `logical_date` and `new` are those of `Route`; with `routes` the first that matches is
    taken. `key` points at what makes a delivery the same when it comes again, instead of what the scheme says.
    `tolerance`: how old a signed time may be, or ahead. `keep`: how long a delivery is known (7 days; 400 where the
    signature covers no time), at least twice the tolerance. `max_body`: bytes.
    """

    __slots__ = ("spec",)

    def __init__(
        self,
        name: str,
        dag: str | Named | None = None,
        *,
        scheme: Scheme,
        where: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        logical_date: str | Fixed | None = None,
        new: bool | None = None,
        routes: Sequence[Route] = (),
        key: str | None = None,
        max_body: int = BODY,
        tolerance: timedelta = timedelta(minutes=5),
        keep: timedelta | None = None,
        doc: str = "",
    ) -> None:
        if not _is_text(name, _NAME):
            raise GraphError(
                f"a webhook cannot be named {name!r}: its name is a part of its address, of 1 to 100 letters, "
                "digits, dots, dashes and underscores"
            )
        what = f"the webhook {name!r}"
        if type(scheme) not in (GitHub, Stripe, StandardWebhooks, Unsigned):
            raise GraphError(
                f"{what}: scheme is {scheme!r}, and must be GitHub(...), Stripe(...), StandardWebhooks(...) or, "
                "where nothing is signed, Unsigned()"
            )
        if not 1 <= max_body <= MOST_BODY:
            raise GraphError(f"{what}: max_body is {max_body}, and must be 1 to {MOST_BODY} bytes")
        tolerance_us = _span(what, "tolerance", tolerance, timedelta(seconds=1), timedelta(hours=1))
        self.spec = HookSpec(
            name=name,
            kind="webhook",
            scheme=scheme.kind,
            secrets=scheme.secrets,
            routes=_routes(what, dag, routes, where=where, params=params, logical_date=logical_date, new=new),
            key="" if key is None else _pointer(key),
            max_body=max_body,
            tolerance_us=tolerance_us,
            keep_us=_kept(what, scheme.kind, tolerance_us, keep),
            doc=doc,
        )
        _declare(self.spec)


class CloudEvents:
    """Events of a type at `/api/v1/events`; making one declares it. A `*` in `type` or `source` is any text.

    >>> CloudEvents("com.acme.order.*", dag="load", params={"order": "$.data.id"}).spec.name
    'com.acme.order.*:load'

    Pointers go into the event in its JSON form: `$.data...`, `$.subject`, `$.time`, its extensions. Its source and
    id make it the same event when it comes again. Each `CloudEvents` that matches starts its DAG.
    """

    __slots__ = ("spec",)

    def __init__(
        self,
        type: str,  # noqa: A002 - what the specification calls it
        dag: str | Named,
        *,
        source: str = "*",
        where: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        logical_date: str | Fixed | None = None,
        new: bool | None = None,
        name: str | None = None,
        keep: timedelta | None = None,
        doc: str = "",
    ) -> None:
        what = f"the CloudEvents of type {type!r}"
        for word, text in (("type", type), ("source", source)):
            if not _is_text(text, _PATTERN) or text.count("*") > _MOST_STARS:
                raise GraphError(
                    f"{what}: {word} is {text!r}, and must be 1 to 256 printable characters without blanks, with at "
                    f"most {_MOST_STARS} stars"
                )
        routes = _routes(what, dag, (), where=where, params=params, logical_date=logical_date, new=new)
        if name is not None and not _NAME.fullmatch(name):
            raise GraphError(
                f"{what}: name is {name!r}, and must be letters, digits, dots, dashes, underscores"
            )
        self.spec = HookSpec(
            name=name or f"{type}:{routes[0].dag}",
            kind="cloudevents",
            scheme=UNSIGNED,
            routes=routes,
            type=type,
            source=source,
            keep_us=_kept(what, "", 0, keep),
            doc=doc,
        )
        _declare(self.spec)


def _declare(spec: HookSpec) -> None:
    from bide.runtime.assets.declarations import declare_hook

    declare_hook(spec)


def _routes(
    what: str, dag: str | Named | None, routes: Sequence[Route], **route: Any
) -> tuple[RouteSpec, ...]:
    if dag is not None and routes:
        raise GraphError(f"{what} has a dag and routes: put the DAG into a Route of its own")
    if dag is not None:
        return (Route(dag, **route).spec,)
    if any(value is not None for value in route.values()):
        raise GraphError(f"{what}: where, params, logical_date and new go with its dag, or into its routes")
    if not 1 <= len(routes) <= _MOST_ROUTES:
        raise GraphError(f"{what} starts nothing: give a dag, or 1 to {_MOST_ROUTES} routes")
    return tuple(each.spec for each in routes)


def _reference(scheme: str, secret: Any) -> str:
    if isinstance(secret, Secret):
        return secret.ref
    if isinstance(secret, str) and secret.startswith(("env:", "file:", "credential:")):
        return Secret(secret).ref
    raise GraphError(  # what was given is not shown: it may be the secret itself
        f'{scheme} takes the name of a secret, never its value: {scheme}(Secret("env:NAME")), "file:PATH" or '
        '"credential:NAME"'
    )


def _is_text(text: Any, form: re.Pattern[str]) -> bool:
    return isinstance(text, str) and form.fullmatch(text) is not None


def _pointer(text: Any) -> str:
    if not isinstance(text, str):
        raise GraphError(f"{text!r} is no pointer: write $.key, /key or header:Name")
    pointer(text)
    return text


def _value(source: Any) -> Value:
    if isinstance(source, str):
        return Value(at=_pointer(source))
    return Value(value=_literal(source.value if isinstance(source, Fixed) else source))


def _wanted(value: Any) -> tuple[Any, ...]:
    many = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    return tuple(_literal(each.value if isinstance(each, Fixed) else each) for each in many)


def _literal(value: Any) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise GraphError(f"a hook gives {value!r}, and that is not JSON: {error}") from None


def _span(what: str, name: str, span: Any, least: timedelta, most: timedelta) -> int:
    if not isinstance(span, timedelta) or not least <= span <= most:
        raise GraphError(f"{what}: {name} is {span!r}, and must be a timedelta from {least} to {most}")
    microseconds: int = span // timedelta(microseconds=1)
    return microseconds


def _kept(what: str, scheme: str, tolerance_us: int, keep: timedelta | None) -> int:
    """Never less than twice the tolerance: what is forgotten earlier could be sent once more."""
    if keep is None:
        timed = scheme in WINDOWED or not scheme
        return max(LEAST_KEPT_US if timed else KEPT_WITHOUT_TIME_US, 2 * tolerance_us)
    least = max(timedelta(days=7), timedelta(microseconds=2 * tolerance_us))
    return _span(what, "keep", keep, least, timedelta(days=36_500))
