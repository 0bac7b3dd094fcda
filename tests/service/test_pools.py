"""Slots, pools and budgets: who holds them, and who waits in the very order in which the engine takes them."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bide import Budget, Pool, Runtime, dag, task
from bide.runtime.engine.budgets import BudgetLimits
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service import pool_caps, pool_queues
from bide.runtime.service.api import make_app
from bide.runtime.service.pool_queues import bounded, holders, waiters, waiting
from bide.runtime.service.pools import Pools
from bide.sensors import FileSensor
from tests.engine.conftest import new_scene
from tests.engine.declare import HOUR_US, job, sensor
from tests.engine.scene import T0, Scene

__all__ = ["new_scene"]
New = Callable[..., Scene]


def of(scene: Scene, key: str) -> pool_queues.Bounded:
    return next(each for each in bounded(scene.world) if each.key == key)


def queue(scene: Scene, key: str, *, too: bool = False) -> list[int]:
    """Who waits, as it is told."""
    return [
        each.inst.instance_id
        for each in waiters(scene.world, of(scene, key), None, 10_000)
        if each.too is too
    ]


def end_one(scene: Scene, of_whom: random.Random) -> list[int]:
    """One body ends; who begins for it."""
    had = set(scene.bodies)
    scene.feed(scene.ended(of_whom.choice(sorted(scene.bodies))))
    return [start.instance_id for attempt, start in scene.bodies.items() if attempt not in had]


@pytest.mark.parametrize(("slots", "pools", "key"), [(3, {}, "slots"), (9, {"db": (2, None)}, "pool:db")])
@pytest.mark.parametrize("seed", range(3))
def test_who_waits_is_told_in_the_order_in_which_they_begin(
    new_scene: New, slots: int, pools: dict[str, Any], key: str, seed: int
) -> None:
    chance = random.Random(seed)
    scene = new_scene(slots=slots, pools=pools)
    pool = "db" if pools else None
    scene.dag("d", *(job(f"t{n}", pool=pool, priority=chance.randint(-3, 3)) for n in range(9)))
    for n in range(3):
        scene.trigger("d", logical_us=T0 + n * HOUR_US)
    begun = 0
    while scene.bodies:
        told = queue(scene, key)
        assert waiting(scene.world, of(scene, key)) == (len(told), False)
        began = end_one(scene, chance)
        assert began == told[: len(began)]
        begun += len(began)
    assert begun == 27 - (2 if pools else 3)


@pytest.mark.parametrize("seed", range(3))
def test_live_runs_and_backfills_have_a_queue_each_and_both_are_told_in_order(
    new_scene: New, seed: int
) -> None:
    chance = random.Random(seed)
    scene = new_scene(slots=4)
    scene.dag("live", *(job(f"l{n}", priority=chance.randint(0, 3)) for n in range(8)))
    scene.dag("past", job("p"), job("q"))
    scene.backfill("past", 12, max_active=6)
    for n in range(3):
        scene.trigger("live", logical_us=T0 + n * HOUR_US)
    both = 0
    while scene.bodies:
        told = {too: queue(scene, "slots", too=too) for too in (False, True)}
        alone = waiters(scene.world, of(scene, "slots"), None, 99, "backfill")
        assert [each.inst.instance_id for each in alone] == told[True]
        both += bool(told[False] and told[True])
        began = end_one(scene, chance)
        for too, those in told.items():
            mine = [n for n in began if (n in those) or (too and n not in told[False])]
            assert mine[: len(those)] == those[: len(mine)]
    assert both > 5


def test_what_is_in_flight_says_who_is_and_survives_a_restart(new_scene: New) -> None:
    scene = new_scene(slots=9, pools={"api": (None, 2)})
    scene.dag("d", *(sensor(f"s{n}", pool="api") for n in range(4)))
    scene.trigger("d")
    for _ in range(2):
        assert [each.inst.task.name for each in holders(scene.world, of(scene, "in_flight:api"))] == [
            "s0",
            "s1",
        ]
        assert [
            each.inst.task.name for each in waiters(scene.world, of(scene, "in_flight:api"), None, 9)
        ] == ["s2", "s3"]
        scene.crash()
    scene.fire("s0")
    assert [each.inst.task.name for each in holders(scene.world, of(scene, "in_flight:api"))] == ["s1", "s2"]


def test_nobody_is_told_who_is_not_looked_at_until_a_pause_ends(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("held", job("a"), job("b"))
    scene.dag("paused", job("c"))
    scene.trigger("held")
    scene.trigger("paused")
    assert len(queue(scene, "slots")) == 2
    scene.command("pause", dag="paused")
    assert len(queue(scene, "slots")) == 1
    assert waiting(scene.world, of(scene, "slots")) == (1, False)
    scene.command("unpause", dag="paused")
    assert len(queue(scene, "slots")) == 2


def test_a_queue_is_looked_at_no_deeper_than_is_bounded(
    new_scene: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_queues, "DEPTH", 5)
    monkeypatch.setattr(pool_queues, "COUNTED", 7)
    monkeypatch.setattr(pool_queues, "HOLDERS", 2)
    scene = new_scene(slots=4)
    scene.dag("d", *(job(f"t{n}") for n in range(20)))
    scene.trigger("d")
    assert waiting(scene.world, of(scene, "slots")) == (7, True)
    found = waiters(scene.world, of(scene, "slots"), None, 100)
    assert [each.inst.task.name for each in found] == ["t4", "t5", "t6", "t7", "t8"]
    assert [each.inst.task.name for each in holders(scene.world, of(scene, "slots"))] == ["t0", "t1"]


def test_a_deep_queue_is_read_to_its_end_page_by_page_in_slices(
    new_scene: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_queues, "DEPTH", 3)
    monkeypatch.setattr(pool_queues, "SLICE", 4)
    scene = new_scene(slots=2)
    scene.dag("live", *(job(f"t{n}", priority=n % 3) for n in range(9)))
    scene.dag("past", job("p"))
    scene.trigger("live")
    scene.backfill("past", 5, max_active=5)
    slots = of(scene, "slots")
    assert pool_queues.is_deep(scene.world, slots)
    whole = asyncio.run(pool_queues.far(scene.world, slots, None, 100))
    monkeypatch.setattr(pool_queues, "DEPTH", 1_000)
    assert whole == waiters(scene.world, slots, None, 100)
    assert {each.too for each in whole} == {False, True}
    paged: list[pool_queues.Waiter] = []
    while page := asyncio.run(
        pool_queues.far(scene.world, slots, (paged[-1].too, paged[-1].key) if paged else None, 2)
    ):
        paged += page
    assert paged == whole
    assert asyncio.run(pool_queues.far(scene.world, slots, None, 100, "backfill")) == [
        each for each in whole if each.too
    ]


def test_c77_caps_that_hold_somebody_back_say_who_holds_and_who_waits_in_the_order_of_the_engine(
    new_scene: New,
) -> None:
    scene = new_scene(slots=9)
    scene.dag("d", *(job(f"t{n}", priority=n) for n in range(3)), max_active_tasks=1, max_active_runs=2)
    scene.dag("e", job("one", max_active=1), max_active_runs=9)
    assert list(pool_caps.holding(scene.world)) == []
    for n in range(4):
        scene.trigger("d", logical_us=T0 + n * HOUR_US)
        scene.trigger("e", logical_us=T0 + n * HOUR_US)
    caps = {each.key: each for each in pool_caps.holding(scene.world)}
    assert list(caps) == ["dag:d", "task:e.one", "runs:d"]
    (tasks, runs) = caps["dag:d"], caps["runs:d"]
    assert isinstance(tasks, pool_queues.Bounded)
    assert isinstance(runs, pool_caps.Runs)
    assert [each.inst.task.name for each in holders(scene.world, tasks)] == ["t2"]
    assert [(each.inst.run.run_id, each.inst.task.name) for each in waiters(scene.world, tasks, None, 9)] == [
        (3, "t2"), (1, "t1"), (3, "t1"), (1, "t0"), (3, "t0"),
    ]  # fmt: skip
    assert [run.run_id for run in pool_caps.running(scene.world, runs)] == [1, 3]
    told = asyncio.run(pool_caps.queued(scene.world, runs, None, 9))
    assert [(each.place, each.run.run_id) for each in told] == [(1, 5), (2, 7)]
    assert asyncio.run(pool_caps.queued(scene.world, runs, told[0].key, 9)) == told[1:]
    assert pool_caps.waiting(scene.world, runs) == (2, False)
    scene.command("pause", dag="d")
    assert pool_caps.waiting(scene.world, runs) == (0, False)
    scene.command("unpause", dag="d")
    scene.command("cancel", run_id=1)
    assert [each.run.run_id for each in asyncio.run(pool_caps.queued(scene.world, runs, None, 9))] == [7]
    assert pool_caps.named(scene.world, "dag:d") == tasks
    assert pool_caps.named(scene.world, "dag:nobody") is None


def test_who_waits_for_a_budget_is_told_with_what_it_costs(new_scene: New) -> None:
    scene = new_scene(slots=9, budgets={"warehouse": BudgetLimits(100)})
    scene.dag("d", job("a", cost={"warehouse": 40.0}))
    for n in range(4):
        scene.trigger("d", logical_us=T0 + n * HOUR_US)
    found = waiters(scene.world, of(scene, "budget:warehouse"), None, 9)
    assert [(each.place, each.wants) for each in found] == [(1, 40.0), (2, 40.0)]
    assert holders(scene.world, of(scene, "budget:warehouse")) == []


# --- as every door shows it --------------------------------------------------------------------------


@task(pool="narrow")
async def holds() -> None:
    await asyncio.sleep(3600)


@task(cost={"queries": 3})
async def costly() -> None: ...


@dag(max_active_runs=9)
def crowd() -> None:
    holds()
    holds.options(name="second", priority=5)()
    holds.options(name="third")()
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30), pool="narrow")


@dag(max_active_runs=9)
def spends() -> None:
    costly()


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    pools = {"narrow": Pool(slots=1, in_flight=3), "gpu": Pool(slots=2)}
    async with Runtime(
        tmp_path / "bide.db",
        [crowd, spends],
        slots=8,
        pools=pools,
        budgets={"queries": Budget(4, timedelta(days=300))},
        watchdog=False,
        grace=0,
    ) as runtime:
        for n in (1, 2):
            await runtime.trigger("crowd", logical_date=f"2026-06-0{n}")
        for n in (1, 2):
            await runtime.trigger("spends", logical_date=f"2026-06-0{n}")
        while (await runtime.operations.pools.show("queries")).waiting != 1:
            await asyncio.sleep(0.001)
        yield runtime


async def test_all_that_is_bounded_is_listed_with_what_is_taken(rt: Runtime) -> None:
    found = await rt.operations.pools.listed()
    assert [(each.key, each.slots, each.in_use, each.waiting) for each in found] == [
        ("slots", 8, 1, 0), ("pool:gpu", 2, 0, 0), ("pool:narrow", 1, 1, 5), ("in_flight:narrow", 3, 3, 0),
        ("budget:queries", None, None, 1),
    ]  # fmt: skip
    assert (found[-1].units, found[-1].spent, found[-1].backfill_share) == (4.0, 3.0, None)
    assert str(found[-1].resets_at).endswith("T00:00:00Z")
    assert found[0].backfill_share == 0.25


async def test_one_is_shown_with_who_holds_it_and_who_waits_page_by_page(rt: Runtime) -> None:
    app = httpx.ASGITransport(app=make_app(rt.operations, lambda: ""))
    async with httpx.AsyncClient(transport=app, base_url="http://bide") as http:
        narrow = (await http.get("/api/v1/pools/narrow")).json()
        assert [
            (one["run_id"], one["dag"], one["task"], one["state"], one["attempt"])
            for one in narrow["holders"]
        ] == [("1", "crowd", "second", "running", 1)]
        seen: list[tuple[str, str, int, int]] = []
        at: str | None = "/api/v1/pools/narrow?limit=2"
        while at is not None:
            answer = await http.get(at)
            seen += [
                (one["run_id"], one["task"], one["place"], one["priority"])
                for one in answer.json()["waiters"]
            ]
            assert len(answer.json()["waiters"]) <= 2
            match = re.fullmatch(r'<(/[^>]*)>; rel="next"', answer.headers.get("Link", ""))
            at = match[1] if match else None
        assert seen == [
            ("2", "second", 1, 5), ("1", "holds", 2, 0), ("1", "third", 3, 0), ("2", "holds", 4, 0), ("2", "third", 5, 0),
        ]  # fmt: skip
        flight = (await http.get("/api/v1/pools/in_flight:narrow")).json()
        assert {(one["task"], one["state"], one["attempt"]) for one in flight["holders"]} == {
            ("second", "running", 1), ("drop", "deferred", None),
        }  # fmt: skip
        budget = (await http.get("/api/v1/pools/budget:queries")).json()
        assert [(one["dag"], one["wants"], one["queue"]) for one in budget["waiters"]] == [
            ("spends", 3.0, "live")
        ]
        lost = await http.get("/api/v1/pools/narow")
        assert (lost.status_code, "did you mean 'narrow'?" in lost.json()["detail"]) == (404, True)


async def test_without_a_runtime_nobody_knows(rt: Runtime) -> None:
    assert await Pools(None, held=False).listed() == []
    with pytest.raises(NotFoundError, match="start `bide serve`"):
        await Pools(None, held=False).show("narrow")
    with pytest.raises(UsageError, match="is no queue: use live or backfill"):
        await rt.operations.pools.show("narrow", queue="later")
    with pytest.raises(UsageError, match="names no item"):
        await rt.operations.pools.show("narrow", before="5")
