"""A question to the database that nothing can answer costs whoever asked it, and nobody waits for ever."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bide import Asset, Cron, Dag, OnAssets, Runtime, dag, task
from bide.runtime.clock import to_us
from bide.runtime.engine import shell
from bide.runtime.store.answers import answer_to
from bide.sensors import AssetSensor, ExternalTaskSensor
from bide.testing import SimClock, sim_runtime

DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@task
async def bystander() -> int:
    return 1


@dag(max_active_runs=4)
def others() -> None:
    bystander()


@dag(max_active_runs=4)
def of_assets() -> None:
    AssetSensor("asset", asset="orders")
    bystander()


@dag(max_active_runs=4)
def of_runs() -> None:
    ExternalTaskSensor("runs", dag="others", interval="day", cover=True)
    bystander()


@task(depends_on_past=True)
async def goes_by_its_past() -> int:
    return 1


@dag(max_active_runs=4)
def of_past() -> None:
    goes_by_its_past()
    bystander()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The kinds of questions that nothing answers."""
    kinds: set[str] = set()

    def picky(conn: sqlite3.Connection, key: Any) -> Any:
        if key[0] in kinds:
            raise ZeroDivisionError("no answer to this")
        return answer_to(conn, key)

    monkeypatch.setattr(shell, "answer_to", picky)
    return kinds


@pytest.mark.parametrize(
    ("graph", "question", "waits"),
    [
        (of_assets, "asset_over", "asset"),
        (of_runs, "runs_over", "runs"),
        (of_past, "past", "goes_by_its_past"),
    ],
)
async def test_who_waits_for_an_answer_that_cannot_be_had_fails_alone(
    tmp_path: Path, broken: set[str], graph: Any, question: str, waits: str
) -> None:
    broken.add(question)
    async with Runtime(tmp_path / "bide.db", [graph, others]) as runtime:
        run = await runtime.trigger(graph, logical_date=FIRST)
        result = await run.wait(10)
        assert result.tasks == {waits: "failed", "bystander": "success"}
        [reason] = [line.reason for line in (await run.show()).tasks if line.task == waits]
        assert "no answer to this" in reason


async def test_a_backfill_that_cannot_ask_for_its_interval_is_paused_and_goes_on_when_resumed(
    tmp_path: Path, broken: set[str]
) -> None:
    broken.add("run_in_the_way")
    async with Runtime(tmp_path / "bide.db", [others]) as runtime:
        start = to_us(FIRST)
        spans = [[start, start, start + 86_400_000_000]]
        await runtime.command("backfill_start", {"dag": "others", "options": {}, "intervals": spans})
        await runtime.settled()
        [b] = runtime._engine.world.backfills.values()
        assert (b.state, b.asked) == ("paused", False)
        assert "no answer to this" in b.reason
        broken.clear()
        await runtime.command("backfill_resume", {"backfill_id": 1})
        await runtime.settled()
    with sqlite3.connect(tmp_path / "bide.db") as conn:
        assert conn.execute("SELECT state FROM backfill").fetchall() == [("success",)]


# --- a store that cannot be read for a while ---------------------------------------------------------


