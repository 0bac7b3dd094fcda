"""What is said of notices: routes, where each leads, and which alerts it takes. Plain data; secrets are named, never held."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from bide.runtime import typed
from bide.runtime.assets.words import Severity
from bide.runtime.clock import span_us
from bide.runtime.errors import UsageError
from bide.runtime.values import Secret

KINDS: Final = (
    "failure", "deadline", "stale", "quality", "invalidation", "approval", "incident", "effect", "blocked",
)  # fmt: skip
"""What there is to be told of."""
KIND_OF: Final = {"run": "deadline", "task": "deadline", "asset": "stale"}
"""Kinds of alerts that routes call otherwise: the promise that was broken."""
RANK: Final = {severity.value: rank for rank, severity in enumerate(Severity)}
_REFERENCE: Final = re.compile(r"\{((?:env|file|credential):[^{}]+)\}")
_WHOLE: Final = ("env:", "file:", "credential:")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
WINDOW: Final = timedelta(minutes=5)
BURST: Final = 10
TIMEOUT_S: Final = 20.0


class Webhook(msgspec.Struct, frozen=True):
    """A receiver of signed messages (Standard Webhooks): `Webhook("https://ops.example.org/bide", Secret("env:HOOK"))`.

    `secret` names the signing secret (`whsec_...`, 24 to 64 bytes); of several, all sign: so one is exchanged for
    another. `url` and `headers` may name secrets as `{env:NAME}`. `timeout`: seconds for the whole answer.
    `ca`: a PEM file of authorities in place of the usual ones.
    """

    url: str
    secret: Secret | tuple[Secret, ...]
    timeout: float = TIMEOUT_S
    headers: dict[str, str] = {}
    ca: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"a webhook to {shown(self.url)!r} goes nowhere: give an http:// or https:// address"
            )
        if not 0 < self.timeout <= 60:
            raise UsageError(f"a webhook that may take {self.timeout:g} s: give 1 to 60 (15 to 30 is usual)")
        secrets = self.secret if isinstance(self.secret, tuple) else (self.secret,)
        if not secrets or not all(isinstance(each, Secret) for each in secrets):
            raise UsageError(
                'the secret of a webhook is named, never written down: Secret("env:NAME"), Secret("file:PATH") '
                'or Secret("credential:NAME")'
            )

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.secret if isinstance(self.secret, tuple) else (self.secret,)


class Route(msgspec.Struct, frozen=True):
    """Who is told of what. An alert goes over every route that takes it.

    `to` is a `Webhook`, or an apprise URL (extra `notify`): `"slack://{env:SLACK_TOKENS}/#ops"`, `Secret("env:URL")`.
    `kinds`: of `KINDS`; `owner` and `tags`: names or patterns (`team-*`), one of which fits; none of them: any.
    `at_least`: no milder ones. `window`: what is like it (kind and subject) within that span goes as one notice,
    with a count; more than `burst` subjects in a window go as one as well. `name` is how lists and commands call it.
    """

    to: str | Secret | Webhook
    name: str = ""
    kinds: str | Sequence[str] = ()
    owner: str | Sequence[str] = ()
    tags: str | Sequence[str] = ()
    at_least: str = Severity.INFO.value
    window: timedelta = WINDOW
    burst: int = BURST

    def __post_init__(self) -> None:
        if (
            not isinstance(self.to, Webhook | Secret)
            and "://" not in self.to
            and not self.to.startswith(_WHOLE)
        ):
            raise UsageError(
                f"a route to {self.to!r} goes nowhere: give an apprise URL (`mailto://...`) or a Webhook"
            )
        if isinstance(self.to, str) and urlsplit(self.to).scheme in ("http", "https"):
            raise UsageError(
                "a route to a plain http address: give a Webhook(url, Secret(...)), which is signed, or an apprise URL "
                "such as json://host/path"
            )
        for kind in self.all_kinds:
            if kind not in KINDS:
                raise UsageError(f"{kind!r} is no kind of notice: use some of {', '.join(KINDS)}")
        if self.at_least not in RANK:
            raise UsageError(f"{self.at_least!r} is no severity: use one of {', '.join(RANK)}")
        if not timedelta(0) <= self.window <= timedelta(days=7):
            raise UsageError(f"a window of {self.window} cannot be: give nothing to 7 days")
        if self.burst < 1:
            raise UsageError(f"a burst of {self.burst} tells of nothing: give 1 or more")
        if self.name and not _NAME.fullmatch(self.name):
            raise UsageError(f"{self.name!r} is no name of a route: use letters, digits, `_`, `.` and `-`")

    @property
    def all_kinds(self) -> tuple[str, ...]:
        return _tuple(self.kinds)

    @property
    def owners(self) -> tuple[str, ...]:
        return _tuple(self.owner)

    @property
    def all_tags(self) -> tuple[str, ...]:
        return _tuple(self.tags)

    @property
    def window_us(self) -> int:
        return span_us(self.window)

    @property
    def target(self) -> str:
        """A fingerprint of where it leads, as it is written down: another one is another receiver."""
        said = (
            self.to.url
            if isinstance(self.to, Webhook)
            else self.to.ref
            if isinstance(self.to, Secret)
            else self.to
        )
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def where(self) -> str:
        """Where it leads, for people: nothing that could be a secret."""
        if isinstance(self.to, Webhook):
            return f"webhook {shown(self.to.url)}"
        if isinstance(self.to, Secret) or self.to.startswith(_WHOLE):
            return f"apprise, by {self.to.ref if isinstance(self.to, Secret) else self.to}"
        return f"apprise {urlsplit(_REFERENCE.sub('x', self.to)).scheme}://..."

    def takes(self, kind: str, severity: str, owners: Sequence[str], tags: Sequence[str]) -> bool:
        """Whether an alert goes over it. `kind` is one of alerts or of routes.

        >>> Route("json://host", kinds="failure", at_least="major").takes("failure", "major", [], [])
        True
        """
        if self.all_kinds and KIND_OF.get(kind, kind) not in self.all_kinds:
            return False
        if RANK.get(severity, 0) < RANK[self.at_least]:
            return False
        return _fits(self.owners, owners) and _fits(self.all_tags, tags)


class RouteSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A route in a file: `to` or `webhook` with its `secret`, and what it takes."""

    to: str | None = None
    webhook: str | None = None
    secret: str | list[str] | None = None
    name: str = ""
    kinds: str | list[str] = []
    owner: str | list[str] = []
    tags: str | list[str] = []
    at_least: str = Severity.INFO.value
    window: str = "5m"
    burst: int = BURST
    timeout: float = TIMEOUT_S
    headers: dict[str, str] = {}
    ca: str | None = None


