"""`HttpTrigger`: an answer of an HTTP server is waited for; its statuses are ready, fail or wait.

An answer is *ready* when its status is in `expect_status` (2xx by default) and its body passes
`json_path`/`equals` and `contains`; it *fails* the wait when its status is in `fail_on` (nothing
by default); every other answer, 404, 429 and 5xx among them, means: go on waiting. A refused
connection, a time-out or a broken answer is a look that failed, and is tried again.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import force_setattr

from bide.runtime.errors import UsageError
from bide.triggers.base import Fail, Fire, NotYet, Source, SourceWorld, Trigger, Verdict
from bide.triggers.http_match import (
    ABSENT,
    Ranges,
    Statuses,
    at_path,
    parsed,
    path_steps,
    status_ranges,
    within,
)
from bide.triggers.secret_refs import name_secrets

EVENT_TEXT: Final = 64 * 1024
_2XX: Final[Ranges] = ((200, 299),)
_NONE: Final[Ranges] = ()
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpSeen(msgspec.Struct, frozen=True, dict=True):
    """One answer. `text` is at most 1 MiB; `cut` says that there was more."""

    status: int
    url: str
    headers: dict[str, str]
    text: str = ""
    cut: bool = False
    retry_at_us: int | None = None

    @cached_property
    def json(self) -> Any:
        """The body's JSON or `ABSENT`, parsed once for all the waits that judge it."""
        return parsed(self.text)


class HttpRefused(msgspec.Struct, frozen=True):
    """No request was made: the policy forbids this address."""

    reason: str


class HttpTrigger(Trigger, frozen=True, kw_only=True, tag="http"):
    """Wait for an HTTP answer.

    `auth` is `(user, Secret(...))` for basic, a `Secret` alone for a bearer token; `headers` and
    `body` may hold `Secret`s. `json_path` alone asks for a value that is there and neither null,
    false, zero nor empty; with `equals`, for that value. `timeout` bounds one look in seconds,
    `max_rps` the requests a second of all waits on the origin. `ca` is a PEM file for a private
    authority; `env_proxies` takes HTTP_PROXY and its kin into account.
    """

    source_modules: ClassVar = ("bide.triggers.http_source",)

    url: str
    method: str = "GET"
    headers: dict[str, Any] = msgspec.field(default_factory=dict)
    body: Any = None
    expect_status: Statuses = _2XX
    json_path: str | None = None
    equals: Any = msgspec.UNSET
    contains: str | None = None
    auth: Any = None
    fail_on: Statuses = _NONE
    max_rps: float | None = None
    follow_redirects: bool = True
    timeout: float = 30.0
    ca: str | None = None
    env_proxies: bool = False

    def __post_init__(self) -> None:
        parts = _url_parts(self.url)
        if parts.username or parts.password:
            raise UsageError(
                f"the url for {parts.hostname} holds credentials, which would be stored: "
                'write auth=("user", Secret("env:NAME"))'
            )
        if self.method.upper() not in _METHODS:
            raise UsageError(f"method {self.method!r} is not one of {', '.join(sorted(_METHODS))}")
        if self.equals is not msgspec.UNSET and self.json_path is None:
            raise UsageError("equals needs json_path: say which value of the body it is compared with")
        if not 0 < self.timeout <= 3600:
            raise UsageError(f"timeout {self.timeout} is not between 0 and 3600 seconds")
        if self.max_rps is not None and self.max_rps <= 0:
            raise UsageError(f"max_rps {self.max_rps} is not above 0")
        if self.json_path is not None:
            path_steps(self.json_path)
        for name in ("expect_status", "fail_on"):
            written = getattr(self, name)
            if written is not _2XX and written is not _NONE:
                force_setattr(self, name, status_ranges(written, name))
        if not self.expect_status:
            raise UsageError('expect_status is empty, and nothing would be ready: write 200 or "2xx"')
        if not self.method.isupper():
            force_setattr(self, "method", self.method.upper())
        for name in ("headers", "body", "auth"):
            force_setattr(self, name, name_secrets(getattr(self, name)))
        force_setattr(self, "auth", _auth_form(self.auth))

    def source_key(self) -> Hashable:
        return ("http", origin_of(self.url))

    def poll_key(self) -> Hashable:
        """The request itself: waits that differ in what they judge share one."""
        return msgspec.json.encode(
            (
                self.method,
                self.url,
                sorted(self.headers.items()),
                self.body,
                self.auth,
                self.follow_redirects,
                self.ca,
                self.env_proxies,
            )
        )

    def judge(self, seen: HttpSeen | HttpRefused, memo: Any, now: int) -> Verdict:
        if isinstance(seen, HttpRefused):
            return Fail(seen.reason)
        if within(seen.status, self.fail_on):  # type: ignore[arg-type]  # ranges since __post_init__
            return Fail(f"{self.describe()} answered {seen.status}, which fail_on names")
        if not within(seen.status, self.expect_status):  # type: ignore[arg-type]
            return self._not_yet(seen, f"answered {seen.status}")
        value: Any = ABSENT
        if self.json_path is not None:
            if seen.json is ABSENT:
                return self._not_yet(seen, f"answered {seen.status}, and its body is not JSON")
            value = at_path(seen.json, path_steps(self.json_path))
            if value is ABSENT:
                return self._not_yet(seen, f"answered {seen.status}, without {self.json_path}")
            if self.equals is msgspec.UNSET:
                if not value:
                    return self._not_yet(seen, f"{self.json_path} is {_short(value)}")
            elif not _same(value, self.equals):
                return self._not_yet(seen, f"{self.json_path} is {_short(value)}")
        if self.contains is not None and self.contains not in seen.text:
            return self._not_yet(seen, f"answered {seen.status}, without {_short(self.contains)}")
        return Fire(_event(seen, value))

    def _not_yet(self, seen: HttpSeen, reason: str) -> NotYet:
        if seen.cut:
            reason += " (of its body the first 1 MiB was read)"
        return NotYet(reason, again_us=seen.retry_at_us, at_least=seen.retry_at_us is not None)

    def event_key(self, event: Any) -> Any:
        """Headers bear the time of the answer: what was answered is what counts."""
        return {key: value for key, value in event.items() if key != "headers"}

    def describe(self) -> str:
        return f"{self.method} {self.url.partition('?')[0]}"

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        from bide.triggers.http_source import HttpSource

        return HttpSource(key, world)


