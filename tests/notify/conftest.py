"""Receivers of notices, and DAGs that have something to tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from bide import Secret, dag, task
from bide.notify import Webhook
from tests.servers.fixtures import authority, authority_pem, http_server, https_server
from tests.servers.http_server import Asked, HttpServer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

__all__ = ["authority", "authority_pem", "http_server", "https_server"]


@dataclass
class Received:
    """A message as its receiver reads it, once its signature holds."""

    id: str
    type: str
    data: dict[str, Any]


def received(asked: Asked, secret: str = SECRET) -> Received:
    """Checks the signature over the raw body by the official library."""
    body = Verifier(secret).verify(asked.body, asked.headers)
    assert body == json.loads(asked.body)
    return Received(asked.headers["webhook-id"], body["type"], body["data"])


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return SECRET


Hook = Callable[..., Webhook]


@pytest.fixture
def hook(http_server: HttpServer) -> Hook:
    """`hook("/ops", reply(204))`: a webhook to a path of the server, which answers so."""

    def make(path: str, *behaviours: Any, **options: Any) -> Webhook:
        return Webhook(http_server.on(path, *behaviours), Secret("env:HOOK_SECRET"), **options)

    return make


@task(retries=0)
async def explode() -> None:
    raise ValueError("no orders today")


@dag(owner="sales", tags=["nightly"])
def orders() -> None:
    explode()


@task(retries=0)
async def bad(n: int) -> None:
    raise ValueError(f"part {n}")


@dag(owner="sales")
def wide() -> None:
    bad.map(n=list(range(1000)))