Notify = Sequence[Route | Mapping[str, Any] | RouteSetting]


def routes_of(said: Notify) -> tuple[Route, ...]:
    """What was said, as routes that all have a name; `UsageError` for what cannot be."""
    found: dict[str, Route] = {}
    for each in said:
        route = each if isinstance(each, Route) else route_of(each)
        if not route.name:
            route = msgspec.structs.replace(route, name=_name_of(route))
        if route.name in found:
            raise UsageError(f"there are two routes {route.name!r}: give them names of their own")
        found[route.name] = route
    return tuple(found.values())


def route_of(said: RouteSetting | Mapping[str, Any]) -> Route:
    """A route from its table in a file."""
    try:
        s = said if isinstance(said, RouteSetting) else typed.convert(dict(said), RouteSetting)
    except msgspec.ValidationError as error:
        raise UsageError(f"notify: {error}") from None
    if (s.to is None) == (s.webhook is None):
        raise UsageError("notify: a route has `to`, an apprise URL, or `webhook`, an address; and not both")
    to: str | Webhook
    if s.webhook is not None:
        if not s.webhook.startswith(("https://", "http://", "{", *_WHOLE)):
            raise UsageError(
                f"notify: the webhook of {f'the route {s.name!r}' if s.name else 'a route'} "
                "is no address: write https://..., or http://..."
            )
        if not s.secret:
            raise UsageError(
                f'notify: the webhook to {shown(s.webhook)} has no secret: name one, secret = "env:HOOK_SECRET"'
            )
        named = [s.secret] if isinstance(s.secret, str) else s.secret
        if not all(each.startswith(_WHOLE) for each in named):
            raise UsageError('notify: a secret is named, never written down: secret = "env:NAME", "file:PATH" or '
                             '"credential:NAME"')  # fmt: skip
        to = Webhook(s.webhook, tuple([Secret(each) for each in named]), s.timeout, s.headers, s.ca)
    else:
        assert s.to is not None
        to = s.to
    return Route(
        to, s.name, s.kinds, s.owner, s.tags, s.at_least, timedelta(seconds=_span(s.window)), s.burst
    )


def revealed(text: str) -> str:
    """`text` with each secret that it names: the whole of it, or `{env:NAME}` within."""
    if text.startswith(_WHOLE):
        return Secret(text).resolve()
    return _REFERENCE.sub(lambda found: Secret(found[1]).resolve(), text)


def shown(url: str) -> str:
    """Scheme and host of a URL: what follows may be a secret, as may what stands before the host.

    >>> shown("https://user:pw@hooks.example.org/T0/secret")
    'https://hooks.example.org/...'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{'/...' if parts.path.strip('/') or parts.query else ''}"


def _name_of(route: Route) -> str:
    if isinstance(route.to, Webhook):
        kind = urlsplit(route.to.url).hostname or "webhook"
    elif isinstance(route.to, Secret) or route.to.startswith(_WHOLE):
        kind = "apprise"
    else:
        kind = urlsplit(_REFERENCE.sub("x", route.to)).scheme
    return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{kind}-{route.target[:6]}")


def _span(text: str) -> float:
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)([smhd])", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise UsageError(f"notify: a window of {text!r} is no span of time: write 90s, 5m, 1h or 1d")
    return sum(float(n) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[u] for n, u in parts)


def _tuple(said: str | Sequence[str]) -> tuple[str, ...]:
    return ((said,) if said else ()) if isinstance(said, str) else tuple(said)


def _fits(patterns: Sequence[str], names: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
