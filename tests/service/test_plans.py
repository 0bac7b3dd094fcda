"""Rerun plans through every door: a runtime, the REST routes at a socket, the terminal, a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Asset, Context, Cron, Every, Runtime, dag, task
from bide.runtime.assets.rerun import from_file
from bide.runtime.clock import to_us
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from tests.cli.conftest import Bide, bide

__all__ = ["bide"]

DAY = "2026-06-15"
raw, gold = Asset("plans.raw"), Asset("plans.gold")
calls: list[str] = []


@task(outlets=[raw])
async def load() -> None:
    calls.append("load")


@task(outlets=[gold], inlets=[raw])
async def total(ctx: Context) -> None:
    rerun = ctx.rerun
    calls.append(f"total {dict(ctx.params)} {None if rerun is None else (rerun.modes, rerun.replaces)}")


@dag(
    schedule=Every(timedelta(days=1), anchor=datetime.fromisoformat("2026-06-01T00:00:00+00:00")),
    start="2100-01-01",
)
def raws() -> None:
    load()


@dag(
    schedule=Every(timedelta(days=1), anchor=datetime.fromisoformat("2026-06-01T00:00:00+00:00")),
    start="2100-01-01",
    params={"region": "all"},
)
def golds() -> None:
    total()


DAGS = [raws, golds]


async def made(rt: Runtime, **params: Any) -> str:
    """raw and gold of a day; then raw is found wrong. The number of that invalidation."""
    calls.clear()
    await (await rt.trigger("raws", logical_date=DAY)).wait(5)
    await (await rt.trigger("golds", logical_date=DAY, params=params)).wait(5)
    start = to_us(datetime.fromisoformat(f"{DAY}T00:00:00+00:00"))
    answer = await rt.command(
        "asset_invalidate",
        {
            "asset": "plans.raw",
            "start_us": start,
            "end_us": start + 1,
            "cause": "transform_bug",
            "reason": "wrong sums",
        },
    )
    return str(answer["invalidation_id"])


async def over(rt: Runtime, plan: str) -> Any:
    shown: Any = None
    for _ in range(1000):
        shown = await rt.operations.plans.show(plan)
        if shown.state not in ("proposed", "approved", "running"):
            return shown
        await asyncio.sleep(0.002)
    raise AssertionError(f"plan {plan} does not end: {shown.why}")


async def test_b44_a_plan_is_made_run_and_shown(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", dags=DAGS) as rt:
        number = await made(rt, region="north")
        plan = await rt.assets.plan(number)
        assert [(step.pipeline, step.params) for step in plan.steps] == [
            ("raws", {}),
            ("golds", {"region": "north"}),
        ]
        assert calls == ["load", "total {'region': 'north'} None"]
        calls.clear()
        answer = await rt.assets.run_plan(plan.id, plan.hash)
        assert (answer.started, answer.done) == (True, "plan 1 runs: `bide assets plans 1` shows its steps")
        shown = await over(rt, plan.id)
        assert (shown.state, shown.steps) == ("published", {"published": 2})
        told = ({"plans.gold": "stage_validate_replace"}, {"plans.gold": ("2",)})
        assert calls == ["load", f"total {{'region': 'north'}} {told}"]
        assert shown.why == "all that it made is seen, and what had left is corrected"
        assert shown.plan == plan
        why = await rt.operations.why(shown.lines[1].run_id)
        assert [(d.what, d.value) for d in why.details][-1] == (
            "rerun plan", "1, its step 2, which is published: see `bide assets plans 1`",
        )  # fmt: skip
        again = await rt.assets.run_plan(plan.id, plan.hash)
        assert (again.started, again.done) == (False, "plan 1 is published already: nothing was changed")
        assert len(calls) == 2
        assert (await rt.assets.plan(number)).steps == ()


@dag(schedule=Cron("0 2 * * *", tz="Europe/Berlin", interval="day"), start="2100-01-01", name="raws")
def berlin() -> None:
    load()


async def test_s1_37_dates_of_an_asset_are_those_of_the_dag_that_makes_it(tmp_path: Path) -> None:
    """A day of an asset that says no zone is the day that its DAG made, not two halves of it."""
    async with Runtime(tmp_path / "bide.db", dags=[berlin]) as rt:
        for day in ("2026-06-14", DAY, "2026-06-16"):
            await (await rt.trigger("raws", logical_date=day)).wait(5)
        [one] = (await rt.assets.blast(raw, DAY)).nodes
        assert one.interval.start == "2026-06-14T22:00:00Z"
        may = await rt.assets.may_use(raw, DAY, "a dashboard")
        assert [version.version for version in may.versions] == [one.version]
        assert (await rt.assets.invalidate(raw, interval=DAY, reason="twice", severity="minor")).wrong == 1


async def test_b42_b43_b44_what_is_asked_of_assets_takes_what_the_other_answers_hold(tmp_path: Path) -> None:
    """An asset or its name, a number or what has it, an interval in words or as it is handed."""
    async with Runtime(tmp_path / "bide.db", dags=DAGS) as rt:
        await rt.assets.plan(await made(rt))  # once it has spread
        assets = rt.assets
        [one] = (await assets.show(gold)).versions
        assert (await assets.show("plans.gold")).versions == (one,)
        assert (
            await assets.lineage(one)
            == await assets.lineage(int(one.version))
            == await assets.lineage(one.version)
        )
        no = await assets.may_use(gold, one.interval, "a dashboard")
        assert (no.allowed, no.reason) == (
            False,
            (await assets.may_use("plans.gold", DAY, "a dashboard")).reason,
        )
        assert len(await assets.decisions(gold)) == len(await assets.decisions("plans.gold")) >= 2
        asked = await assets.blast(gold, date.fromisoformat(DAY), effective=datetime(2100, 1, 1, tzinfo=UTC))
        assert asked.nodes == (await assets.blast("plans.gold", DAY, effective="2100-01-01")).nodes
        found = await assets.invalidate(
            gold, interval=(DAY, "2026-06-16"), reason="sums", severity="minor", by="ada"
        )
        assert (found.id, found.reason, found.severity, found.cause, found.by) == (
            "2", "sums", "minor", "source_correction", "ada",
        )  # fmt: skip
        for same in (found, 2, "2"):
            hit = await assets.blast(same)
            assert (hit.invalidation_id, hit) == ("2", await assets.blast(invalidation="2"))
        plan = await assets.plan(found)
        assert plan == await assets.plan(2)
        ran = await assets.run_plan(id=plan.id, hash=plan.hash)
        assert ran.started
        with pytest.raises(UsageError, match="None is no asset: give its name"):
            await assets.show(None)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="a blast radius of what"):
            await assets.blast(gold)


async def test_b44_a_plan_that_is_no_longer_what_is_to_be_done_is_refused(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", dags=DAGS) as rt:
        plan = await rt.operations.plans.make(await made(rt))
        await (await rt.trigger("raws", logical_date=DAY, new=True)).wait(5)
        with pytest.raises(RefusedError) as refused:
            await rt.operations.plans.run(plan.id, plan.hash)
        assert "raws@2026-06-15T00:00:00Z need not be run any more" in str(refused.value)
        [line] = await rt.operations.plans.listed()
        assert (line.state, line.total, line.steps) == ("proposed", 2, {})


async def test_b44_wrong_words_are_told(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", dags=DAGS) as rt:
        plans = rt.operations.plans
        with pytest.raises(NotFoundError, match="there is no invalidation 7"):
            await plans.make("7")
        with pytest.raises(UsageError, match="names no invalidation"):
            await plans.make("raw")
        with pytest.raises(NotFoundError, match="there is no plan 3"):
            await plans.show("3")
        with pytest.raises(NotFoundError, match="there is no plan 3"):
            await plans.run("3", "")
        with pytest.raises(UsageError, match="a limit of 0"):
            await plans.listed(0)


async def test_b44_over_the_socket_it_is_the_same(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    async with Runtime(db, dags=DAGS) as rt:
        listener = Listener(tmp_path / "s")
        client = ServiceClient(listener.path, db, timeout_s=20)

        async def there(ask: Callable[[Any], Any]) -> Any:
            return await asyncio.to_thread(lambda: asyncio.run(ask(client.plans)))

        async with serving(listener.socket, make_app(rt.operations, lambda: "")):
            number = await made(rt)
            looked = await there(lambda plans: plans.make(number, False))
            plan = await there(lambda plans: plans.make(number))
            assert (looked.id, plan.id, looked.hash) == ("", "1", plan.hash)
            assert await there(lambda plans: plans.listed()) == await rt.operations.plans.listed()
            assert await there(lambda plans: plans.show("1")) == await rt.operations.plans.show("1")
            with pytest.raises(RefusedError, match="and what was given has 0000"):
                await there(lambda plans: plans.run("1", "0000"))
            done = await there(lambda plans: plans.approve("1", plan.hash, "ada", "seen"))
            assert done.done == "plan 1 is approved by ada: seen"
            assert (await there(lambda plans: plans.run("1", plan.hash))).started
            assert (await over(rt, "1")).state == "published"
            other = await there(lambda plans: plans.make(number))
            cancelled = await there(lambda plans: plans.cancel(other.id, "nothing to do"))
            assert cancelled.done == "plan 2 is cancelled, and its runs with it"
            assert (await there(lambda plans: plans.show("2"))).why == "nothing to do"
        listener.close()


async def _left_wrong(db: Path) -> None:
    async with Runtime(db, dags=DAGS) as rt:
        await made(rt)


def test_b44_the_terminal_writes_a_plan_and_runs_it_from_its_file(tmp_path: Path, bide: Bide) -> None:
    db, file = str(tmp_path / "bide.db"), tmp_path / "plan.json"
    asyncio.run(_left_wrong(Path(db)))
    assert bide("assets", "plans", "--db", db).err.startswith("no plan is kept")
    dry = bide("assets", "plan", "1", "--dry-run", "--db", db)
    assert dry.out.splitlines()[0].startswith("plan (not kept) ")
    said = bide("assets", "plan", "1", "-o", str(file), "--db", db)
    assert said.out.splitlines()[-1] == f"run it exactly so: bide assets run-plan {file}"
    assert (
        "1. raws [load] for 2026-06-15T00:00:00Z to 2026-06-16T00:00:00Z: plans.raw by stage_validate_replace"
        in said.out
    )
    plan = from_file(file.read_bytes())
    assert msgspec.json.decode(bide("assets", "plan", "1", "--json", "--db", db).out)["hash"] == plan.hash
    unsigned = bide("assets", "run-plan", str(file), "--approve", "--db", db)
    assert (unsigned.code, "say it with `by` and `why`" in unsigned.err) == (2, True)
    done = bide("assets", "run-plan", str(file), "--approve", "--by", "ada", "--why", "sums", "--db", db)
    assert (done.code, done.out) == (0, "plan 1 runs: `bide assets plans 1` shows its steps\n")
    assert "start `bide serve`" in done.err
    shown = bide("assets", "plans", "1", "--db", db)
    assert "no runtime holds this database, so nothing of it moves" in shown.out
    assert "raws@2026-06-15T00:00:00Z" in shown.out
    asyncio.run(_taken_up(Path(db)))
    [line] = msgspec.json.decode(bide("assets", "plans", "--json", "--db", db).out)
    assert (line["state"], line["steps"]) == ("published", {"published": 2})
    assert "2 of 2" in bide("assets", "plans", "--db", db).out
    again = bide("assets", "run-plan", str(file), "--db", db)
    assert bide("assets", "run-plan", "1", plan.hash[:12], "--db", db) == again, (
        "by its number and hash as well"
    )
    unsaid = bide("assets", "run-plan", "1", "--db", db)
    assert unsaid.code == 2
    assert unsaid.err.startswith(
        "bide: which plan 1 is meant? say the hash of the one that was read: `bide assets plans 1`"
    )
    other = bide("assets", "run-plan", str(file), "0123456789ab", "--db", db)
    assert (other.code, other.err) == (
        4, f"bide: plan 1 is another one: its hash is {plan.hash[:12]}, and not 0123456789ab\n",
    )  # fmt: skip
    assert (again.code, again.out) == (0, "plan 1 is published already: nothing was changed\n")
    gone = bide("assets", "cancel-plan", "1", "--db", db)
    assert (gone.code, "is published already" in gone.err) == (4, True)


async def _taken_up(db: Path) -> None:
    """The next runtime goes on with a plan that was started meanwhile."""
    async with Runtime(db, dags=DAGS) as rt:
        assert (await over(rt, "1")).state == "published"


def test_b44_a_file_that_is_no_plan_is_told(tmp_path: Path, bide: Bide) -> None:
    file = tmp_path / "plan.json"
    missing = bide("assets", "run-plan", str(file))
    assert (missing.code, "cannot be read" in missing.err) == (2, True)
    file.write_text("{}")
    wrong = bide("assets", "run-plan", str(file))
    assert (wrong.code, "is no rerun plan" in wrong.err) == (2, True)
