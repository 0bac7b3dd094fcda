"""Fixtures of real local servers, on free ports. A conftest imports those it needs by name."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from tests.servers.http_server import HttpServer
from tests.servers.kafka_broker import MockCluster, NoidaBroker
from tests.servers.object_server import ObjectServer
from tests.servers.worlds import Lookout


@pytest_asyncio.fixture
async def lookout() -> AsyncIterator[Lookout]:
    lookout = Lookout()
    yield lookout
    await lookout.close()


@pytest_asyncio.fixture
async def http_server() -> AsyncIterator[HttpServer]:
    server = await HttpServer().start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def authority_pem(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def tls_for(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server context with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest_asyncio.fixture
async def https_server(authority: trustme.CA) -> AsyncIterator[HttpServer]:
    server = await HttpServer(tls=tls_for(authority, "localhost", "127.0.0.1")).start()
    yield server
    await server.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NoidaBroker]:
    """A Kafka broker shared by the tests of a module; those that kill it use `own_broker`."""
    broker = NoidaBroker(tmp_path_factory.mktemp("noida"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[NoidaBroker]:
    broker = NoidaBroker(tmp_path / "noida")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def mock_cluster() -> Iterator[MockCluster]:
    cluster = MockCluster(brokers=3)
    yield cluster
    cluster.close()


@pytest.fixture
def object_server(tmp_path: Path) -> Iterator[ObjectServer]:
    server = ObjectServer(tmp_path / "buckets")
    server.start()
    yield server
    server.stop()
