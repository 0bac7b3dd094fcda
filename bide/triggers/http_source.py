"""`HttpSource`: all the waits on one origin, at most ten requests under way, bounded in every way.

Redirects are followed here, hop by hop: each is checked against the policy, and none carries a
secret or a body to another origin. Names are resolved once, and the checked address is the one connected to.
An answer with a validator is asked for again with it; `304` means the same observation again.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections import Counter, OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from bide.runtime.clock import DAY, MINUTE, SECOND, to_us
from bide.runtime.errors import UsageError
from bide.runtime.values import redactor
from bide.triggers._time_limit import TimeLimited
from bide.triggers._web import CONNECTIONS, Answer, NewClient, Request, exchange, new_client
from bide.triggers._web_clients import Clients
from bide.triggers.base import LookFailed, Registration, SourceWorld, reveal
from bide.triggers.http import HttpRefused, HttpSeen, HttpTrigger, origin_of
from bide.triggers.http_policy import HttpPolicy, literal_address, why_refused
from bide.triggers.secret_refs import holds_secret

HOPS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_KEPT_HEADERS: Final = (
    "content-type",
    "content-length",
    "date",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "x-request-id",
)
_NEVER_ELSEWHERE: Final = ("authorization", "cookie", "proxy-authorization")
_REMEMBERED: Final = 16 * 1024 * 1024
_REMEMBERED_EACH: Final = 256 * 1024
_RESOLVED_FOR: Final = 5 * SECOND
_ORIGIN_REST: Final = 5 * MINUTE
_DATES_PART: Final = timedelta(seconds=2)
"""A Retry-After holds back its own request for as long as it says, other waits on the origin so long."""


class HttpSource(TimeLimited):
    """One origin, or what a user's trigger class names as one; it may bring its own clients.

    `make_source = classmethod(lambda cls, key, world: HttpSource(key, world, new_client=mine))`.
    """

    max_in_flight = CONNECTIONS

    def __init__(
        self,
        key: Hashable,
        world: SourceWorld,
        *,
        policy: HttpPolicy | None = None,
        new_client: NewClient = new_client,
    ) -> None:
        super().__init__()
        self.key = key
        self._world = world
        self._policy = HttpPolicy.of(os.environ) if policy is None else policy
        self._clients = Clients(world, new_client)
        self._rates: Counter[float] = Counter()
        self._waiting: Counter[Hashable] = Counter()
        self._answers: OrderedDict[Hashable, HttpSeen] = OrderedDict()
        self._answers_size = 0
        self._resolved: dict[tuple[str, int], tuple[int, list[str]]] = {}

    def add(self, registration: Registration) -> None:
        super().add(registration)
        trigger: HttpTrigger = registration.trigger
        self._waiting[trigger.poll_key()] += 1
        if trigger.max_rps is not None:
            self._rates[trigger.max_rps] += 1
        self._set_spacing()

    def remove(self, registration: Registration, reason: str) -> None:
        super().remove(registration, reason)
        trigger: HttpTrigger = registration.trigger
        key = trigger.poll_key()
        self._waiting[key] -= 1
        if self._waiting[key] <= 0:
            del self._waiting[key]
            self._forget(key)
        if trigger.max_rps is not None:
            self._rates[trigger.max_rps] -= 1
        self._set_spacing()

    def _set_spacing(self) -> None:
        """The slowest rate asked for rules the origin."""
        self._rates = +self._rates
        self.spacing_us = round(SECOND / min(self._rates)) if self._rates else 0

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> HttpSeen | HttpRefused:
        trigger: HttpTrigger = registrations[0].trigger
        limit = max(registration.trigger.timeout for registration in registrations)
        try:
            async with asyncio.timeout(limit):
                return await self._ask(trigger, poll_key, limit)
        except TimeoutError:
            raise LookFailed(f"no whole answer within {limit:g} s") from None

    async def close(self) -> None:
        await self._clients.close()

    async def _ask(self, trigger: HttpTrigger, poll_key: Hashable, limit: float) -> HttpSeen | HttpRefused:
        method, url = trigger.method, trigger.url
        headers, content = _headers(trigger, with_secrets=True), _content(trigger.body)
        known = self._answers.get(poll_key)
        if known is not None:
            headers += _validators(known)
        for hop in range(HOPS + 1):
            addresses, refused = await self._addresses(url, trigger.env_proxies)
            if refused is not None:
                return HttpRefused(f"{method} {url.partition('?')[0]} is refused: {refused}")
            request = Request(method, url, headers, content, limit)
            answer = await self._exchange(trigger, request, addresses)
            target = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not target or not trigger.follow_redirects:
                return self._seen(poll_key, url, answer, known, direct=hop == 0 and method in ("GET", "HEAD"))
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, content = ("HEAD" if method == "HEAD" else "GET"), b""
            url = _next_hop(url, target)
            at_home = origin_of(url) == origin_of(trigger.url)
            if content and not at_home:
                raise LookFailed(
                    f"{trigger.url.partition('?')[0]} redirects {method} with its body to another origin, "
                    f"{origin_of(url)}: a body is not sent there, name that address as the url"
                )
            headers = _headers(trigger, with_secrets=at_home)
            if self.spacing_us:
                await asyncio.sleep(self.spacing_us / SECOND)
        raise LookFailed(f"more than {HOPS} redirects, the last to {url.partition('?')[0]}")

    async def _exchange(self, trigger: HttpTrigger, request: Request, addresses: Sequence[str]) -> Answer:
        """Try the addresses in turn: `localhost` is often two, and one of them answers."""
        async with self._clients.lend(request.url, trigger.ca, trigger.env_proxies) as client:
            for address in addresses[:-1]:
                try:
                    return await exchange(client, msgspec.structs.replace(request, connect_to=address))
                except LookFailed as error:
                    if not str(error).startswith("no connection"):
                        raise
            last = addresses[-1] if addresses else None
            return await exchange(client, msgspec.structs.replace(request, connect_to=last))

    async def _addresses(self, url: str, env_proxies: bool) -> tuple[list[str], str | None]:
        """The checked addresses of the url's host, and why it is refused, if it is.

        None for a proxy of the environment, which resolves by itself.
        """
        parts = urlsplit(url)
        host, port = (
            (parts.hostname or "").rstrip("."),
            parts.port or (443 if parts.scheme == "https" else 80),
        )
        literal = literal_address(host)
        if literal is not None:
            return [str(literal)], why_refused(url, self._policy)
        if env_proxies:
            return [], why_refused(url, self._policy)
        now = self._world.now()
        since, addresses = self._resolved.get((host, port), (0, []))
        if not addresses or not 0 <= now - since < _RESOLVED_FOR:
            try:
                found = await self._world.in_thread(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                raise LookFailed(f"the name {host} is not known: {error}") from None
            addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
            if len(self._resolved) > 100:
                self._resolved.clear()
            self._resolved[host, port] = (now, addresses)
        return addresses, why_refused(url, self._policy, addresses)

    def _seen(
        self, poll_key: Hashable, url: str, answer: Answer, known: HttpSeen | None, *, direct: bool
    ) -> HttpSeen:
        if answer.status == 304 and known is not None and direct:
            self._answers.move_to_end(poll_key)
            return known
        now = self._world.now()
        retry_at = _retry_at(answer.headers.get("retry-after"), now)
        if retry_at is not None and answer.status in (429, 503):
            self._world.rest_until(min(retry_at, now + _ORIGIN_REST))
        seen = HttpSeen(
            status=answer.status,
            url=redactor(url),
            headers={
                name: redactor(answer.headers[name][:1024])
                for name in _KEPT_HEADERS
                if name in answer.headers
            },
            text=redactor(_text(answer)),
            cut=answer.cut,
            retry_at_us=retry_at,
        )
        self._forget(poll_key)
        if direct and 200 <= answer.status < 300 and poll_key in self._waiting:
            self._remember(poll_key, seen)
        return seen

    def _remember(self, poll_key: Hashable, seen: HttpSeen) -> None:
        if not _validators(seen) or len(seen.text) > _REMEMBERED_EACH:
            return
        self._answers[poll_key] = seen
        self._answers_size += len(seen.text) + 1024
        while self._answers_size > _REMEMBERED:
            self._forget(next(iter(self._answers)))

    def _forget(self, poll_key: Hashable) -> None:
        if (old := self._answers.pop(poll_key, None)) is not None:
            self._answers_size -= len(old.text) + 1024


def _headers(trigger: HttpTrigger, *, with_secrets: bool) -> list[tuple[str, str]]:
    """The headers to send. To another origin go none that hold a secret, and no credentials."""
    written = {"accept": "*/*", "accept-encoding": "gzip", "user-agent": "bide"}
    if isinstance(trigger.body, tuple) or (isinstance(trigger.body, dict) and "$secret" not in trigger.body):
        written["content-type"] = "application/json"
    for name, value in trigger.headers.items():
        if with_secrets or not (holds_secret(value) or name.lower() in _NEVER_ELSEWHERE):
            written[name.lower()] = str(reveal(value))
    match trigger.auth if with_secrets else None:
        case (user, password):
            pair = f"{reveal(user)}:{reveal(password)}".encode()
            token = base64.b64encode(pair).decode()
            if holds_secret(trigger.auth):
                redactor.register(token)
            written["authorization"] = f"Basic {token}"
        case {"bearer": token}:
            written["authorization"] = f"Bearer {reveal(token)}"
        case _:
            pass
    for name, value in written.items():
        if any(ord(character) < 32 and character != "\t" for character in name + value):
            raise LookFailed(f"header {name} holds a line break or a control character")
    written.pop("host", None)
    return list(written.items())


def _content(body: Any) -> bytes:
    value = reveal(body)
    match value:
        case None:
            return b""
        case str():
            return value.encode()
        case _:
            return msgspec.json.encode(value)


def _validators(seen: HttpSeen) -> list[tuple[str, str]]:
    """What to ask with whether something changed. [] while a change might leave it as it is.

    A date of whole seconds vouches for nothing in its own second (RFC 9110, 8.8.2.2), and neither does an
    ETag that is made of one, as those of common servers for files are.
    """
    if "last-modified" in seen.headers and not _rested(seen.headers):
        return []
    pairs = (("if-none-match", "etag"), ("if-modified-since", "last-modified"))
    return [(name, seen.headers[header]) for name, header in pairs if header in seen.headers]


def _rested(headers: Mapping[str, str]) -> bool:
    """Answered so long after the last change that another one must show in the date."""
    try:
        answered, changed = (parsedate_to_datetime(headers[name]) for name in ("date", "last-modified"))
        return answered - changed >= _DATES_PART
    except (KeyError, TypeError, ValueError):
        return False


def _text(answer: Answer) -> str:
    _, _, charset = answer.headers.get("content-type", "").partition("charset=")
    try:
        return answer.body.decode(charset.split(";")[0].strip(" \"'") or "utf-8", "replace")
    except LookupError:
        return answer.body.decode("utf-8", "replace")


def _retry_at(header: str | None, now: int) -> int | None:
    """The instant a Retry-After names, in seconds or as a date; None when it names none ahead."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        return now + min(int(text[:9]) * SECOND, 7 * DAY)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    at = to_us(when if when.tzinfo else when.replace(tzinfo=UTC))
    return min(at, now + 7 * DAY) if at > now else None


def _next_hop(url: str, target: str) -> str:
    try:
        joined = urljoin(url, target.strip())
        origin_of(joined)
    except (UsageError, ValueError):
        raise LookFailed(f"a redirect to {target[:200]!r}, which is no HTTP address") from None
    return joined.partition("#")[0]