@pytest.fixture
def sick(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The kinds of questions that SQLite cannot read for now."""
    kinds: set[str] = set()

    def out_of_files(conn: sqlite3.Connection, key: Any) -> Any:
        if key[0] in kinds:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            error.sqlite_errorname = "SQLITE_CANTOPEN"
            raise error
        return answer_to(conn, key)

    monkeypatch.setattr(shell, "answer_to", out_of_files)
    return kinds


@dag(schedule=Cron("0 * * * *"), catchup="all", max_active_runs=4)
def hourly() -> None:
    bystander()


def put_off(db: Path) -> list[str]:
    with sqlite3.connect(db) as conn:
        return [
            reason
            for (reason,) in conn.execute("SELECT reason FROM event WHERE now = 'put off' ORDER BY seq")
        ]


@pytest.mark.parametrize(
    ("catchup", "what"), [("all", "catching up of hourly"), ("latest", "a firing of hourly")]
)
async def test_c58_a_firing_that_could_not_be_read_of_is_late_and_not_dropped(
    tmp_path: Path, sick: set[str], catchup: str, what: str
) -> None:
    db = tmp_path / "bide.db"
    policy = {**hourly.options, "catchup": catchup}
    graph = Dag(hourly.spec, code=hourly.code, schedule=hourly.schedule, options=policy)
    async with sim_runtime([graph], start="2026-01-01T00:30", db=db) as rt:
        sick.add("run_by_key")
        await rt.clock.advance(timedelta(minutes=40))
        assert await rt.operations.runs() == []
        why = await rt.operations.assets.why("hourly")
        assert "waits until the database can be read" in why.why
        assert "SQLITE_CANTOPEN" in why.why
        health = await rt.operations.doctor()
        [check] = [check for check in health.checks if check.name == "read"]
        assert not check.ok
        assert check.found.startswith(f"{what} waits until the database can be read: ")
        told = [line.partition(" waits until")[0] for line in put_off(db)]
        assert what in told
        assert len(told) == len(set(told)), "it is told once, however often it is asked"
        sick.clear()
        await rt.clock.advance(timedelta(minutes=2))
        [run] = await rt.operations.runs()
        assert (run.state, run.logical_date) == ("success", "2026-01-01T00:00:00Z"), "late, and not dropped"
        assert not rt.unread
        await rt.clock.advance(timedelta(hours=2))
        assert len(await rt.operations.runs()) == 3


async def test_the_back_off_is_from_a_second_to_a_minute(tmp_path: Path, sick: set[str]) -> None:
    times: list[int] = []
    async with sim_runtime([hourly], start="2026-01-01T00:59:59", db=tmp_path / "bide.db") as rt:
        sick.add("run_by_key")
        await rt.clock.advance(timedelta(seconds=1))
        for _ in range(600):
            due = rt._engine.world.unread.due
            if due is not None and due not in times:
                times.append(due)
            await rt.clock.advance(timedelta(seconds=1))
    gaps = [(after - before) // 1_000_000 for before, after in pairwise(times)]
    assert gaps[:5] == [1, 2, 4, 8, 16]
    assert set(gaps[6:]) == {60}


async def test_a_restart_in_the_trouble_asks_for_all_of_it_anew(tmp_path: Path, sick: set[str]) -> None:
    clock = SimClock("2026-01-01T00:30")
    async with sim_runtime([hourly], clock=clock, db=tmp_path / "bide.db") as rt:
        sick.add("run_by_key")
        await rt.clock.advance(timedelta(minutes=40))
        assert rt.unread
    sick.clear()
    async with sim_runtime([hourly], clock=clock, db=tmp_path / "bide.db") as rt:
        await rt.clock.advance(timedelta(seconds=1))
        assert [run.state for run in await rt.operations.runs()] == ["success"]


async def test_a_step_of_the_clock_backwards_keeps_the_back_off_short(tmp_path: Path, sick: set[str]) -> None:
    async with sim_runtime([hourly], start="2026-01-01T00:30", db=tmp_path / "bide.db") as rt:
        sick.add("run_by_key")
        await rt.clock.advance(timedelta(minutes=40))
        rt.clock.step(-timedelta(minutes=5))
        sick.clear()
        await rt.clock.advance(timedelta(minutes=2))
        assert [run.state for run in await rt.operations.runs()] == ["success"]


@dag(schedule=OnAssets(Asset("orders"), consume="batch"))
def consumer() -> None:
    bystander()


@task(outlets=Asset("orders"))
async def publish() -> None: ...


@dag
def producer() -> None:
    publish()


async def test_versions_for_a_consumer_wait_for_the_database(tmp_path: Path, sick: set[str]) -> None:
    """They are read when the consumer was away while they were published."""
    clock, db = SimClock("2026-01-01T00:00"), tmp_path / "bide.db"
    async with sim_runtime([producer, consumer], clock=clock, db=db) as rt:
        await rt.clock.advance(timedelta(seconds=1))
    async with sim_runtime([producer], clock=clock, db=db) as rt:
        await (await rt.trigger(producer)).wait()
        await rt.clock.advance(timedelta(seconds=1))
    with sqlite3.connect(db) as conn:  # as if the process had died before it was delivered
        conn.execute("UPDATE asset_cursor SET asset_version_id = 0")
        conn.execute("DELETE FROM asset_pending")
    sick.add("asset_after")
    async with sim_runtime([producer, consumer], clock=clock, db=db) as rt:
        await rt.clock.advance(timedelta(minutes=5))
        assert [dag for dag, _, _ in rt.unread] == ["consumer"]
        assert "waits until the database can be read" in (await rt.operations.assets.why("consumer")).why
        sick.clear()
        await rt.clock.advance(timedelta(minutes=2))
        assert [run.state for run in await rt.operations.runs(dag="consumer")] == ["success"]


@pytest.mark.parametrize(
    ("graph", "question"), [(of_assets, "asset_over"), (of_runs, "runs_over"), (of_past, "past")]
)
async def test_who_waits_goes_on_when_the_database_can_be_read_again(
    tmp_path: Path, sick: set[str], graph: Any, question: str
) -> None:
    sick.add(question)
    async with sim_runtime([graph, others], db=tmp_path / "bide.db") as rt:
        run = await rt.trigger(graph, logical_date=FIRST)
        await rt.clock.advance(timedelta(minutes=5))
        assert (await rt.operations.show(run.run_id)).state == "running"
        assert rt.unread
        sick.clear()
        await rt.clock.advance(timedelta(minutes=2))
        assert not rt.unread
        ended = {"of_past": "success"}.get(graph.name, "running")
        assert (await rt.operations.show(run.run_id)).state == ended
