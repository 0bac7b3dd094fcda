"""Bodies make assets: stage, validate, publish; gates run on what is staged, wherever a body runs."""

from __future__ import annotations

from typing import Any

import pytest

from bide import Asset, Check, Decision, Staged, dag, gate, shell, task
from bide.gates import rows
from bide.runtime.assets.declarations import declared
from bide.runtime.errors import BideError, UsageError
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


async def test_s1_42_a_body_stages_validates_and_publishes_and_is_told_the_decision() -> None:
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


async def shown(rt: Any, asset: str = "gold") -> list[Any]:
    """Its versions, oldest first."""
    return list(reversed((await rt.operations.assets.show(asset)).versions))


async def test_s1_42_a_plain_function_does_the_same_in_its_thread() -> None:
    gate(GOLD, rows(min=5), severity="major")
    told: list[Any] = []

    @task(outlets=[GOLD], inlets=[SILVER])
    def make(ctx: Context) -> None:
        gold = ctx.asset("gold")
        told.append([version.asset for version in gold.inputs])
        gold.stage("gold/1", rows=3)
        told.append(gold.validate()[0].passed)
        told.append(gold.publish().allowed)

    @task(outlets=[SILVER])
    def clean() -> None: ...

    @dag
    def gold() -> None:
        clean() >> make()

    async with sim_runtime(dags=[gold]) as rt:
        result = await (await rt.trigger("gold")).wait()
        [version] = await shown(rt)
    assert result.state == "success", "a no is an answer"
    assert told == [["silver"], False, False]
    assert (version.state, version.held, version.label) == ("validated", True, "gold/1")
    assert "rows (major) failed" in version.reason


async def test_s1_42_publish_says_no_to_what_a_critical_gate_has_put_into_quarantine_and_says_yes_twice() -> (
    None
):
    gate(GOLD, rows(min=5), severity="critical")
    told: list[Decision] = []
    validated = [False, True, False]

    @task(outlets=[GOLD])
    async def make(ctx: Context) -> None:
        gold = ctx.asset(GOLD)
        for n, beforehand in zip((3, 4, 9), validated, strict=True):
            await gold.stage(f"gold/{n}", rows=n)
            if beforehand:
                await gold.validate()
            told.extend([await gold.publish(), await gold.publish()])

    @dag
    def gold() -> None:
        make()

    async with sim_runtime(dags=[gold]) as rt:
        result = await (await rt.trigger("gold")).wait()
        versions = await shown(rt)
    assert result.state == "success", "a no is an answer"
    assert [each.allowed for each in told] == [False, False, False, False, True, True]
    assert told[::2] == told[1::2]
    no = told[0]
    assert no.reason == (
        "version 1 of gold is quarantined: a gate failed: rows (critical): observed 3, expected at least 5"
    )
    assert [(i.upstream, i.requirement, i.action, i.severity) for i in no.issues] == [
        ("gold", "quality rows", "quarantine_output", "critical")
    ]
    assert [(each.state, each.label) for each in versions] == [
        ("quarantined", "gold/3"), ("quarantined", "gold/4"), ("published", "gold/9"),
    ]  # fmt: skip


async def test_b40_what_the_body_does_not_do_its_success_does_and_gates_run_in_every_lane() -> None:
    def seen(staged: Staged) -> Check:
        return Check(staged.rows == 42, staged.rows)

    async def later(staged: Staged) -> bool:
        return staged.asset == "gold"

    def broken(staged: Staged) -> bool:
        raise OSError("no route")

    def odd(staged: Staged) -> str:
        return "yes"

    def alone() -> Check:
        return Check(True, "it takes nothing")

    gate(GOLD, seen, later, alone, severity="critical")
    gate(GOLD, broken, odd, severity="minor")

    @task(outlets=[GOLD])
    async def make(ctx: Context) -> None:
        ctx.metrics(rows=42)

    @dag
    def gold() -> None:
        make()

    async with sim_runtime(dags=[gold]) as rt:
        assert (await (await rt.trigger("gold")).wait()).state == "success"
        [version] = await shown(rt)
    assert version.state == "degraded"
    said = {check.name: (check.passed, check.message) for check in version.checks}
    assert said == {
        "seen": (True, ""),
        "later": (True, ""),
        "alone": (True, ""),
        "broken": (False, "it raised OSError: no route"),
        "odd": (False, "it returned str, and a gate returns a Check or a bool"),
    }
    assert version.limits is not None
    assert len(version.limits.known_limitations) == 2


