"""Branches, skips and groups with real bodies, in every lane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bide
from bide import Skip, branch, dag, group, shell, task
from bide.testing import sim_runtime


@task
async def full() -> str:
    return "full"


@task
async def delta() -> str:
    return "delta"


@task(trigger_rule="none_failed_min_one_success")
async def report(a: Any, b: Any) -> list[Any]:
    return [a, b]


@branch
async def by_handle(n: int) -> Any:
    return full if n > 10 else [delta]


@task(branch=True)
def by_name(n: int) -> Any:
    return None if n < 0 else "full" if n > 10 else ["full", "delta"]


@task(branch=True, isolate=True)
def elsewhere() -> str:
    return "delta"


async def states(made: bide.Dag) -> tuple[str, dict[str, str], dict[str, Any]]:
    async with sim_runtime([made]) as rt:
        result = await (await rt.trigger(made)).wait()
        return result.state, dict(result.tasks), dict(result.outputs)


@pytest.mark.parametrize(("n", "taken"), [(11, ["full"]), (1, ["delta"])])
async def test_a_branch_may_return_the_task_itself(n: int, taken: list[str]) -> None:
    @dag
    def choose() -> None:
        a, b = full(), delta()
        by_handle(n) >> [a, b]
        report(a, b)

    state, tasks, outputs = await states(choose)
    assert state == "success"
    assert outputs["by_handle"] == taken
    assert {name for name in ("full", "delta") if tasks[name] == "success"} == set(taken)
    assert outputs["report"] == ["full" if n > 10 else None, None if n > 10 else "delta"]


@pytest.mark.parametrize(("n", "taken"), [(-1, []), (11, ["full"]), (5, ["full", "delta"])])
async def test_a_branch_in_a_thread_chooses_none_one_or_more(n: int, taken: list[str]) -> None:
    @dag
    def choose() -> None:
        by_name(n) >> [full(), delta()]

    _, tasks, outputs = await states(choose)
    assert outputs["by_name"] == taken
    assert {name for name in ("full", "delta") if tasks[name] == "success"} == set(taken)


async def test_a_branch_in_a_process_of_its_own(tmp_path: Path) -> None:
    @dag
    def choose() -> None:
        elsewhere() >> [full(), delta()]

    async with bide.Runtime(tmp_path / "bide.db", [choose]) as rt:
        result = await (await rt.trigger(choose)).wait(30)
    assert dict(result.tasks) == {"elsewhere": "success", "full": "skipped", "delta": "success"}


async def test_a_branch_chooses_a_group_by_its_name() -> None:
    @branch
    async def pick() -> str:
        return "bulk"

    @dag
    def choose() -> None:
        with group("bulk") as bulk:
            full() >> delta()
        with group("trickle") as trickle:
            delta()
        pick() >> [bulk, trickle]

    _, tasks, outputs = await states(choose)
    assert outputs["pick"] == ["bulk.full"]
    assert tasks == {
        "pick": "success", "bulk.full": "success", "bulk.delta": "success", "trickle.delta": "skipped",
    }  # fmt: skip


@task
async def rows() -> None:
    raise Skip("no rows today", downstream=True)


@task(isolate=True)
def rows_elsewhere() -> None:
    raise Skip("no rows over there", downstream=True)


@task
async def gentle() -> None:
    raise Skip("nothing new")


@pytest.mark.parametrize(
    ("check", "after"), [(rows, "skipped"), (rows_elsewhere, "skipped"), (gentle, "success")]
)
async def test_a_skip_takes_all_below_with_it_when_it_says_so(check: Any, after: str, tmp_path: Path) -> None:
    @dag
    def short() -> None:
        check() >> full.options(trigger_rule="all_done")() >> shell("say", "true")

    async with bide.Runtime(tmp_path / "bide.db", [short]) as rt:
        result = await (await rt.trigger(short)).wait(30)
    assert dict(result.tasks) == {check.name: "skipped", "full": after, "say": after}
    assert result.state == "success"


async def test_a_cluster_is_deleted_though_the_work_on_it_failed() -> None:
    deleted: list[str] = []

    @task
    async def create() -> str:
        return "c-1"

    @task
    async def work(cluster: str) -> None:
        raise ValueError("no memory")

    @task
    async def delete(cluster: str) -> None:
        deleted.append(cluster)

    @dag
    def job() -> None:
        cluster = create()
        work(cluster) >> delete(cluster).as_teardown(setups=cluster)

    state, tasks, _ = await states(job)
    assert (state, deleted) == ("failed", ["c-1"])
    assert tasks == {"create": "success", "work": "failed", "delete": "success"}
