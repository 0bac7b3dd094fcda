"""Mapped tasks with real bodies, in every lane; their outputs, logs and reasons as people see them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, Dag, Runtime, dag, task
from bide.runtime.errors import NotFoundError, UsageError
from bide.sensors import FileSensor
from bide.testing import sim_runtime


@task
async def numbers(ctx: Context) -> list[int]:
    return list(range(ctx.params["n"]))


@task
async def in_loop(n: int, ctx: Context) -> list[int]:
    return [n, ctx.map_index]


@task
def in_thread(n: int, ctx: Context) -> list[int]:
    return [n, ctx.map_index]


@task(isolate=True)
def in_process(n: int, ctx: Context) -> list[int]:
    return [n, ctx.map_index]


@task
async def gather(found: list[Any]) -> list[Any]:
    return found


def of(mapped: Any, over: Any = None) -> Dag:
    @dag(params={"n": 3})
    def d() -> None:
        gather(mapped.map(n=numbers() if over is None else over))

    return d


@pytest.mark.parametrize("lane", [in_loop, in_thread, in_process], ids=["async", "thread", "process"])
@pytest.mark.parametrize("over", [None, [0, 1, 2]], ids=["output", "list"])
async def test_s0_25_instances_run_in_every_lane_and_their_outputs_are_a_list(lane: Any, over: Any) -> None:
    async with sim_runtime([made := of(lane, over)]) as rt:
        result = await (await rt.trigger(made)).wait()
    assert result.state == "success"
    assert result.outputs["gather"] == [[0, 0], [1, 1], [2, 2]]
    assert result.outputs[lane.name] == [[0, 0], [1, 1], [2, 2]]
    assert result.tasks[lane.name] == "success"


async def test_an_instance_that_returns_nothing_is_none_in_the_list() -> None:
    @task
    async def odd(n: int) -> int | None:
        return n if n % 2 else None

    async with sim_runtime([made := of(odd)]) as rt:
        result = await (await rt.trigger(made)).wait()
    assert result.outputs["gather"] == [None, 1, None]


async def test_an_output_that_is_too_long_says_what_to_do() -> None:
    @task
    async def long(n: int) -> str:
        return "x" * 100_000

    async with sim_runtime([made := of(long)]) as rt:
        run = await rt.trigger(made)
        result = await run.wait()
        why = await rt.operations.why(run.run_id, "gather")
    assert result.tasks == {"numbers": "success", "long": "success", "gather": "failed"}
    assert "the 3 instances of 'long' returned is a list of 300,0" in why.why
    assert "map(..., shard=...)" in why.why


async def test_a_rerun_of_one_changes_the_list_that_is_read(tmp_path: Path) -> None:
    say = tmp_path / "say"

    @task
    async def said(n: int) -> str:
        return f"{n} {say.read_text()}"

    say.write_text("first")
    async with Runtime(tmp_path / "b.db", [made := of(said)], slots=4) as rt:
        run = await rt.trigger(made)
        assert (await run.wait()).outputs["gather"] == ["0 first", "1 first", "2 first"]
        say.write_text("again")
        await rt.operations.rerun(run.run_id, "said[1]", downstream=True)
        result = await run.wait()
    assert result.outputs["gather"] == ["0 first", "1 again", "2 first"]


async def test_s0_25_a_restart_takes_the_list_from_the_run(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    ran: list[int] = []

    @task
    async def waits(n: int) -> int:
        if not gate.exists():
            raise RuntimeError("not yet")
        ran.append(n)
        return n * 10

    made = of(waits)
    async with Runtime(tmp_path / "b.db", [made], slots=4) as rt:
        run = await rt.trigger(made)
        assert (await run.wait()).state == "failed"
    gate.touch()
    async with Runtime(tmp_path / "b.db", [made], slots=4) as rt:
        await rt.operations.rerun(run.run_id, "waits[2]")
        assert (await rt.wait(run.run_id)).state == "failed"
        assert ran == [2]
        await rt.operations.rerun(run.run_id)
        result = await rt.wait(run.run_id)
    assert (result.state, ran) == ("success", [2, 0, 1])
    assert result.outputs["gather"] == [0, 10, 20]


async def test_why_logs_show_and_mark_take_an_instance_by_its_index(tmp_path: Path) -> None:
    @task
    async def fails(n: int, ctx: Context) -> int:
        ctx.log.info("this is", number=n)
        if n == 1:
            raise ValueError("no rows")
        return n

    async with Runtime(tmp_path / "b.db", [made := of(fails)], slots=4) as rt:
        run = await rt.trigger(made)
        assert (await run.wait()).state == "failed"
        ops = rt.operations
        shown = await ops.show(run.run_id)
        assert [(t.task, t.map_index, t.state) for t in shown.tasks] == [
            ("numbers", -1, "success"), ("fails", -1, "failed"), ("gather", -1, "upstream_failed"),
            ("fails", 0, "success"), ("fails", 1, "failed"), ("fails", 2, "success"),
        ]  # fmt: skip
        why = await ops.why(run.run_id, "fails")
        assert why.why == "it failed: 1 of 3 instances failed"
        assert {d.what: d.value for d in why.details}["fails[1]"] == "failed: ValueError: no rows"
        assert "ValueError: no rows" in (await ops.why(run.run_id, "fails[1]")).why
        assert "number=2" in (await ops.logs(run.run_id, "fails[2]")).text
        with pytest.raises(
            UsageError, match=r"fails of run 1 is mapped: name one .* fails\[0\] to fails\[2\]"
        ):
            await ops.logs(run.run_id, "fails")
        with pytest.raises(NotFoundError, match=r"has 3 instances, \[0\] to \[2\], and no \[9\]"):
            await ops.mark(run.run_id, "fails[9]", "success")
        await ops.mark(run.run_id, "fails[1]", "success")
        result = await run.wait()
    assert result.outputs["gather"] == [0, None, 2]


async def test_why_of_one_that_goes_on_counts_its_instances(tmp_path: Path) -> None:
    @task
    async def parts(n: int, ctx: Context) -> None:
        if n:
            from bide.triggers import FileTrigger

            await ctx.wait(FileTrigger(path=str(tmp_path / "never")), name="gate")

    async with Runtime(tmp_path / "b.db", [made := of(parts)], slots=4) as rt:
        run = await rt.trigger(made)
        async with asyncio.timeout(10):
            while len(await rt.waits()) < 2:
                await asyncio.sleep(0.005)
        why = await rt.operations.why(run.run_id, "parts")
        assert why.why == "1 of its 3 instances have ended"
        assert {d.what: d.value for d in why.details} == {"instances": "1 success, 2 deferred"}
        assert sorted(str(w.task) for w in await rt.waits()) == ["parts[1]", "parts[2]"]
        below = await rt.operations.why(run.run_id, "gather")
        assert "waits for 1 of 1 upstreams by its rule all_success: parts (mapped)" in below.why
        await run.cancel()
        assert await rt.waits() == []


async def test_a_sensor_may_take_what_a_mapped_task_returned(tmp_path: Path) -> None:
    @task
    async def path(n: int) -> str:
        (tmp_path / f"{n}.csv").write_text("x")
        return str(tmp_path / f"{n}.csv")

    @dag(params={"n": 2})
    def d() -> None:
        FileSensor("there", path=path.map(n=numbers())[1], settle=timedelta(0))

    async with Runtime(tmp_path / "b.db", [d], slots=4) as rt:
        result = await (await rt.trigger(d)).wait(10)
    assert result.state == "success"
    assert result.outputs["there"]["path"].endswith("1.csv")


async def test_more_than_the_limit_fails_the_task_with_the_advice() -> None:
    @dag(params={"n": 11})
    def d() -> None:
        in_loop.options(max_map=5).map(n=numbers())

    async with sim_runtime([d]) as rt:
        run = await rt.trigger(d)
        assert (await run.wait()).state == "failed"
        why = await rt.operations.why(run.run_id, "in_loop")
    assert (
        "would become 11 instances, and the limit is 5: give each a list of items with map(..., shard=3)"
        in why.why
    )


@pytest.mark.parametrize("first", [0, 2])
async def test_of_no_instances_there_is_no_list(tmp_path: Path, first: int) -> None:
    """Also when there were some before a rerun of what made the list."""
    length = [first, 0]

    @task
    async def listed() -> list[int]:
        return list(range(length.pop(0)))

    @task
    async def one(n: int) -> int:
        return n

    @task(trigger_rule="all_done")
    async def last(found: list[int] | None) -> list[Any]:
        return [found]

    @dag
    def d() -> None:
        last(one.map(n=listed()))

    async with Runtime(tmp_path / "b.db", [d], slots=4) as rt:
        run = await rt.trigger(d)
        before = await run.wait()
        assert before.outputs["last"] == ([None] if not first else [[0, 1]])
        await rt.operations.rerun(run.run_id, "listed", downstream=True)
        result = await run.wait()
    assert result.tasks["one"] == "skipped"
    assert result.outputs["last"] == [None]
    assert "one" not in result.outputs
