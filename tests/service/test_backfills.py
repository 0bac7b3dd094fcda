"""Backfills through every door: a plan writes nothing, what it says comes true, every state says why."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Asset, Budget, Cron, Dag, Every, Manual, OnAssets, Runtime, dag, shell, task
from bide.runtime.clock import SystemClock
from bide.runtime.config import load_config
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.backfill_shapes import BackfillPlan, BackfillRequest, BackfillShown
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.doors import Doors
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.opens import budgets_of
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.service.session import DatabaseDoor
from bide.runtime.store.reader import Reader

fails: set[str] = set()


@task(outlets=["out/{interval.start:%Y-%m-%d}.csv", "orders"], cost={"warehouse": 5})
async def load(ctx: Any = None) -> dict[str, str]:
    return {"path": "/data/orders.csv"}


@task
async def check(day: Any) -> None:
    if fails:
        raise RuntimeError("a bad day")


@dag(schedule=Cron("0 2 * * *", tz="Europe/Berlin", interval="day"), start="2030-01-01", max_active_runs=2)
def daily() -> None:
    check(load()) >> shell("note", "true # {interval.start:%Y-%m-%d}")


@dag(schedule=Manual())
def by_hand() -> None:
    load()


@dag(schedule=OnAssets(Asset("orders"), consume="latest"))
def follower() -> None:
    load()


MONTH = BackfillRequest(dag="daily", from_="2026-03-01", to="2026-04-01")
WEEK = msgspec.structs.replace(MONTH, to="2026-03-04")


async def laid_out(db: Path, *dags: Dag) -> None:
    """A database that knows these DAGs; nobody runs it."""
    async with Runtime(db, dags=dags):
        pass


@pytest.fixture
async def db(tmp_path: Path) -> Path:
    path = tmp_path / "bide.db"
    await laid_out(path, daily, by_hand, follower)
    fails.clear()
    return path


@pytest.fixture
async def ops(db: Path) -> AsyncIterator[Operations]:
    with Reader(db) as reader:
        yield Operations(db, AtOnce(reader), DatabaseDoor(db), SystemClock())


def content(db: Path) -> list[str]:
    with closing(sqlite3.connect(db)) as conn:
        return list(conn.iterdump())


async def over(rt: Runtime, backfill: str) -> BackfillShown:
    """The backfill, once it has ended."""
    found = await rt.backfills.show(backfill)
    for _ in range(2_000):
        if found.ended_at is not None:
            return found
        await asyncio.sleep(0.005)
        found = await rt.backfills.show(backfill)
    raise AssertionError(f"it does not end: {found.why}")


# --- plan ----------------------------------------------------------------------------------------


async def test_s0_20_b59_d18_a_plan_is_a_dry_run_down_to_tasks_assets_paths_and_cost(
    ops: Operations, db: Path
) -> None:
    before = content(db)
    plan = await ops.backfills.plan(MONTH)
    assert (plan.runs, plan.task_instances, plan.counts["run"]) == (31, 93, 31)
    assert [(each.task, each.lane) for each in plan.tasks] == [
        ("load", "async"), ("check", "async"), ("note", "shell"),
    ]  # fmt: skip
    assert plan.tasks[2].command == "true # 2026-03-01"
    assert plan.assets == ("out/{interval.start:%Y-%m-%d}.csv", "orders")
    assert plan.cost == {"warehouse": 155}
    assert [each.path for each in plan.overwrites[:2]] == ["out/2026-03-01.csv", "out/2026-03-02.csv"]
    assert plan.intervals[28].start == "2026-03-28T23:00:00Z", "the day of 23 hours is one of them"
    assert plan.intervals[28].end == "2026-03-29T22:00:00Z"
    assert (await ops.backfills.plan(MONTH)).hash == plan.hash
    assert content(db) == before, "a plan writes nothing"


async def test_s0_20_a_plan_is_made_on_a_connection_that_cannot_write(db: Path) -> None:
    with Reader(db) as reader:
        with pytest.raises(sqlite3.OperationalError, match=r"readonly|read-only"):
            reader._conn.execute("DELETE FROM run")
        found = await Operations(db, AtOnce(reader), DatabaseDoor(db), SystemClock()).backfills.plan(MONTH)
    assert isinstance(found, BackfillPlan)


async def test_s0_22_b60_a_plan_says_what_becomes_of_what_is_there(db: Path) -> None:
    async with Runtime(db, dags=[daily]) as rt:
        run = await rt.trigger("daily", logical_date="2026-03-02")
        assert (await run.wait(10)).ok
        plans = {
            policy: await rt.backfills.plan(msgspec.structs.replace(WEEK, overwrite=policy))
            for policy in ("skip", "overwrite", "fail")
        }
        with pytest.raises(
            RefusedError, match=rf"nothing was started: 1 intervals have a run.*run {run.run_id}"
        ):
            await rt.backfills.start(msgspec.structs.replace(WEEK, overwrite="fail"))
        assert await rt.backfills.listed() == []
    assert [each.what for each in plans["skip"].intervals] == ["run", "skip", "run"]
    assert [each.what for each in plans["overwrite"].intervals] == ["run", "overwrite", "run"]
    assert [each.what for each in plans["fail"].intervals] == ["run", "refuse", "run"]
    written = {(each.path, each.run_id) for each in plans["overwrite"].overwrites}
    assert ("/data/orders.csv", run.run_id) in written, "the run said that it wrote this"
    assert ("out/2026-03-02.csv", run.run_id) in written
    assert plans["skip"].seconds is not None


async def test_a_plan_whose_world_has_changed_is_not_started(db: Path) -> None:
    async with Runtime(db, dags=[daily]) as rt:
        plan = await rt.backfills.plan(WEEK)
        assert (await (await rt.trigger("daily", logical_date="2026-03-02")).wait(10)).ok
        with pytest.raises(RefusedError, match="plan it again"):
            await rt.backfills.start(WEEK, plan.hash)
        assert await rt.backfills.listed() == []
        again = await rt.backfills.plan(WEEK)
        started = await rt.backfills.start(WEEK, again.hash[:12])
        assert (started.intervals, started.skipped) == (3, 1)


@pytest.mark.parametrize("name", ["by_hand", "follower"])
async def test_d18_any_dag_can_be_backfilled_also_one_of_assets_or_by_hand(
    ops: Operations, name: str
) -> None:
    request = BackfillRequest(dag=name, from_="2026-03-01", to="2026-03-08", every="day")
    assert (await ops.backfills.plan(request)).runs == 7
    assert (await ops.backfills.plan(msgspec.structs.replace(request, every="6h"))).runs == 28
    with pytest.raises(UsageError, match="say which with `every`"):
        await ops.backfills.plan(msgspec.structs.replace(request, every=None))


async def test_order_newest_first_and_what_is_not_over_is_left_to_the_schedule(ops: Operations) -> None:
    newest = await ops.backfills.plan(msgspec.structs.replace(WEEK, order="newest"))
    assert [each.start[:10] for each in newest.intervals] == ["2026-03-02", "2026-03-01", "2026-02-28"]
    ahead = BackfillRequest(dag="by_hand", from_="2020-01-01", to="2026-01-01", every="30m")
    with pytest.raises(UsageError, match="more than the 50000 intervals"):
        await ops.backfills.plan(ahead)
    with pytest.raises(UsageError, match="no interval of 'daily' that is over"):
        await ops.backfills.plan(msgspec.structs.replace(MONTH, from_="2199-01-01", to="2199-02-01"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"to": "2026-02-01"}, "is not after"),
        ({"order": "random"}, "oldest, newest"),
        ({"overwrite": "yes"}, "skip, overwrite, fail"),
        ({"weight": 0}, "1 to 100"),
        ({"max_active": 0}, "1 or more"),
        ({"every": "day"}, "leave `every` out"),
        ({"tasks": ("check",)}, "add load to its tasks"),
        ({"asset_caps": {"orders": 0}}, "1 or more"),
        ({"from_": "soon"}, "is no date"),
    ],
)
async def test_what_cannot_be_meant_is_refused(ops: Operations, change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        await ops.backfills.plan(msgspec.structs.replace(WEEK, **change))


async def test_names_that_are_not_there(ops: Operations) -> None:
    with pytest.raises(NotFoundError, match="no DAG 'dayly'"):
        await ops.backfills.plan(msgspec.structs.replace(WEEK, dag="dayly"))
    with pytest.raises(NotFoundError, match="no task 'x'"):
        await ops.backfills.plan(msgspec.structs.replace(WEEK, tasks=("x",)))
    with pytest.raises(NotFoundError, match="no backfill 4"):
        await ops.backfills.show("4")


async def test_s0_20_a_plan_refuses_what_a_start_would_in_the_same_words(ops: Operations, db: Path) -> None:
    @dag(name="with_params", schedule=Every(days=1), params={"full": False})
    def with_params() -> None:
        load()

    await laid_out(db, with_params)
    for change, error, said in (
        (
            {"asset_caps": {"ordrs": 1}},
            NotFoundError,
            "the DAG 'daily' writes no asset 'ordrs': did you mean 'orders'?",
        ),
        ({"asset_caps": {"x": 1}}, NotFoundError, "the DAG 'daily' writes no asset 'x'; it writes: "),
        (
            {"dag": "with_params", "params": {"ful": True}},
            UsageError,
            "has no parameter 'ful': did you mean 'full'?",
        ),
        (
            {"dag": "with_params", "params": {"full": 3}},
            UsageError,
            "the parameter 'full' of the DAG 'with_params' is 3",
        ),
    ):
        request = msgspec.structs.replace(WEEK, **change)
        sentences = []
        for ask in (ops.backfills.plan, ops.backfills.start):
            with pytest.raises(error, match=re.escape(said)) as refused:
                await ask(request)
            sentences.append(str(refused.value))
        assert sentences[0] == sentences[1]
    good = msgspec.structs.replace(WEEK, dag="with_params", params={"full": True}, asset_caps={"orders": 1})
    assert (await ops.backfills.plan(good)).runs == 3


async def test_s0_13_ten_thousand_intervals_are_planned_each_once(tmp_path: Path) -> None:
    """How long it takes is measured by the row `backfill` of the benchmarks."""

    @dag(schedule=Every(hours=1), name="hourly")
    def hourly() -> None:
        load()

    await laid_out(tmp_path / "b.db", hourly, daily)
    with Reader(tmp_path / "b.db") as reader:
        ops = Operations(tmp_path / "b.db", AtOnce(reader), DatabaseDoor(tmp_path / "b.db"), SystemClock())
        for name, first in (("hourly", "2025-01-01"), ("daily", "1999-01-01")):
            plan = await ops.backfills.plan(BackfillRequest(dag=name, from_=first, to="2026-02-21"))
            starts = [each.start for each in plan.intervals]
            assert len(starts) == len(set(starts)) > 9_900
            assert starts == sorted(starts)


# --- start, status, why --------------------------------------------------------------------------


async def test_s0_7_b58_a_backfill_runs_to_its_end_and_tells_its_progress(db: Path) -> None:
    async with Runtime(db, dags=[daily], budgets={"warehouse": 1000}) as rt:
        started = await rt.backfills.start(WEEK)
        found = await over(rt, started.backfill_id)
        assert (found.state, found.done, found.total, found.percent) == ("success", 3, 3, 100.0)
        assert found.why == "all of its 3 intervals have ended well"
        assert [each.run_state for each in found.intervals] == ["success"] * 3
        assert {run.kind for run in await rt.operations.runs()} == {"backfill"}
        [line] = await rt.backfills.listed("daily")
        assert (line.intervals, line.done, line.state) == (3, 3, "success")


async def test_s0_36_progress_is_a_letter_for_each_interval_in_its_order(ops: Operations) -> None:
    newest = msgspec.structs.replace(WEEK, order="newest")
    number = (await ops.backfills.start(newest)).backfill_id
    found = await ops.backfills.progress(number, starts=True)
    assert [found.letters[each] for each in found.intervals] == ["pending"] * 3
    assert found.starts is not None
    assert found.starts == ("2026-03-02T23:00:00Z", "2026-03-01T23:00:00Z", "2026-02-28T23:00:00Z")
    assert (await ops.backfills.progress(number)).starts is None
    [one] = await ops.backfills.intervals(number, place=1)
    assert (one.place, one.interval.start) == ("1", found.starts[1])
    assert await ops.backfills.intervals(number, place=3) == []
    with pytest.raises(UsageError, match="leave the cursor out"):
        await ops.backfills.intervals(number, place=1, before="0")
    with pytest.raises(NotFoundError, match="there is no backfill 99"):
        await ops.backfills.progress("99")


async def test_c68_a_failed_backfill_says_how_to_go_on_and_goes_on(db: Path) -> None:
    fails.add("all")
    async with Runtime(db, dags=[daily]) as rt:
        back = rt.backfills
        started = await back.start(WEEK)
        found = await over(rt, started.backfill_id)
        assert found.state == "failed"
        assert found.next is not None
        assert f"`bide backfill resume {started.backfill_id} --failed`" in found.next
        fails.clear()
        await back.resume(started.backfill_id, failed=True)
        assert (await over(rt, started.backfill_id)).state == "success"
        assert [each.run_id for each in found.intervals] == [
            each.run_id for each in (await back.show(started.backfill_id)).intervals
        ], "the same runs"


async def test_every_state_of_a_backfill_says_why(ops: Operations, db: Path) -> None:
    back = ops.backfills
    started = await back.start(WEEK)  # a command session: nobody runs the database
    number = started.backfill_id
    found = await back.show(number)
    assert "3 intervals are left" in found.why
    assert found.next is not None
    assert "nothing moves until a runtime opens this database" in found.next
    await back.pause(number)
    found = await back.show(number, state="pending")
    assert (found.state, len(found.intervals)) == ("paused", 3)
    assert "it is paused: paused by hand" in found.why
    async with Runtime(db, dags=[daily]) as rt:
        await rt.settled()
        assert await rt.operations.runs() == [], "still paused after a start"
    await back.cancel(number, "not needed")
    found = await back.show(number)
    assert found.why == "it was cancelled: not needed; 3 of its 3 intervals are free again"
    with pytest.raises(RefusedError, match="it is cancelled; start another one"):
        await back.resume(number)


async def test_a_cap_that_binds_is_named_and_a_queued_run_says_why(db: Path) -> None:
    gate = asyncio.Event()

    @task(outlets=["orders"])
    async def slow() -> None:
        await gate.wait()

    @dag(name="slow_one", max_active_runs=5)
    def slow_one() -> None:
        slow()

    async with Runtime(db, dags=[slow_one], asset_caps={"orders": 1}) as rt:
        request = BackfillRequest(dag="slow_one", from_="2026-01-01", to="2026-01-05", every="day")
        number = (await rt.backfills.start(request)).backfill_id
        for _ in range(100):
            if rt.slots_in_use:
                break
            await asyncio.sleep(0.01)
        found = await rt.backfills.show(number)
        assert "1 of 1 runs of backfills that may write orders (its cap)" in found.why
        assert rt.slots_in_use == 1
        gate.set()
        assert (await over(rt, number)).state == "success"


async def test_c66_b58_what_a_paused_backfill_holds_says_so(db: Path) -> None:
    gate = asyncio.Event()

    @task
    async def first() -> None:
        await gate.wait()

    @task
    async def second() -> None:
        pass

    @dag(name="two", max_active_runs=1)
    def two() -> None:
        first() >> second()

    async with Runtime(db, dags=[two]) as rt:
        request = BackfillRequest(dag="two", from_="2026-01-01", to="2026-01-03", every="day")
        number = (await rt.backfills.start(request)).backfill_id
        await rt.settled()
        live = await rt.trigger("two", logical_date="2026-05-01")
        await rt.settled()
        assert (await rt.operations.show(live.run_id)).state == "running", "the backfill takes no place of it"
        waits = await rt.trigger("two", logical_date="2026-05-02")
        why = await rt.operations.why(waits.run_id)
        assert why.why.startswith("1 of the 1 runs that two may have at once"), why.why
        assert why.why.endswith(f"are running: {live.run_id}")
        [run] = [run for run in await rt.operations.runs() if run.kind == "backfill"]
        await rt.backfills.pause(number)
        gate.set()
        await live.wait(10)
        await rt.settled()
        why = await rt.operations.why(run.run_id, "second")
        assert why.why == f"backfill {number}, whose run this is, is paused: nothing of it starts"
        assert why.next == f"`bide backfill resume {number}` lets it start"
        why = await rt.operations.why(run.run_id)
        assert f"backfill {number} is paused" in why.why
        assert ("backfill", f"{number}: see `bide backfill why {number}`") in [
            (detail.what, detail.value) for detail in why.details
        ]
        await rt.backfills.resume(number)
        assert (await over(rt, number)).state == "success"


async def test_b61_cancel_stops_what_runs_and_what_would(db: Path) -> None:
    @task
    async def endless() -> None:
        await asyncio.Event().wait()

    @dag(name="endless_one", max_active_runs=2)
    def endless_one() -> None:
        endless()

    async with Runtime(db, dags=[endless_one]) as rt:
        request = BackfillRequest(dag="endless_one", from_="2026-01-01", to="2026-01-05", every="day")
        number = (await rt.backfills.start(request)).backfill_id
        await rt.settled()
        done = await rt.backfills.cancel(number)
        assert len(done.result["runs"]) == 2
        for _ in range(500):
            if not rt.slots_in_use:
                break
            await asyncio.sleep(0.01)
        assert rt.slots_in_use == 0
        assert [run.state for run in await rt.operations.runs()] == ["cancelled"] * 2


# --- REST ----------------------------------------------------------------------------------------


async def test_the_client_over_the_socket_gives_what_the_operations_give(db: Path) -> None:
    listener = Listener(db.with_name("s"))
    async with Runtime(db, dags=[daily, by_hand]) as rt, serving(listener.socket, rt.asgi):
        client = ServiceClient(listener.path, db, timeout_s=20)

        async def ask(question: Any) -> Any:
            return await asyncio.to_thread(lambda: asyncio.run(question(client)))

        direct = await rt.backfills.plan(WEEK)
        assert await ask(lambda ops: ops.backfills.plan(WEEK)) == direct
        started = await ask(lambda ops: ops.backfills.start(WEEK, None, "once"))
        assert await ask(lambda ops: ops.backfills.start(WEEK, None, "once")) == started
        await over(rt, started.backfill_id)
        questions: list[Callable[[Doors], Awaitable[Any]]] = [
            lambda ops: ops.backfills.show(started.backfill_id),
            lambda ops: ops.backfills.show(started.backfill_id, "success", 1),
            lambda ops: ops.backfills.listed(),
        ]
        for question in questions:
            assert await ask(question) == await question(rt.operations)
        with pytest.raises(RefusedError, match="cannot be paused: it is success already"):
            await ask(lambda ops: ops.backfills.pause(started.backfill_id))
        with pytest.raises(RefusedError, match="is success; start another"):
            await ask(lambda ops: ops.backfills.resume(started.backfill_id))
        with pytest.raises(RefusedError, match="cannot be cancelled"):
            await ask(lambda ops: ops.backfills.cancel(started.backfill_id, "why not"))
        with pytest.raises(NotFoundError):
            await ask(lambda ops: ops.backfills.show("77"))
    listener.close()


# --- budgets and shares --------------------------------------------------------------------------


async def test_s0_19_a_task_that_waits_for_its_budget_says_so(db: Path) -> None:
    async with Runtime(
        db, dags=[by_hand], budgets={"warehouse": Budget(5, per=timedelta(days=1), backfill_units=5)}
    ) as rt:
        assert (await (await rt.trigger("by_hand")).wait(10)).ok
        second = await rt.trigger("by_hand")
        await rt.settled()
        why = await rt.operations.why(second.run_id, "load")
        assert why.why.startswith("waits for the budget warehouse: 5 of 5 used until ")
        await rt.operations.cancel(second.run_id)


async def test_s0_19_c77_a_backfill_says_which_budget_its_runs_wait_for(db: Path) -> None:
    budget = Budget(100, per=timedelta(days=1), backfill_units=5)
    async with Runtime(db, dags=[by_hand], budgets={"warehouse": budget}) as rt:
        request = BackfillRequest(
            dag="by_hand", from_="2026-01-01", to="2026-01-06", every="day", max_active=3
        )
        number = (await rt.backfills.start(request)).backfill_id
        found = await rt.backfills.show(number)
        for _ in range(200):
            if "3 tasks wait" in found.why:
                break
            await asyncio.sleep(0.01)
            found = await rt.backfills.show(number)
        until = r"until \d{4}-\d\d-\d\d 00:00:00Z"
        said = f"; 3 tasks wait for the budget warehouse: 5 of 5 used by backfills {until}, and one costs 5$"
        assert re.search(said, found.why), found.why
        assert found.next == "they start in the next window of the budget, as far as that goes round"
        await rt.backfills.pause(number)
        assert "budget" not in (await rt.backfills.show(number)).why, "another reason is first"
        await rt.backfills.cancel(number)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backfill_share": 0}, "between 0.01 and 0.99"),
        ({"backfill_share": 1.5}, "between 0.01 and 0.99"),
        ({"budgets": {"w": 0}}, "more than none"),
        ({"budgets": {"w": Budget(1, per=timedelta(0))}}, "a second to a year"),
        ({"asset_caps": {"orders": 0}}, "1 or more"),
    ],
)
def test_limits_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Runtime(tmp_path / "x.db", **options)


def test_the_settings_take_them(tmp_path: Path) -> None:
    (tmp_path / "bide.toml").write_text(
        "backfill_share = 0.5\nasset_caps = { orders = 2 }\n"
        'budgets = { api = 10, warehouse = { units = 100, per = "1d", backfill_units = 60 } }\n'
    )
    config = load_config({}, tmp_path)
    assert (config.backfill_share, config.asset_caps) == (0.5, {"orders": 2})
    assert budgets_of(config) == {
        "api": 10,
        "warehouse": Budget(100, per=timedelta(days=1), backfill_units=60),
    }
    with pytest.raises(UsageError, match="BIDE_BUDGETS"):
        load_config({"BIDE_BUDGETS": "ten"}, tmp_path)
