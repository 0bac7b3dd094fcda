"""How assets stand: the version that counts for an interval, and by when the next one is promised."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from bide import Asset, Cron, by, dag, task
from bide.runtime.assets.declarations import collecting
from bide.runtime.errors import NotFoundError, UsageError
from bide.testing import sim_runtime
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
            await rt.trigger("daily", logical_date=day, new=True)
            await rt.settled()
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


def test_s1_11_of_each_interval_the_version_that_counts_is_shown(tmp_path: Path, bide: Bide) -> None:
    db = tmp_path / "bide.db"
    asyncio.run(_days(db))
    out = bide("assets", "standing", "--db", str(db)).out
    assert "gold" in out
    lines = msgspec.json.decode(bide("assets", "standing", "gold", "--json", "--db", str(db)).out)
    assert {"version", "newest", "state", "versions"} <= lines[0].keys()
