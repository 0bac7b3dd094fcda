"""Checks across DAGs where DAGs are given: at entry, when triggered, when loaded again, by `bide run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide import Dag, Runtime, dag, task
from bide.runtime.errors import GraphError
from bide.runtime.graph.load import load_paths
from bide.sensors import ExternalTaskSensor


@task
async def step() -> None: ...


@dag
def source() -> None:
    step()


def sink(on: str) -> Dag:
    @dag(name="sink")
    def body() -> None:
        ExternalTaskSensor("wait", dag="source", task=on)

    return body


async def test_c27_a_guest_is_refused_at_entry_and_its_database_let_go(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    with pytest.raises(GraphError, match="there is none of that name"):
        async with Runtime(db, [sink("step")]):
            pass
    async with Runtime(db, [source, sink("step")]) as rt:
        assert list(rt.dags) == ["source", "sink"]
    async with Runtime(db, [sink("step")]) as rt:  # the database knows the other one
        assert rt.dags == ("sink",)


async def test_who_asks_to_be_told_gets_the_others(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    db = tmp_path / "bide.db"
    async with Runtime(db, [source, sink("x")], refused=lambda d, why: told.append((d.name, why))) as rt:
        assert list(rt.dags) == ["source"]
        assert [name for name, _ in told] == ["sink"]
        assert "it has step" in told[0][1]
        await rt.load([source, sink("step")], {})
        assert list(rt.dags) == ["source", "sink"]
        await rt.load([source, sink("gone")], {})
        assert list(rt.dags) == ["source", "sink"]  # as it was before
        assert len(told) == 2


async def test_a_dag_handed_to_trigger_is_checked_too(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db") as rt:
        with pytest.raises(GraphError, match="there is none of that name"):
            await rt.trigger(sink("step"))
        assert rt.dags == ()


async def test_the_examples_wait_for_what_is_there(tmp_path: Path) -> None:
    found = load_paths([Path(__file__).parents[2] / "examples" / "sensors.py"])
    async with Runtime(tmp_path / "bide.db", found.dags) as rt:
        assert len(rt.dags) == len(found.dags)


async def test_a_runtime_that_drains_is_alive_and_not_ready(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [source]) as rt:
        assert (rt._alive(), rt._ready()) == ("", "")
        await rt.drain(0.1)
        assert (rt._alive(), rt._ready()) == ("", "it is stopping, and starts nothing new")
