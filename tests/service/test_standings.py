"""How assets stand: the version that counts for an interval, and by when the next one is promised."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Asset, Cron, Dag, by, dag, task
from bide.runtime.assets.declarations import collecting
from bide.runtime.assets.limits import Limits, encoded
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.event_shapes import event_line
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.service.session import DatabaseDoor
from bide.runtime.store.feed import ALL, lines_after
from bide.runtime.store.reader import Reader
from bide.testing import SimClock, sim_runtime
from tests.cli.conftest import Bide, bide

__all__ = ["bide"]


async def _days(db: Path) -> None:
    with collecting():
        gold = Asset("gold", owner="bi", grain="day", promise=by("04:00"), doc="What a day brought.")

        @task(outlets=[gold])
        async def build() -> None: ...

        @dag(schedule=Cron("0 2 * * *", interval="day"), start="2026-06-01", catchup="none")
        def daily() -> None:
            build()

    async with sim_runtime([daily], start="2026-06-10T12:00:00", db=db) as rt:
        for day in ("2026-06-07", "2026-06-08", "2026-06-08"):
            await (await rt.trigger("daily", logical_date=day, new=True)).wait()
        newest = (await rt.assets.show("gold")).versions[0].version
        await rt.assets.invalidate("gold", version=newest, reason="a trial", by="ann")
        await rt.settled()

        [first, second] = await rt.assets.intervals("gold")
        assert (first.interval.start[:10], first.versions, first.newest_state) == (
            "2026-06-08",
            2,
            "invalidated",
        )
        assert first.newest == newest
        assert (second.state, second.versions) == ("published", 1)
        assert [second] == await rt.assets.intervals("gold", before=first.place)
        assert [first] == await rt.assets.intervals("gold", limit=1)
        shown = await rt.assets.show("gold")
        assert (shown.doc, shown.owner, shown.grain, shown.node) == (
            "What a day brought.",
            "bi",
            "day",
            "derived",
        )

        [stands] = await rt.assets.standings()
        assert (stands.asset, stands.owner, stands.state, stands.late) == ("gold", "bi", first.state, False)
        assert stands.parts == (first, second)
        assert stands.due_at == "2026-06-11T04:00:00Z"
        await rt.clock.advance(timedelta(days=1))
        with pytest.raises(NotFoundError, match="golf"):
            await rt.assets.intervals("golf")
        with pytest.raises(UsageError, match="names no item"):
            await rt.assets.intervals("gold", before="yesterday")


async def test_a_listing_asks_as_much_of_many_as_of_one(tmp_path: Path) -> None:
    """Each statement beside a busy loop waits for the interpreter's lock."""
    db = tmp_path / "bide.db"
    with collecting():
        assets = [Asset(f"asset_{n}") for n in range(3)]

    def makes(n: int) -> Dag:
        @task(outlets=[assets[n]])
        async def build() -> None: ...

        @dag(name=f"makes_{n}")
        def making() -> None:
            build()

        return making

    async with sim_runtime([makes(n) for n in range(3)], db=db) as rt:
        for n in (0, 1, 2, 0, 1, 0):
            await (await rt.trigger(f"makes_{n}", new=True)).wait()
    with Reader(db) as reader:
        ops = Operations(db, AtOnce(reader), DatabaseDoor(db), SimClock())
        said: list[str] = []
        reader._conn.set_trace_callback(said.append)

        async def statements(ask: Callable[[int], Awaitable[list[Any]]], limit: int, there: int) -> int:
            said.clear()
            assert len(await ask(limit)) == there
            return len(said)

        listings: dict[Callable[[int], Awaitable[list[Any]]], int] = {
            ops.assets.standings: 3,
            ops.assets.listed: 3,
            lambda n: ops.assets.versions("asset_0", n): 3,
            ops.dag_views.cards: 3,
            lambda n: ops.stats.dags(limit=n): 3,
            lambda n: ops.runs(limit=n): 6,
            lambda n: ops.events(limit=n, dag="makes_0"): 30,
        }
        for ask, there in listings.items():
            assert await statements(ask, 1, 1) == await statements(ask, there, there)

        for limits in (
            Limits("late", ("a", 'b "c"'), "ann", 1_781_481_600_000_001),
            Limits(expires_us=-1),
            None,
        ):
            with sqlite3.connect(db) as conn:
                conn.execute("UPDATE asset_version SET state = 'degraded', limits = ?", (encoded(limits),))
            [version, *_], [part] = (
                await ops.assets.versions("asset_0"),
                await ops.assets.intervals("asset_0"),
            )
            assert part.limits == version.limits
            assert (part.limits is None) == (limits is None)


async def test_an_event_in_the_listing_is_that_of_the_feed(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    await asyncio.to_thread(asyncio.run, _days(db))
    with Reader(db) as reader:
        ops = Operations(db, AtOnce(reader), DatabaseDoor(db), SimClock())
        told = [
            event_line(line) for line in reader.read(lambda conn: lines_after(conn, 0, ALL, 10_000)).lines
        ]
        assert {"run", "task", "attempt", "version", "invalidation"} <= {line.kind for line in told}
        assert told == await ops.events(since="0", limit=10_000) == await ops.events(limit=10_000)
        kinds = [line for line in told if line.kind in ("run", "version")]
        for n in (1, 2, len(kinds) + 1):
            assert await ops.events(since="0", kind="run,version", limit=n) == kinds[:n]
            assert await ops.events(kind="run,version", limit=n) == kinds[-n:]


def test_s1_11_of_each_interval_the_version_that_counts_is_shown(tmp_path: Path, bide: Bide) -> None:
    db = tmp_path / "bide.db"
    asyncio.run(_days(db))
    out = bide("assets", "standing", "--db", str(db)).out
    assert "gold" in out
    lines = msgspec.json.decode(bide("assets", "standing", "gold", "--json", "--db", str(db)).out)
    assert {"version", "newest", "state", "versions"} <= lines[0].keys()
