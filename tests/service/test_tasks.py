"""Task instances as every door shows them: one with its attempts, inputs and result, and those of all runs by filter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bide import Context, dag, shell, task
from bide.runtime.errors import NotFoundError, UsageError
from bide.sensors import FileSensor
from bide.testing import SimRuntime, sim_runtime


@task(retries=1, retry_delay=timedelta(minutes=1))
async def flaky(ctx: Context, day: str) -> dict[str, str]:
    ctx.metrics(rows=3)
    if ctx.attempt == 1:
        raise ValueError("not yet")
    return {"day": day}


@task
async def each(item: int, of: dict[str, str]) -> int:
    return item


@task
async def broken(seen: object = None) -> None:
    raise ValueError("no")


@dag
def shown() -> None:
    first = flaky("monday")
    each.partial(of=first).map(item=[4, 5])
    broken(first)
    FileSensor("waits", path="/nowhere/{logical_date:%Y}.csv", timeout=timedelta(hours=1))
    shell("says", "echo {logical_date:%Y-%m}")


@pytest.fixture
async def rt() -> AsyncIterator[SimRuntime]:
    async with sim_runtime([shown], start="2026-06-15") as rt:
        await rt.trigger("shown", logical_date="2026-06-15")
        await rt.clock.advance(timedelta(minutes=5))
        yield rt


async def test_a_task_is_shown_with_its_attempts_inputs_and_result_and_what_stands_beside_it(
    rt: SimRuntime,
) -> None:
    of = rt.operations.tasks
    one = await of.show("1", "flaky")
    assert [(a.attempt, a.state, a.error, a.metrics) for a in one.attempts] == [
        (1, "failed", "ValueError: not yet", {"rows": 3}),
        (2, "success", None, {"rows": 3}),
    ]
    assert one.attempts[0].log_bytes > 0
    assert (one.state, one.result, one.idempotency_key) == ("success", {"day": "monday"}, "shown/1/flaky/-1")
    assert [(i.name, i.value) for i in one.inputs] == [("#1", "monday")]
    assert {(b.task, b.state) for b in one.downstream} == {("each", "success"), ("broken", "failed")}
    below = await of.show("1", "broken")
    assert [(i.upstream, i.value) for i in below.inputs] == [("flaky", {"day": "monday"})]


async def test_templates_are_filled_in_and_a_wait_is_shown_with_its_deadline(rt: SimRuntime) -> None:
    waits = await rt.operations.tasks.show("1", "waits")
    assert ("path", "/nowhere/2026.csv") in [(i.name, i.value) for i in waits.inputs]
    assert [(w.state, w.ended_at, w.trigger) for w in waits.waits] == [
        ("open", None, "file /nowhere/2026.csv")
    ]
    says = await rt.operations.tasks.show("1", "says")
    assert [(i.name, i.value) for i in says.inputs] == [("command", "echo 2026-06")]


async def test_an_instance_of_a_mapped_task_is_given_its_item(rt: SimRuntime) -> None:
    whole, second = [await rt.operations.tasks.show("1", name) for name in ("each", "each[1]")]
    assert (whole.instances, second.map_index, second.result) == ({"success": 2}, 1, 5)
    assert next(i.value for i in second.inputs if i.name == "item") == 5


async def test_a_task_or_an_instance_that_is_not_there_is_named(rt: SimRuntime) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'flaky'"):
        await rt.operations.tasks.show("1", "flakey")
    with pytest.raises(NotFoundError, match="no instance 7"):
        await rt.operations.tasks.show("1", "each[7]")


async def test_tasks_of_all_runs_are_found_by_filter_and_read_page_by_page(rt: SimRuntime) -> None:
    of = rt.operations.tasks
    await rt.trigger("shown", logical_date="2026-06-16")
    await rt.clock.advance(timedelta(minutes=5))
    failed = await of.listed(state="failed")
    assert [(t.run_id, t.task) for t in failed if t.run_id == "1"] == [("1", "broken")]
    assert {t.run_id for t in await of.listed(run="1")} == {"1"}
    assert [t.map_index for t in await of.listed(run="1", task="ea*")] == [1, 0, -1]
    assert await of.listed(dag="other*") == []
    assert {t.logical_date for t in await of.listed(until="2026-06-16")} == {"2026-06-15T00:00:00Z"}
    everything = await of.listed(dag="shown")
    paged, last = [], None
    while page := await of.listed(dag="shown", limit=4, before=last):
        paged += page
        last = page[-1].id
    assert paged == everything
    with pytest.raises(UsageError, match="did you mean 'failed'"):
        await of.listed(state="faild")


async def test_a_mark_of_many_is_of_those_runs_alone_whose_task_is_in_a_state(rt: SimRuntime) -> None:
    of = rt.operations.actions
    asked = {"dag": "shown", "task": "broken", "to": "skipped", "dry_run": True}
    assert (await of.runs("mark", task_state="failed", **asked)).count == 1  # type: ignore[arg-type]
    none = await of.runs("mark", task_state="lost,ready", **asked)  # type: ignore[arg-type]
    assert (none.count, none.where) == (0, "task=broken task_state=lost,ready to=skipped dag=shown")
    with pytest.raises(UsageError, match="`task_state` goes with mark"):
        await of.runs("rerun", task_state="failed", dry_run=True)