def origin_of(url: str) -> str:
    """Scheme, host and port, the default port left out.

    >>> origin_of("HTTPS://Example.org:443/a?b")
    'https://example.org'
    """
    parts = _url_parts(url)
    scheme, host, port = parts.scheme.lower(), (parts.hostname or "").lower(), parts.port
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if port in (None, default) else f"{scheme}://{host}:{port}"


def _url_parts(url: str) -> Any:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"url {url!r} cannot be read: {error}") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError(f"url {url!r} is not an HTTP address: write https://host/path")
    if any(character.isspace() or ord(character) < 32 for character in url):
        raise UsageError(f"url {url!r} holds white space: quote it as %20")
    return parts


def _auth_form(auth: Any) -> Any:
    """`(user, password)` or `{"bearer": token}`; `UsageError` for a secret in the clear."""
    match auth:
        case None:
            return None
        case (user, {"$secret": _} as password) if isinstance(user, str | dict):
            return (user, password)
        case {"$secret": _}:
            return {"bearer": auth}
        case {"bearer": {"$secret": _}} if len(auth) == 1:
            return auth
        case _:
            raise UsageError(
                'auth is neither ("user", Secret("env:NAME")) nor Secret("env:TOKEN") for a bearer token; '
                "a password or token itself would be stored"
            )


def _same(value: Any, wanted: Any) -> bool:
    """Equal as JSON: true is not 1, a tuple is a list."""
    if isinstance(wanted, tuple):
        wanted = list(wanted)
    return bool(value == wanted) and isinstance(value, bool) is isinstance(wanted, bool)


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _event(seen: HttpSeen, value: Any) -> dict[str, Any]:
    event: dict[str, Any] = {"status": seen.status, "url": seen.url[:2048], "headers": seen.headers}
    wants_json = "json" in seen.headers.get("content-type", "") or value is not ABSENT
    if wants_json and len(seen.text) <= EVENT_TEXT and seen.json is not ABSENT and _fits(seen.json):
        event["json"] = seen.json
    else:
        text = seen.text[:EVENT_TEXT]
        while not _fits(text):
            text = text[: len(text) * 2 // 3]
        event["text"] = text
    if value is not ABSENT and len(_short(value)) <= 80:
        event["value"] = value
    return event


def _fits(part: Any) -> bool:
    """As JSON, where a character can take six bytes, no more than an event may hold."""
    return len(msgspec.json.encode(part)) <= 2 * EVENT_TEXT
