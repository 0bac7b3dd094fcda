"""The local servers that the examples wait for, and a runtime that has loaded one of their files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bide import Runtime
from bide.runtime.graph.load import load_paths
from tests.servers.fixtures import broker, http_server

__all__ = ["broker", "http_server"]

EXAMPLES = Path(__file__).parents[2] / "examples"
Opens = Callable[[str], AbstractAsyncContextManager[Runtime]]


@pytest.fixture
def opened(tmp_path: Path) -> Opens:
    """`async with opened("file_drop.py") as runtime:`, loaded as `bide serve` loads it."""

    @asynccontextmanager
    async def open_example(file: str) -> AsyncIterator[Runtime]:
        found = load_paths([str(EXAMPLES / file)])
        assert found.errors == {}
        async with Runtime(tmp_path / "bide.db", found.dags, slots=4) as runtime:
            yield runtime

    return open_example
