"""What is waited for, in groups: who shares a look, what it saw, how it fails; and the filters of the listing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bide import Runtime, dag
from bide.runtime.errors import UsageError
from bide.sensors import ExternalTaskSensor, FileSensor, HttpSensor

NOBODY = "http://127.0.0.1:9"


@dag(max_active_runs=50)
def partners() -> None:
    HttpSensor(
        "ready", url=f"{NOBODY}/ready", timeout=timedelta(hours=3), poll_interval=timedelta(seconds=30)
    )


@dag(max_active_runs=50)
def drops() -> None:
    FileSensor("drop", path="/nowhere/{logical_date:%Y-%m-%d}.csv", timeout=timedelta(hours=2))
    ExternalTaskSensor("before", dag="partners", timeout=timedelta(days=1))


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with Runtime(tmp_path / "bide.db", [partners, drops]) as runtime:
        for day in range(1, 8):
            await runtime.trigger("partners", logical_date=f"2026-06-{day:02}")
        for day in range(11, 14):
            await runtime.trigger("drops", logical_date=f"2026-06-{day}")
        await runtime.settled()
        number = next(wait.id for wait in await runtime.waits() if wait.dag == "partners")
        await runtime.operations.wait_look(number)
        await runtime.settled()
        yield runtime


async def test_b14_waits_on_one_source_are_one_group_with_one_look(rt: Runtime) -> None:
    groups = {group.kind: group for group in await rt.operations.waiting.groups()}
    http, file, external = groups["http"], groups["file"], groups["external_task"]
    assert (http.waits, http.things, http.looks, http.seen_by, http.every_seconds) == (7, 1, 1, "looks", 30.0)
    assert http.says == f"7 waits for http GET {NOBODY}/ready: one request every 30s"
    assert (file.waits, file.things, file.seen_by) == (3, 3, "told")
    assert (external.waits, external.seen_by, external.last_look) == (3, "engine", None)


async def test_what_a_group_saw_and_how_it_fails_is_told(rt: Runtime) -> None:
    async def looked() -> bool:
        return all(wait.last_look for wait in await rt.operations.waits(kind="http"))

    while not await looked():
        await rt.settled()
    [http] = await rt.operations.waiting.groups(kind="http")
    assert http.failing == 7
    assert http.failures >= 1
    assert "connection" in http.trouble
    assert http.next_look is not None
    lines = await rt.operations.waits(troubled=True)
    assert {(line.kind, line.sharers) for line in lines} == {("http", 7)}


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("dag", {"partners": 7, "drops": 6}),
        ("task", {"partners.ready": 7, "drops.drop": 3, "drops.before": 3}),
    ],
)
async def test_waits_are_put_together_by_what_is_asked(
    rt: Runtime, by: str, expected: dict[str, int]
) -> None:
    groups = await rt.operations.waiting.groups(by)
    assert {group.key: group.waits for group in groups} == expected
    for group in groups:
        of = await rt.operations.waits(**{by: group.key})  # type: ignore[arg-type]  # both are texts
        assert len(of) == group.waits


async def test_the_listing_is_narrowed_by_everything_it_shows(rt: Runtime) -> None:
    ops = rt.operations
    assert len(await ops.waits(source="file")) == 3
    assert [wait.task for wait in await ops.waits(text="2026-06-12.CSV")] == ["drop"]
    (one,) = await ops.waits(what="file /nowhere/2026-06-11.csv")
    assert [wait.id for wait in await ops.waits(ids=one.id)] == [one.id]
    page = await ops.waits(2, source="file")
    assert await ops.waits(2, page[-1].id, source="file") == (await ops.waits(source="file"))[2:]
    assert len(await ops.waiting.groups(limit=2)) == 2
    with pytest.raises(UsageError, match="did you mean 'source'"):
        await ops.waiting.groups("sorce")
