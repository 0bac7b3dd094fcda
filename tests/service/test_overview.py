"""What needs a person, and how all of it stands: one answer, most urgent first."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import bide
from bide import Cron, Every, Runtime, approval, dag, task
from bide.runtime.clock import HOUR
from bide.runtime.errors import BideError, NotFoundError, UsageError
from bide.runtime.service.needs import Found, needs_of
from bide.runtime.service.overview import firings_of
from bide.runtime.service.overview_shapes import Need
from bide.runtime.store import home_reads
from bide.runtime.store.home_reads import AlertOpen, DueDag
from bide.sensors import TimeSensor

NOON = 1_781_481_600_000_000


@task
async def breaks() -> None:
    raise ValueError("no such column")


@dag
def broken() -> None:
    breaks()


@dag
def asks() -> None:
    approval("release", prompt="Publish?")


@dag(schedule=Cron("0 4 * * *"), start=datetime(2026, 1, 1, tzinfo=UTC), catchup="none")
def nightly() -> None:
    TimeSensor("noon", at=datetime(2099, 1, 1, tzinfo=UTC), timeout=timedelta(days=36500))


async def test_what_needs_a_person_is_folded_and_in_order(tmp_path: Path) -> None:
    async with Runtime(
        db=tmp_path / "bide.db", dags=[broken, asks, nightly], watchdog=False, slots=3
    ) as runtime:
        ops = runtime.operations
        assert (await ops.overview.home()).needs == ()
        for date in ("2026-06-01", "2026-06-02"):
            await (await runtime.trigger("broken", logical_date=date)).wait()
        await runtime.trigger("asks")
        await runtime.settled()
        await ops.pause("nightly")
        while len((found := await ops.overview.home()).needs) < 3:
            await asyncio.sleep(0.001)
        failure, asked, paused = found.needs
        assert (failure.kind, failure.subject, failure.count, failure.run_id) == ("failure", "broken", 2, "2")
        assert failure.text == "breaks failed: ValueError: no such column"
        assert len(failure.alerts) == 2
        assert (asked.kind, asked.subject, asked.text) == ("approval", "asks.release of run 3", "Publish?")
        assert (paused.kind, paused.dag, paused.by) == ("paused", "nightly", "python")
        assert found.next == ()  # a paused DAG fires nothing
        assert found.hours[-1].runs.get("failed", 0) + found.hours[-2].runs.get("failed", 0) == 2
        assert (len(found.hours), found.slots, found.slots_in_use) == (24, 3, 0)
        assert found.database_bytes > 0

        for alert in failure.alerts:
            await ops.alert_ack(alert)
        await ops.unpause("nightly")
        after = await ops.overview.home()
        assert [need.kind for need in after.needs] == ["approval"]
        assert [(soon.dag, len(soon.firings)) for soon in after.next] == [("nightly", 1)]


async def test_of_more_runs_than_are_counted_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Runtime(db=tmp_path / "bide.db", dags=[broken], watchdog=False) as runtime:
        runs = [await runtime.trigger("broken", logical_date=f"2026-06-0{n}") for n in (1, 2, 3)]
        for run in runs:
            await run.wait()
        seen = []
        for most in (4, 3, 2):
            monkeypatch.setattr(home_reads, "LATELY", most)
            found = await runtime.operations.overview.home()
            seen.append((found.hours_whole, sum(sum(hour.runs.values()) for hour in found.hours)))
        assert seen == [(True, 3), (True, 3), (False, 2)]


async def test_a_failure_that_was_mended_needs_nobody(tmp_path: Path) -> None:
    async with Runtime(db=tmp_path / "bide.db", dags=[broken], watchdog=False) as runtime:
        run = await runtime.trigger("broken")
        await run.wait()
        ops = runtime.operations
        assert [need.kind for need in (await ops.overview.home()).needs] == ["failure"]
        await ops.mark(run.run_id, "breaks", "success")
        assert (await ops.overview.home()).needs == ()


def test_what_only_the_living_know_is_said_first_where_nothing_can_be_committed() -> None:
    live: Any = SimpleNamespace(full="the disk is full", left_out={"bad.py": "no module named nothing"})
    full, file = needs_of(Found([], [], [], [], [], []), live)
    assert (full.kind, full.text) == ("full", "the disk is full")
    assert (file.kind, file.subject, file.text) == ("file", "bad.py", "no module named nothing")


def due(name: str, schedule: Cron | Every, fires_us: int, end_us: int | None = None) -> DueDag:
    options = '{"end_us": %s}' % ("null" if end_us is None else end_us)
    return DueDag(name, schedule.to_json().decode(), options, NOON, fires_us)


def test_firings_of_a_day_are_bounded_for_a_dag_and_for_all() -> None:
    often = [due(f"often{n}", Every(timedelta(minutes=1)), NOON) for n in range(30)]
    once = due("once", Cron("0 4 * * *"), NOON + 4 * HOUR)
    found = {each.dag: each for each in firings_of([*often, once], NOON + 24 * HOUR)}
    assert sum(len(each.firings) for each in found.values()) <= 431
    assert all(1 <= len(each.firings) <= 24 and each.more for name, each in found.items() if name != "once")
    assert (len(found["once"].firings), found["once"].more) == (1, False)


def test_no_firing_after_the_end_of_a_dag() -> None:
    (found,) = firings_of([due("ends", Every(timedelta(hours=1)), NOON, NOON + 3 * HOUR)], NOON + 24 * HOUR)
    assert (len(found.firings), found.more) == (3, False)


@pytest.mark.parametrize("kind", ["run", "task", "asset"])
def test_what_is_late_is_one_kind(kind: str) -> None:
    run = None if kind == "asset" else 7
    alert = AlertOpen(9, kind, "orders", "by 04:00", "major", NOON, "orders is late", "{}", run, None, None)
    (need,) = needs_of(Found([alert], [], [], [], [], []), None)
    assert need == Need(
        kind="late", subject="orders", text="orders is late", since="2026-06-15T00:00:00Z", severity="major",
        run_id=None if run is None else "7", asset="orders" if run is None else None, alerts=("9",),
    )  # fmt: skip


async def test_the_system_says_what_it_is_made_of_and_how_it_is(tmp_path: Path) -> None:
    async with Runtime(db=tmp_path / "bide.db", dags=[nightly], watchdog=False, slots=3) as runtime:
        await runtime.trigger("nightly")
        await runtime.settled()
        while not runtime.armed:
            await asyncio.sleep(0.001)
        ops = runtime.operations
        shown, pulse = await ops.system.show(), await ops.system.pulse()
    assert (shown.held_by, shown.epoch, shown.waits, shown.armed) == (os.getpid(), 1, {"time": 1}, 1)
    assert sum(each.waits for each in shown.sources) == 1
    assert shown.versions["bide"] == bide.__version__
    assert shown.settings == ()  # a program has given it what it has
    assert (pulse.slots, pulse.slots_in_use, pulse.readers, pulse.full) == (3, 0, 0, "")
    assert pulse.turns is not None
    assert pulse.turns > 0
    assert int(pulse.newest) > 0


async def test_a_line_of_the_audit_log_says_what_was_and_what_is(tmp_path: Path) -> None:
    async with Runtime(db=tmp_path / "bide.db", dags=[broken, asks], watchdog=False) as runtime:
        ops = runtime.operations
        await (await runtime.trigger("broken")).wait()
        await ops.mark("1", "breaks", "success")
        with pytest.raises(BideError):
            await ops.cancel("1")
        refused, mark, _ = await ops.audit()
        assert [each.verb for each in await ops.audit(target="run 1")] == ["cancel", "mark"]
        assert [each.verb for each in await ops.audit(target="run")] == []
        assert len(await ops.audit(via="python")) == 3
        assert await ops.audit(via="http") == []
        shown = await ops.audit_shown(mark.id)
        assert ("failed", "success") in {
            (each.was, each.now) for each in shown.moved if each.task == "breaks"
        }
        assert not shown.more
        assert (await ops.audit_shown(refused.id)).moved == ()
        with pytest.raises(NotFoundError, match="no line 99"):
            await ops.audit_shown("99")


async def test_runs_are_found_by_what_made_them_their_dates_and_a_pattern(tmp_path: Path) -> None:
    async with Runtime(db=tmp_path / "bide.db", dags=[broken, asks], watchdog=False) as runtime:
        ops = runtime.operations
        for date in ("2026-06-01", "2026-06-02", "2026-06-03"):
            await runtime.trigger("broken", logical_date=date)
        await runtime.trigger("asks", logical_date="2026-06-02")

        async def ids(**asked: Any) -> list[str]:
            return [run.run_id for run in await ops.runs(**asked)]

        assert await ids(since="2026-06-02", until="2026-06-03") == ["4", "2"]
        assert await ids(dag="br*", since="2026-06-02") == ["3", "2"]
        assert await ids(dag="broken", until="2026-06-02") == ["1"]
        assert await ids(kind="manual", dag="a?ks") == ["4"]
        assert await ids(kind="scheduled") == []
        assert await ids(dag="none*") == []
        with pytest.raises(UsageError, match="no kind of a run"):
            await ids(kind="by hand")