async def test_what_is_no_outlet_or_not_staged_is_refused_in_a_sentence() -> None:
    told: list[str] = []

    @task(outlets=[GOLD])
    async def make(ctx: Context) -> None:
        try:
            ctx.asset(SILVER)
        except UsageError as error:
            told.append(str(error))
        try:
            await ctx.asset(GOLD).validate()
        except BideError as error:
            told.append(str(error))

    @dag
    def gold() -> None:
        make()

    async with sim_runtime(dags=[gold]) as rt:
        assert (await (await rt.trigger("gold")).wait()).state == "success"
        assert [version.state for version in await shown(rt)] == ["published"]
    assert told == [
        "the task 'make' does not make 'silver': its outlets are gold",
        "nothing of 'gold' is staged: call stage() first",
    ]


async def test_s1_12_a_body_that_fails_after_it_staged_leaves_a_failed_version_and_the_retry_makes_another() -> (
    None
):
    @task(outlets=[GOLD], retries=1)
    async def make(ctx: Context) -> None:
        await ctx.asset(GOLD).stage(f"gold/{ctx.attempt}")
        if ctx.attempt == 1:
            raise OSError("no route")

    @dag
    def gold() -> None:
        make()

    async with sim_runtime(dags=[gold]) as rt:
        assert (await (await rt.trigger("gold")).wait()).state == "success"
        assert [(v.state, v.label) for v in await shown(rt)] == [
            ("failed", "gold/1"),
            ("published", "gold/2"),
        ]


async def test_s1_17_a_shadow_run_knows_that_it_is_one() -> None:
    told: list[bool] = []

    @task(outlets=[GOLD])
    async def make(ctx: Context) -> None:
        told.append(ctx.shadow)

    @dag
    def gold() -> None:
        make()

    async with sim_runtime(dags=[gold]) as rt:
        await (await rt.trigger("gold", shadow=True)).wait()
        await (await rt.trigger("gold")).wait()
        assert [(v.state, v.shadow) for v in await shown(rt)] == [("validated", True), ("published", False)]
    assert told == [True, False]


async def test_b40_the_gates_of_a_command_and_of_a_mapped_task() -> None:
    gate(GOLD, lambda staged: staged.asset == "gold", severity="critical")
    gate(SILVER, rows(min=1), severity="critical")

    @task(outlets=[SILVER])
    async def part(n: int) -> int:
        return n

    @dag
    def both() -> None:
        shell("cmd", "true", outlets=[GOLD])
        part.map(n=[1, 2])

    async with sim_runtime(dags=[both]) as rt:
        assert (await (await rt.trigger("both")).wait()).state == "success"
        assert [(v.state, v.checks[0].passed) for v in await shown(rt)] == [("published", True)]
        [whole] = await shown(rt, "silver")
    assert (whole.state, whole.held, whole.reason) == ("validated", True, "its gate rows has not been run")


async def test_s1_57_a_program_asks_whether_an_asset_may_be_used() -> None:
    @task(outlets=[GOLD])
    async def make() -> None: ...

    @dag
    def gold() -> None:
        make()

    async with sim_runtime(dags=[gold]) as rt:
        no = await rt.assets.may_use("gold", purpose="dashboard")
        await (await rt.trigger("gold")).wait()
        yes = await rt.assets.may_use("gold", purpose="dashboard")
    assert (no.allowed, no.level) == (False, "execution")
    assert (yes.allowed, yes.level, yes.id) == (True, "none", "2")
