"""Statistics of real runs on simulated time: what determined their end, and where time and slots went."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Context, Dag, Every, dag, task
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.stat_shapes import PathLink
from bide.sensors import TimeSensor
from bide.testing import SimRuntime, sim_runtime
from tests.cli.conftest import Bide, bide

__all__ = ["bide"]

gates: dict[str, asyncio.Event] = {}


@task(retries=1, retry_delay=timedelta(minutes=10))
async def flaky(ctx: Context) -> None:
    if ctx.attempt == 1:
        raise ValueError("not yet")


@task
async def held(name: str) -> None:
    await gates[name].wait()


@task
async def quick() -> None: ...


@task
async def broken() -> None:
    raise ValueError("no")


@task
async def number(n: int) -> int:
    if n == 1:
        await gates["one"].wait()
    return n


@dag(schedule=Every(hours=1))
def waits() -> None:
    """`flaky` (10 min of back-off) and then `until` (it defers to half past) hold up `end`; `aside` does not."""
    aside = quick.options(name="aside")()
    until = TimeSensor("until", delta=timedelta(minutes=30))
    slow = held.options(name="slow")("slow")
    flaky() >> until >> slow
    [slow, aside] >> quick.options(name="end")()
    broken() >> quick.options(name="below")() >> quick.options(name="further")()


def _told(links: tuple[PathLink, ...]) -> list[tuple[str, dict[str, float]]]:
    """Each link's task and what it did, in minutes."""
    spans = [(link.task, msgspec.structs.asdict(link)) for link in links]
    return [
        (name, {key: round(s / 60) for key, s in span.items() if key.endswith("_s") and s})
        for name, span in spans
    ]


async def _played(rt: SimRuntime) -> None:
    gates["slow"] = asyncio.Event()
    await rt.clock.advance(timedelta(minutes=45))
    gates["slow"].set()
    await rt.clock.settle()


async def test_s0_31_b64_the_critical_path_of_a_run_says_what_its_time_went_to() -> None:
    async with sim_runtime([waits], start="2026-06-15") as rt:
        await _played(rt)
        shown = await rt.operations.stats.run("1")
    assert _told(shown.path) == [
        ("flaky", {"backoff_s": 10}),
        ("until", {"deferred_s": 20}),
        ("slow", {"running_s": 15}),
        ("end", {}),
    ]
    assert (shown.state, round(shown.seconds)) == ("failed", 45 * 60)
    assert sum(link.seconds for link in shown.path) == pytest.approx(shown.seconds)
    assert (shown.path[0].attempts, shown.path[0].state) == (2, "success")


async def test_s0_31_of_a_run_that_goes_on_the_path_ends_at_what_holds_it_up() -> None:
    gates["slow"] = asyncio.Event()
    async with sim_runtime([waits], start="2026-06-15") as rt:
        await rt.clock.advance(timedelta(minutes=25))
        shown = await rt.operations.stats.run("1")
    assert _told(shown.path) == [("flaky", {"backoff_s": 10}), ("until", {"deferred_s": 15})]
    assert (shown.ended_at, shown.path[-1].state, round(shown.seconds)) == (None, "deferred", 25 * 60)


async def test_s0_32_s3_53_each_attempt_says_how_long_it_took_and_held_a_slot() -> None:
    async with sim_runtime([waits], start="2026-06-15") as rt:
        await _played(rt)
        tries = {(a.task, a.attempt): a for a in (await rt.operations.stats.run("1")).attempts}
    assert [tries["flaky", n].state for n in (1, 2)] == ["failed", "success"]
    assert (tries["flaky", 1].error, tries["flaky", 2].error) == ("ValueError: not yet", None)
    until, slow = tries["until", 1], tries["slow", 1]
    assert (until.slot_s, until.waited_s, until.seconds) == pytest.approx((0, 1200, 1200), abs=1)
    assert (slow.slot_s, slow.waited_s, slow.seconds) == pytest.approx((900, 0, 900), abs=1)


