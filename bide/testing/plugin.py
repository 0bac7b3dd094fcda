"""The pytest plugin: the fixture `sim_runtime`. It loads nothing of bide until the fixture is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bide.testing.runtime import SimRuntime


@pytest.fixture
def sim_runtime(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[SimRuntime]]:
    """A runtime in simulated time, on a database in `tmp_path`.

        async def test_daily(sim_runtime):
            async with sim_runtime(dags=[daily], start="2026-06-15") as rt:
                await rt.clock.advance(timedelta(days=1))
                assert (await rt.wait("1")).ok

    Takes what `bide.testing.sim_runtime` takes. Two in one test share the database, one after the
    other: the second finds what the first has left.
    """

    def make(*args: Any, **options: Any) -> AbstractAsyncContextManager[SimRuntime]:
        from bide.testing.runtime import sim_runtime as open_runtime

        options.setdefault("db", tmp_path / "bide.db")
        return open_runtime(*args, **options)

    return make
