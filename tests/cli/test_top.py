"""`bide top`: what it counts, and that it fits the terminal."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bide import Runtime, dag, task
from bide.runtime.cli.top import drawn, plain_lines
from bide.runtime.service.event_shapes import Top, TopRun
from bide.sensors import TimeSensor
from tests.cli.conftest import Bide
from tests.cli.test_events import SHOWN, service


@task
async def held() -> None:
    await asyncio.sleep(3600)


@task
async def after() -> None: ...


@dag
def working() -> None:
    held() >> after()


@dag
def waiting() -> None:
    TimeSensor("noon", at=datetime(2099, 1, 1, tzinfo=UTC), timeout=timedelta(days=36500))


async def test_how_things_stand_is_one_answer(tmp_path: Path) -> None:
    async with Runtime(
        db=tmp_path / "bide.db", dags=[working, waiting], slots=4, watchdog=False, grace=0
    ) as runtime:
        for each in (working, waiting):
            await runtime.trigger(each)
        await runtime.settled()
        while not runtime.armed:
            await asyncio.sleep(0.001)
        found = await runtime.operations.top()
        assert (found.held, found.slots, found.slots_in_use) == (True, 4, 1)
        assert found.loop_lag_ms is not None
        assert found.runs == {"running": 2}
        assert found.tasks == {"running": 1, "pending": 1, "deferred": 1}
        assert found.waits == {"time": 1}
        assert [(run.dag, run.tasks) for run in found.newest] == [
            ("waiting", {"deferred": 1}), ("working", {"pending": 1, "running": 1}),
        ]  # fmt: skip
        assert "attempt" not in {each.kind for each in found.events}


SHOWN_TOP = Top(
    at="2026-06-15T02:10:00Z", held=True, stopping=False, slots=32, slots_in_use=8, loop_lag_ms=0.4, dags=1_204,
    paused=3, alerts=2, runs={"queued": 40, "running": 8}, waits={"time": 5_000, "file": 4_980},
    tasks={"pending": 20_000, "deferred": 9_980, "running": 8, "up_for_retry": 2},
    newest=tuple(
        TopRun(
            run_id=str(n), dag="a_dag_whose_name_is_as_long_as_they_come_in_large_houses" if n % 2 else "orders",
            state="running", kind="scheduled", logical_date="2026-06-15T00:00:00Z", since="2026-06-15T02:00:00Z",
            tasks={"running": 3, "success": 1_200, "pending": 4_000},
        )
        for n in range(20)
    ),
    events=(SHOWN,) * 20,
)  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 12), (200, 60)])
@pytest.mark.parametrize("held", [True, False])
def test_the_picture_fits_the_terminal(width: int, height: int, held: bool) -> None:
    found = (
        SHOWN_TOP if held else msgspec.structs.replace(SHOWN_TOP, held=False, slots=None, slots_in_use=None)
    )
    console = Console(width=width, height=height, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(drawn(found, [*found.events], "", "/a/database/bide.db", console), end="")
    lines = capture.get().splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "● 8 running" in text
    assert "9,980 deferred" in text
    assert ("8 of 32" in text) is held
    assert ("no runtime holds it" in text) is not held
    if height > 20:
        assert "✗ failed" in text, "there is room for what moves"
        assert "more: `bide runs`" in text
        assert "10m" in text


def test_as_lines_nothing_is_cut() -> None:
    text = "\n".join(plain_lines(SHOWN_TOP))
    assert "8 of 32 in use, loop lag 0.4 ms" in text
    assert "8 running, 9,980 deferred, 2 up_for_retry, 20,000 pending" in text
    assert "a_dag_whose_name_is_as_long_as_they_come_in_large_houses  running  10m" in text
    assert "\x1b" not in text


async def test_where_there_is_no_terminal_it_is_printed_once(tmp_path: Path, bide: Bide) -> None:
    db = tmp_path / "bide.db"
    async with service(db) as runtime:
        await (await runtime.trigger("orders")).wait(20)
        said = await asyncio.to_thread(bide, "top", "--db", str(db))
        assert said.code == 0
        assert "0 of 32 in use" in said.out
        assert "none that is not over" in said.out
    said = await asyncio.to_thread(bide, "top", "--db", str(db), "--json")
    found = msgspec.json.decode(said.out, type=Top)
    assert (found.held, found.slots, found.loop_lag_ms) == (False, None, None)
    assert found.events[-1].now == "success"
    assert "no runtime holds" in (await asyncio.to_thread(bide, "top", "--once", "--db", str(db))).err