async def test_s0_33_queue_wait_is_told_from_execution() -> None:
    gates["first"], gates["second"] = asyncio.Event(), asyncio.Event()

    @dag
    def narrow() -> None:
        held.options(name="first")("first")
        held.options(name="second")("second")

    async with sim_runtime([narrow], slots=1) as rt:
        await rt.trigger(narrow)
        await rt.clock.advance(timedelta(minutes=5))
        gates["first"].set()
        await rt.clock.advance(timedelta(minutes=2))
        gates["second"].set()
        await rt.clock.settle()
        path = (await rt.operations.stats.run("1")).path
        tasks = {t.task: t for t in (await rt.operations.stats.dag("narrow")).tasks}
        db = rt.db
        with closing(sqlite3.connect(db)) as conn:
            rows = conn.execute("SELECT task, queued_s, slot_s FROM stat_attempt ORDER BY task").fetchall()
    assert _told(path) == [("second", {"queued_s": 5, "running_s": 2})]
    first, second = tasks["first"], tasks["second"]
    assert first.queued
    assert second.queued
    assert second.slot
    assert (first.queued.longest, second.queued.p50, second.slot.p95) == pytest.approx((0, 300, 120), abs=1)
    assert [(name, round(wait), round(ran)) for name, wait, ran in rows] == [
        ("first", 0, 300),
        ("second", 300, 120),
    ]


async def test_s0_34_what_did_not_run_because_of_what_stood_above_is_counted() -> None:
    async with sim_runtime([waits], start="2026-06-15") as rt:
        await _played(rt)
        assert (await rt.operations.stats.run("1")).upstream_failed == 2
        tasks = {t.task: t for t in (await rt.operations.stats.dag("waits")).tasks}
        with closing(sqlite3.connect(rt.db)) as conn:
            rows = conn.execute("SELECT dag, task, instances, runs FROM stat_upstream_failed").fetchall()
    assert {name: t.upstream_failed for name, t in tasks.items() if t.upstream_failed} == {
        "below": 1,
        "further": 1,
    }
    assert (tasks["broken"].attempts, tasks["broken"].failed_attempts) == (1, 1)
    assert rows == [("waits", "below", 1, 1), ("waits", "further", 1, 1)]


async def test_s0_31_of_a_mapped_task_the_last_of_its_instances_is_the_link() -> None:
    gates["one"] = asyncio.Event()

    @dag
    def fan() -> None:
        quick.options(name="after")() << number.map(n=[0, 1, 2])

    async with sim_runtime([fan]) as rt:
        await rt.trigger(fan)
        await rt.clock.advance(timedelta(minutes=3))
        gates["one"].set()
        await rt.clock.settle()
        path = (await rt.operations.stats.run("1")).path
    assert [(link.task, link.map_index, round(link.running_s)) for link in path] == [
        ("number", 1, 180),
        ("after", -1, 0),
    ]


async def test_s0_31_a_rerun_is_a_run_of_its_own_time() -> None:
    async with sim_runtime([waits], start="2026-06-15") as rt:
        await _played(rt)
        await rt.operations.rerun("1", "slow", downstream=True)
        await rt.clock.settle()
        again = await rt.operations.stats.run("1")
    assert [link.task for link in again.path] == ["slow", "end"]
    assert again.seconds < 60


async def test_s0_36_backfills_say_how_many_intervals_are_over() -> None:
    @dag(schedule=Every(days=1), catchup="none")
    def daily() -> None:
        quick()

    async with sim_runtime([daily], start="2026-06-30") as rt:
        request = BackfillRequest(dag="daily", from_="2026-06-01", to="2026-06-05", max_active=1)
        started = await rt.operations.backfills.start(request)
        await rt.clock.settle()
        (shown,) = await rt.operations.stats.backfills(started.backfill_id)
        with closing(sqlite3.connect(rt.db)) as conn:
            rows = conn.execute("SELECT interval, state FROM stat_backfill_interval").fetchall()
        with pytest.raises(NotFoundError, match="there is no backfill 7"):
            await rt.operations.stats.backfills("7")
    assert (shown.state, shown.intervals, shown.success, shown.percent) == ("success", 4, 4, 100.0)
    assert rows[0] == ("2026-06-01T00:00:00Z/2026-06-02T00:00:00Z", "success")


