"""P14 with a living runtime: it goes on while it is pruned, by hand or by itself; what it waits for stays."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bide import Runtime, dag, task
from bide.runtime.config import RetentionOf, RetentionSetting
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service import keeping
from bide.runtime.service.places import log_of
from bide.runtime.service.retaining import to_the_end
from bide.testing import SimClock


@task
async def quick() -> int:
    return 1


@dag
def one() -> None:
    quick()


def runs_of(db: Path) -> list[int]:
    with closing(sqlite3.connect(db)) as conn:
        return [run for (run,) in conn.execute("SELECT run_id FROM run ORDER BY run_id")]


async def test_p14_a_living_runtime_is_pruned_and_goes_on(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    async with Runtime(db, [one()]) as rt:
        for _ in range(12):
            await rt.wait(await rt.trigger("one"))
        ops = rt.operations.retaining
        going = asyncio.create_task(rt.wait(await rt.trigger("one")))
        came = await to_the_end(lambda cursor: ops.prune(cursor=cursor) if cursor else ops.prune("0s", 3))
        await going
        assert came.done
        assert came.runs in (9, 10)
        assert runs_of(db)[-3:] == [11, 12, 13]
        assert (await rt.wait(await rt.trigger("one"))).state == "success"
        with pytest.raises(NotFoundError, match="no DAG 'nobody'"):
            await ops.prune(dags={"nobody": {"keep": "1d"}})
        with pytest.raises(UsageError, match="no span of time"):
            await ops.prune("soon")
        with pytest.raises(UsageError, match="'5' is no span that is kept: say of what, such as 5d"):
            await ops.prune("5")  # not five seconds: all would be gone
        with pytest.raises(UsageError, match="such as 30d"):
            await ops.prune(dags={"one": {"keep": "30"}})
        with pytest.raises(UsageError, match="this cursor"):
            await ops.prune(cursor="x")
        with pytest.raises(NotFoundError, match="there is no run 1"):
            await rt.operations.rerun("1")
    assert keeping.check(db, full=True).wrong == []
    async with Runtime(db, [one()]) as rt:
        assert (await rt.trigger("one")).run_id == "15", "no id is given twice"


FORGED = [
    ["x", "y"],
    ["x", "y", "z"],
    ['{"of":[9000000000000000,1]}', "[0,[]]", "0" * 64],
    ['{"of":[9000000000000000,1],"audit_before_us":9000000000000000}', "[0,[0,0]]", ""],
    ['{"of":[1,1]}', "[999,[]]", "é"],
]


async def test_t14_t17_a_cursor_that_nobody_gave_prunes_nothing_and_ends_no_engine(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [one()]) as rt:
        for _ in range(2):
            await rt.wait(await rt.trigger("one"))
        for each in FORGED:
            with pytest.raises(UsageError, match="this cursor"):
                await rt.operations.retaining.prune(cursor=json.dumps(each))
        await rt.wait(await rt.trigger("one"))
    assert runs_of(tmp_path / "bide.db") == [1, 2, 3]


async def test_p14_a_service_that_could_not_prune_once_prunes_the_next_time(tmp_path: Path) -> None:
    db, clock = tmp_path / "bide.db", SimClock()
    async with Runtime(db, [one()], clock=clock, retention=RetentionSetting(keep="1h", every="6h")) as rt:
        (in_the_way := log_of(db, 999)).mkdir(parents=True)  # a log that cannot be removed
        for left in (1, 2):
            for _ in range(2):
                await rt.wait(await rt.trigger("one"))
            for _ in range(200):
                await clock.advance(timedelta(hours=7))
                if len(runs_of(db)) == 1:
                    break
                await asyncio.sleep(0.01)
            assert runs_of(db) == [2 * left]
        in_the_way.rmdir()


async def test_p14_a_service_prunes_by_itself_when_it_is_told_to(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    setting = RetentionSetting(keep="1h", every="6h", dags={"one": RetentionOf(last=2)})
    clock = SimClock()
    async with Runtime(db, [one()], clock=clock, retention=setting) as rt:
        for _ in range(4):
            await rt.wait(await rt.trigger("one"))
        await clock.advance(timedelta(hours=5))
        assert len(runs_of(db)) == 4
        await clock.advance(timedelta(hours=2))
        for _ in range(200):
            if len(runs_of(db)) == 2:
                break
            await asyncio.sleep(0.01)
        assert runs_of(db) == [3, 4]
