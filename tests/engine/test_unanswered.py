"""A question to the database that nothing can answer costs whoever asked it, and nobody waits for ever."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Runtime, dag, task
from bide.runtime.clock import to_us
from bide.runtime.engine.shell import EngineShell
from bide.sensors import AssetSensor, ExternalTaskSensor

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
    answer = EngineShell._fact

    def picky(self: EngineShell, conn: sqlite3.Connection, key: Any) -> Any:
        if key[0] in kinds:
            raise ZeroDivisionError("no answer to this")
        return answer(self, conn, key)

    monkeypatch.setattr(EngineShell, "_fact", picky)
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
