"""The servers that cases are played against, one of each for all cases, and the runtime in simulated time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bide.testing.plugin import sim_runtime
from tests.servers.fixtures import broker, http_server
from tests.servers.object_server import ObjectServer


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    server = ObjectServer(tmp_path_factory.mktemp("buckets") / "root")
    server.start()
    yield server
    server.stop()


__all__ = ["broker", "bucket", "http_server", "sim_runtime"]
