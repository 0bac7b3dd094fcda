"""`bide pools`: how much is taken, by whom, and who is next."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec

from bide import Budget, Runtime, dag, task
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.places import socket_of
from bide.runtime.service.pool_shapes import PoolLine, PoolShown
from tests.cli.conftest import Bide


@task(pool="narrow")
async def holds() -> None:
    await asyncio.sleep(3600)


@dag
def crowd() -> None:
    holds()
    holds.options(name="first", priority=5)()
    holds.options(name="last", priority=-1, cost={"narrow": 2.5})()


async def test_c77_the_terminal_says_what_is_taken_by_whom_and_who_is_next(
    tmp_path: Path, bide: Bide
) -> None:
    db = tmp_path / "bide.db"

    async def said(*words: str) -> str:
        found = await asyncio.to_thread(bide, "pools", *words, "--db", str(db))
        assert found.code == 0, found.err
        return found.out + found.err

    listener = Listener(socket_of(db))
    budgets = {"narrow": Budget(10, timedelta(days=300))}
    async with (
        Runtime(
            db, [crowd], pools={"narrow": 1}, budgets=budgets, slots=4, watchdog=False, grace=0
        ) as runtime,
        serving(listener.socket, runtime.asgi, runtime.end_streams),
    ):
        await runtime.trigger("crowd")
        await runtime.settled()
        lines = [line.split() for line in (await said()).splitlines()]
        assert lines[0] == ["POOL", "TAKEN", "WAITING", "BY", "BACKFILLS"]
        assert lines[1] == ["slots", "1", "of", "4", "0", "-"]
        assert lines[2] == ["pool", "narrow", "1", "of", "1", "2", "-"]
        assert lines[3][:6] == ["budget", "narrow", "0", "of", "10", "spent"]
        shown = await said("narrow")
        assert "pool narrow: 1 of 1, 2 wait\n" in shown
        assert [line.split()[:2] for line in shown.splitlines() if "1/" in line] == [
            ["1/first", "crowd"], ["1", "1/holds"], ["2", "1/last"],
        ]  # fmt: skip
        assert "budget narrow: 0 of 10 spent until" in shown
        found = msgspec.json.decode(await said("--json"), type=list[PoolLine])
        assert [each.key for each in found] == ["slots", "pool:narrow", "budget:narrow"]
        [slots] = msgspec.json.decode(await said("slots", "--json"), type=list[PoolShown])
        assert [(each.task, each.slots) for each in slots.holders] == [("first", 1)]
        narrow = msgspec.json.decode(
            await said("pool:narrow", "--limit", "1", "--json"), type=list[PoolShown]
        )
        assert [each.task for each in narrow[0].waiters] == ["holds"]
        lost = await asyncio.to_thread(bide, "pools", "narow", "--db", str(db))
        assert (lost.code, "did you mean 'narrow'?" in lost.err) == (3, True)
    listener.close()
    assert "no runtime holds this database" in await said()
    assert (await asyncio.to_thread(bide, "pools", "narrow", "--db", str(db))).code == 3
