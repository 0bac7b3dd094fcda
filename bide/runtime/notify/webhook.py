"""Sends one signed message to one receiver: resolved once, connected to the address that was checked, no redirects.

Signed by Standard Webhooks over `id.timestamp.body`, by each of the secrets; the id is the notice's at every
attempt, so that a receiver can tell a second delivery. What may be reached is what HTTP sensors may reach
(`bide.triggers.http_policy`): never link-local or metadata addresses, whatever the name stands for by now.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bide.runtime.clock import Clock, from_us
from bide.runtime.errors import BideError, UsageError
from bide.runtime.notify.retrying import Outcome, judged
from bide.runtime.notify.routes import Webhook, revealed, shown
from bide.runtime.values import redactor
from bide.triggers._web import Answer, Request, exchange, new_client, no_tls, trusting
from bide.triggers.base import LookFailed
from bide.triggers.http_policy import HttpPolicy, literal_address, why_refused

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
SECRET_BYTES = range(24, 65)
_OURS = frozenset(
    {"webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "host", "content-length"}
)


class WebhookSender:
    """The client of one route; its connection is kept. Never two messages at once."""

    def __init__(self, to: Webhook, clock: Clock, in_thread: InThread) -> None:
        self._to, self._clock, self._in_thread = to, clock, in_thread
        self._client: Any = None
        self._policy = HttpPolicy.of(os.environ)

    async def send(self, notice: str, body: bytes) -> Outcome:
        """Never raises but when it is cancelled."""
        try:
            async with asyncio.timeout(self._to.timeout):
                answer = await self._send(notice, body)
        except TimeoutError:
            return Outcome(error=f"no whole answer within {self._to.timeout:g} s", down=True)
        except LookFailed as error:
            return Outcome(error=redactor(str(error)), down=True)
        except BideError as error:  # a secret that cannot be read, an address that is none
            return Outcome(error=redactor(str(error)))
        said = redactor(answer.body[:2_000].decode("utf-8", "replace")) if answer.status >= 300 else ""
        return judged(answer.status, answer.headers.get("retry-after"), said, self._clock.now())

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _send(self, notice: str, body: bytes) -> Answer:
        url = revealed(self._to.url)
        at_us = self._clock.now()
        headers = [
            ("content-type", "application/json"),
            ("user-agent", "bide"),
            ("accept-encoding", "identity"),
            ("webhook-id", notice),
            ("webhook-timestamp", str(at_us // 1_000_000)),
            ("webhook-signature", " ".join(self._signatures(notice, at_us, body))),
            *((name.lower(), _header(name, text)) for name, text in self._to.headers.items()),
        ]
        addresses = await self._checked(url)
        client = await self._connected(url)
        request = Request("POST", url, headers, body, self._to.timeout)
        for address in addresses[:-1]:  # `localhost` is often two, and one of them answers
            try:
                return await exchange(client, msgspec.structs.replace(request, connect_to=address))
            except LookFailed as error:
                if not str(error).startswith("no connection"):
                    raise
        return await exchange(client, msgspec.structs.replace(request, connect_to=addresses[-1]))

    def _signatures(self, notice: str, at_us: int, body: bytes) -> list[str]:
        from standardwebhooks.webhooks import Webhook as Signer

        return [
            Signer(_key(each.resolve(), each.ref)).sign(notice, from_us(at_us), body.decode())
            for each in self._to.secrets
        ]

    async def _checked(self, url: str) -> list[str]:
        """The addresses of the host, all of them allowed; the first that answers is connected to."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise UsageError(f"the port of {shown(url)} is none") from None
        literal = literal_address(host)
        if literal is not None:
            addresses = [str(literal)]
        else:
            try:
                found = await self._in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                raise LookFailed(f"the name {host} is not known: {error}") from None
            addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        refused = why_refused(url, self._policy, addresses)
        if refused is not None:
            raise UsageError(f"{shown(url)} is refused: {refused}")
        return addresses

    async def _connected(self, url: str) -> Any:
        if self._client is None:  # in a thread: the first one of a process takes longer than a loop may wait
            plain, ca = urlsplit(url).scheme == "http", self._to.ca
            self._client = await self._in_thread(
                lambda: new_client(no_tls() if plain else trusting(ca), env_proxies=False)
            )
        return self._client


def _key(secret: str, ref: str) -> str:
    import base64
    import binascii

    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_") + "==", validate=False))
    except binascii.Error:
        size = 0
    if size not in SECRET_BYTES:
        raise UsageError(
            f"the secret {ref} is {size} bytes, and signs with 24 to 64: `bide notify secret` makes one (whsec_...)"
        )
    return secret


def _header(name: str, text: str) -> str:
    value = revealed(text)
    if name.lower() in _OURS:
        raise UsageError(f"the header {name} of a webhook is bide's own: leave it out")
    if any(ord(character) < 32 or ord(character) == 127 for character in name + value):
        raise UsageError(f"the header {name} holds a line break or a control character")
    return value
