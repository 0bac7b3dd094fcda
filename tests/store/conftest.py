"""Stores to test on: every test that takes `store` runs on both writers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bide.runtime.store import open as opening
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.migrate import migrate
from bide.runtime.store.writer import Writer


@pytest.fixture(autouse=True, scope="module")
def _made_by_the_migrations() -> Iterator[None]:
    """Here a new database is made as a user's is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "migrate", migrate)
        yield


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "state" / "bide.db"


@pytest.fixture(params=[Writer, InlineWriter], ids=["thread", "inline"])
async def store(request: pytest.FixtureRequest, db: Path) -> AsyncIterator[Writer | InlineWriter]:
    writer = await request.param.open(db, create=True)
    yield writer
    await writer.close()
