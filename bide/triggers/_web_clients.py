"""The clients of one source: one for each host that a certificate is verified for, idle ones let go.

A connection is made to a checked address, and a client pools by what it connects to. So two names
on one address must not share a client: a connection verified for one would be used for the other.
"""

from __future__ import annotations

import ssl
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from bide.triggers._web import Client, NewClient, no_tls, trusting
from bide.triggers.base import SourceWorld

KEPT: Final = 10
"""Clients kept while no request uses them: redirects can lead to any number of hosts."""

_Key = tuple[str | None, str | None, bool]  # the host to verify, the authority, proxies of the environment


class Clients:
    """Lends clients. The authorities are read once, however many hosts they vouch for."""

    def __init__(self, world: SourceWorld, new_client: NewClient) -> None:
        self._world = world
        self._new_client = new_client
        self._trusting: dict[str | None, ssl.SSLContext] = {}
        self._clients: OrderedDict[_Key, Client] = OrderedDict()
        self._lent: Counter[_Key] = Counter()

    @asynccontextmanager
    async def lend(self, url: str, ca: str | None, env_proxies: bool) -> AsyncIterator[Client]:
        """The client for this url. Plain HTTP verifies nobody: there all hosts share one."""
        parts = urlsplit(url)
        key: _Key = (None, None, env_proxies)
        tls = no_tls()
        if parts.scheme == "https":
            key, tls = (parts.hostname, ca, env_proxies), await self._tls(ca)
        if key not in self._clients:
            self._clients[key] = self._new_client(tls, env_proxies)
        self._clients.move_to_end(key)
        self._lent[key] += 1
        try:
            yield self._clients[key]
        finally:
            self._lent[key] -= 1
            await self._let_go()

    async def close(self) -> None:
        clients, self._clients = self._clients, OrderedDict()
        for client in clients.values():
            await client.aclose()

    async def _tls(self, ca: str | None) -> ssl.SSLContext:
        if ca not in self._trusting:
            tls: ssl.SSLContext = await self._world.in_thread(trusting, ca)
            self._trusting.setdefault(ca, tls)
        return self._trusting[ca]

    async def _let_go(self) -> None:
        """Close what was used longest ago, and is not in use, beyond the number that is kept."""
        self._lent = +self._lent
        idle = [key for key in self._clients if key not in self._lent]
        for client in [self._clients.pop(key) for key in idle[: max(0, len(self._clients) - KEPT)]]:
            await client.aclose()