async def test_the_links_can_be_walked_in_plain_sql() -> None:
    """`released_by` of the view is the link before, as `bide stats` finds it."""
    async with sim_runtime([waits], start="2026-06-15") as rt:
        await _played(rt)
        path = [link.task for link in (await rt.operations.stats.run("1")).path]
        with closing(sqlite3.connect(rt.db)) as conn:
            walked = conn.execute(
                "WITH RECURSIVE back (id, n) AS (SELECT instance_id, 0 FROM task_instance WHERE run_id = 1 AND task = 'end'"
                " UNION ALL SELECT released_by, n + 1 FROM back JOIN stat_released ON instance_id = id"
                "  WHERE run_id = 1 AND released_by IS NOT NULL)"
                " SELECT task FROM back JOIN task_instance ON instance_id = id ORDER BY n DESC"
            ).fetchall()
    assert [task for (task,) in walked] == path


async def _over(client: Any, ask: Callable[[Any], Any]) -> Any:
    return await asyncio.to_thread(lambda: asyncio.run(ask(client)))


async def test_every_door_gives_the_same(tmp_path: Path) -> None:
    async with sim_runtime([waits], start="2026-06-15") as rt:
        await _played(rt)
        listener = Listener(tmp_path / "s")
        try:
            async with serving(listener.socket, make_app(rt.operations, lambda: "")):
                client = ServiceClient(listener.path, rt.db, timeout_s=20).stats
                asks: tuple[Callable[[Any], Any], ...] = (
                    lambda ops: ops.dags(5),
                    lambda ops: ops.dag("waits", 5),
                    lambda ops: ops.backfills(),
                    lambda ops: ops.assets(),
                )
                for ask in asks:
                    assert await _over(client, ask) == await ask(rt.operations.stats)
                run = await _over(client, lambda ops: ops.run("1", 3))
                assert run.path == (await rt.operations.stats.run("1")).path
                assert len(run.attempts) == 3
        finally:
            listener.close()


def test_the_terminal_shows_them(tmp_path: Path, bide: Bide) -> None:
    db = tmp_path / "bide.db"

    async def play() -> None:
        async with sim_runtime([waits], start="2026-06-15", db=db) as rt:
            await _played(rt)

    asyncio.run(play())
    shown = bide("stats", "1", "--db", str(db)).out
    assert "run 1 of waits: failed, 45m00s" in shown
    assert "until          success  20m00s  deferred 20m00s" in shown
    assert "2 did not run because of what stood above" in shown
    told = json.loads(bide("stats", "waits", "--db", str(db), "--json").out)
    assert [t["task"] for t in told["tasks"]][:2] == ["aside", "until"]
    assert "waits  1" in bide("stats", "--db", str(db)).out
    assert "no asset is known yet" in bide("stats", "--assets", "--db", str(db)).err
    assert "there is no backfill yet" in bide("stats", "--backfills", "--db", str(db)).err
    assert bide("stats", "9", "--db", str(db)).code == 3
    assert "did you mean 'waits'" in bide("stats", "wait", "--db", str(db)).err
    assert bide("stats", "--assets", "--backfills", "--db", str(db)).code == 2


async def test_a_limit_that_cannot_be_is_refused() -> None:
    none: list[Dag] = []
    async with sim_runtime(none) as rt:
        with pytest.raises(UsageError, match="a limit of 0"):
            await rt.operations.stats.dags(0)
        with pytest.raises(NotFoundError, match="there is no run 4"):
            await rt.operations.stats.run("4")
        with pytest.raises(NotFoundError, match="there is no asset 'gold'"):
            await rt.operations.stats.assets("gold")
