"""What is waited for, in groups: who shares a look, what it saw, how it fails; and the filters of the listing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Runtime, dag
from bide.runtime.errors import RefusedError, UsageError
from bide.runtime.service import wait_actions
from bide.runtime.service.waiting_shapes import WaitGroup
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
    async def found() -> dict[str, WaitGroup]:
        return {group.kind: group for group in await rt.operations.waiting.groups()}

    async with asyncio.timeout(20):  # a watch of files is begun in a thread
        while (groups := await found())["file"].seen_by != "told" or groups["http"].looks != 1:
            await asyncio.sleep(0.01)
    http, file, external = groups["http"], groups["file"], groups["external_task"]
    assert (http.waits, http.things, http.looks, http.seen_by, http.every_seconds) == (7, 1, 1, "looks", 30.0)
    assert http.says == f"7 waits for GET {NOBODY}/ready: one request every 30s"
    assert file.says == "3 waits for 3 files: one watch for all"
    assert external.says.startswith("3 waits for 3 other runs: the engine sees it in the commit")
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


async def test_all_waits_of_a_group_are_counted_and_then_extended_and_failed(rt: Runtime) -> None:
    of, ops = rt.operations.actions, rt.operations
    [group] = await ops.waiting.groups(kind="http")
    counted = await of.waits("extend", source=group.key, deadline="+2h", dry_run=True)
    assert (counted.id, counted.count, len(counted.first)) == (None, 7, 7)
    assert counted.where == f"source={group.key}"
    with pytest.raises(UsageError, match="say how many you expect to extend"):
        await of.waits("extend", source=group.key, deadline="+2h")
    with pytest.raises(RefusedError, match="6 waits were expected, and 7 match now"):
        await of.waits("extend", source=group.key, deadline="+2h", expect=6)
    before = {line.id: line.deadline for line in await ops.waits(source=group.key)}
    begun = await of.waits("extend", source=group.key, deadline="+2h", expect=7)
    await rt.settled()
    for line in await ops.waits(source=group.key):
        late = datetime.fromisoformat(line.deadline or "") - datetime.fromisoformat(before[line.id] or "")
        assert late == timedelta(hours=2)
    shown = await of.show(begun.id or "")
    assert (shown.action, shown.where, shown.done, shown.refused) == ("extend", counted.where, 7, 0)
    await of.waits("look", kind="external_task", expect=3)
    await of.waits("satisfy", kind="file", event={"rows": 3}, expect=3)
    await of.waits("fail", what=group.what, reason="the partner is gone", expect=7)
    await rt.settled()
    assert {line.kind for line in await ops.waits()} == {"external_task"}
    failed = str(await ops.tasks.show("1", "ready"))
    assert "the partner is gone" in failed
    assert (await of.waits("fail", text="partner", dry_run=True)).count == 3  # those that wait for its runs


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"action": "looks"}, "did you mean 'look'"),
        ({"action": "extend"}, "extend until when"),
        ({"action": "extend", "deadline": "2020-01-01"}, "is over"),
        ({"action": "extend", "deadline": "2h"}, "is a span, not an instant"),
        ({"action": "look", "deadline": "+2h"}, "`deadline` goes with extend"),
        ({"action": "fail", "event": 1}, "`event` goes with satisfy"),
    ],
)
async def test_an_action_on_a_group_that_cannot_be_meant_is_refused_in_words(
    rt: Runtime, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        await rt.operations.actions.waits(**asked, dry_run=True)


async def test_more_waits_than_one_action_takes_are_had_one_action_after_the_other(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = rt.operations.actions
    every = sorted(int(each.id) for each in await rt.operations.waits())
    monkeypatch.setattr(wait_actions, "MOST", 2)
    taken: list[int] = []
    after: str | None = None
    while (at := await of.waits("look", dry_run=True, after=after)).count:
        assert at.count + at.rest == len(every) - len(taken)
        begun = await of.waits("look", expect=at.count, after=after)
        assert (begun.rest, begun.last, begun.count <= 2) == (at.rest, at.last, True)
        taken += map(int, begun.first)
        after = begun.last
    assert taken == every
    with pytest.raises(UsageError, match="x"):
        await of.waits("look", dry_run=True, after="x")
