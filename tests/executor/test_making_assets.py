"""Bodies make assets: stage, validate, publish; gates run on what is staged, wherever a body runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bide import Asset, Check, Decision, Staged, dag, gate, task
from bide.runtime.assets.declarations import declared
from bide.runtime.executor.context import Context
from bide.testing import sim_runtime

SILVER, GOLD = Asset("silver"), Asset("gold")


@pytest.fixture(autouse=True)
def nothing_else_is_declared() -> Any:
    before = dict(declared())
    declared().clear()
    yield
    declared().clear()
    declared().update(before)


async def states(rt: Any, name: str = "gold") -> list[str]:
    shown = await rt.ops.assets.show(name)
    return [version.state for version in reversed(shown.versions)]


async def test_s1_42_a_body_stages_validates_and_publishes_and_is_told_the_decision(tmp_path: Path) -> None:
    told: list[Any] = []

    @gate(GOLD, severity="critical")
    def some(staged: Staged) -> Check:
        return Check(staged.rows is not None and staged.rows > 0, staged.rows, "at least 1")

    @task(outlets=[GOLD])
    async def make(ctx: Context) -> None:
        gold = ctx.asset(GOLD)
        await gold.stage("gold/1.csv", rows=3, schema=[{"name": "id", "type": "int"}], meta={"by": "make"})
        told.append(await gold.validate())
        told.append(await gold.publish())

    @dag
    def gold() -> None:
        make()

    async with sim_runtime(dags=[gold]) as rt:
        result = await (await rt.trigger("gold")).wait()
    assert result.state == "success"
    checks, decision = told
    assert [(each.name, each.passed) for each in checks] == [("some", True)]
    assert isinstance(decision, Decision)
    assert decision.allowed
