"""Mapped sensors and commands: one wait, or one command, for each item of a list."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bide import Dag, Runtime, TaskGraphBuilder, call, dag, shell, task, unmapped
from bide.runtime.errors import GraphError
from bide.sensors import (
    AssetSensor,
    ExternalTaskSensor,
    FileSensor,
    HttpSensor,
    PythonSensor,
    TimeSensor,
)
from bide.testing import FakeSource, SimClock, sim_runtime

AT_ONCE = timedelta(0)


@task
async def names() -> list[str]:
    return ["a.csv", "b.csv", "{interval.start}.csv"]


@task
async def gather(found: list[Any]) -> list[Any]:
    return found


def path_of(trigger: Any) -> str:
    return Path(trigger.path).name


# --- sensors ---------------------------------------------------------------------------------------


async def test_s0_25_b53_a_sensor_waits_once_for_each_item_and_holds_no_slot() -> None:
    drops = FakeSource()

    @dag
    def d() -> None:
        gather(FileSensor.partial("drop", timeout=timedelta(hours=2), count=1).map(path=names()))

    async with sim_runtime([d], fakes={"file": drops}, slots=1) as rt:
        run = await rt.trigger(d)
        await rt.clock.advance(timedelta(seconds=1))
        assert sorted(map(path_of, drops.waiting)) == ["a.csv", "b.csv", "{interval.start}.csv"], (
            "what a task returned is never read as a template"
        )
        assert rt.slots_in_use == 0
        assert sorted(str(wait.task) for wait in await rt.waits()) == ["drop[0]", "drop[1]", "drop[2]"]
        why = await rt.operations.why(run.run_id, "drop")
        assert why.why == "0 of its 3 instances have ended"
        assert {detail.what: detail.value for detail in why.details}["instances"] == "3 deferred"
        why = await rt.operations.why(run.run_id, "drop[1]")
        assert "b.csv" in why.why
        assert "holding no slot" in why.why
        drops.hold_true({"path": "b"}, lambda trigger: path_of(trigger) == "b.csv")
        await rt.settled()
        shown = {(t.task, t.map_index): t.state for t in (await rt.operations.show(run.run_id)).tasks}
        assert shown["drop", 1] == "success"
        assert shown["drop", -1] == "mapped"
        drops.hold_true({"path": "x"})
        result = await run.wait()
    assert result.state == "success"
    assert result.outputs["gather"] == [{"path": "x"}, {"path": "b"}, {"path": "x"}]


async def test_a_list_in_the_code_holds_templates_outputs_and_instants() -> None:
    drops = FakeSource()

    @task
    async def one() -> str:
        return "one{run_id}.csv"

    @dag
    def d() -> None:
        FileSensor.map(
            "drop",
            path=["{interval.start:%Y}.csv", one(), Path("p.csv")],
            newer_than=[datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 12), "2026-01-01T00:00"],
            marker="{run_id}.done",
        )

    async with sim_runtime([d], fakes={"file": drops}) as rt:
        await rt.trigger(d)
        await rt.clock.advance(timedelta(seconds=1))
        waiting = sorted(drops.waiting, key=lambda trigger: trigger.path)
    assert [path_of(each) for each in waiting] == ["2026.csv", "one{run_id}.csv", "p.csv"]
    midnight = datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6
    assert [each.newer_than_us - midnight for each in waiting] == [0, 12 * 3600 * 1e6, 0]
    assert {each.marker for each in waiting} == {"1.done"}


@pytest.mark.parametrize("mode", ["deferred", "reschedule", "poke"])
async def test_c32_each_instance_times_out_by_itself_in_every_mode(mode: str) -> None:
    drops = FakeSource()
    drops.hold_true("there", lambda trigger: path_of(trigger) == "a.csv")

    @dag
    def d() -> None:
        FileSensor.partial(
            "drop", mode=mode, timeout=timedelta(minutes=10), poll_interval=timedelta(minutes=1)
        ).map(path=["a.csv", "b.csv", "c.csv"])

    async with sim_runtime([d], fakes={"file": drops}) as rt:
        run = await rt.trigger(d)
        await rt.clock.advance(timedelta(minutes=11))
        result = await run.wait()
        lines = {t.map_index: (t.state, t.reason) for t in (await rt.operations.show(run.run_id)).tasks}
    assert result.state == "failed"
    assert lines[0][0] == "success"
    assert lines[-1] == ("failed", "2 of 3 instances failed")
    assert [lines[n][0] for n in (1, 2)] == ["failed", "failed"]
    assert all("timed out waiting" in lines[n][1] for n in (1, 2))


async def test_soft_fail_skips_the_instances_that_are_not_there() -> None:
    drops = FakeSource()
    drops.hold_true("there", lambda trigger: path_of(trigger) == "a.csv")

    @dag
    def d() -> None:
        gather(FileSensor.partial("drop", timeout=timedelta(hours=1), soft_fail=True).map(path=names()))

    async with sim_runtime([d], fakes={"file": drops}) as rt:
        run = await rt.trigger(d)
        await rt.clock.advance(timedelta(hours=2))
        result = await run.wait()
    assert result.state == "success"
    assert result.outputs["gather"] == ["there", None, None]


async def test_c9_a_restart_keeps_each_wait_and_its_deadline(tmp_path: Path) -> None:
    clock, drops = SimClock("2026-01-01T00:00"), FakeSource()

    @dag
    def d() -> None:
        gather(FileSensor.partial("drop", timeout=timedelta(hours=2)).map(path=names()))

    async with sim_runtime([d], clock=clock, db=tmp_path / "b.db", fakes={"file": drops}) as rt:
        run = await rt.trigger(d)
        await rt.clock.advance(timedelta(seconds=1))
        before = {wait.id: (wait.task, wait.deadline) for wait in await rt.waits()}
        drops.fire(1, lambda trigger: path_of(trigger) == "a.csv")
        await rt.settled()
        await rt.clock.advance(timedelta(minutes=30))
    drops = FakeSource()
    async with sim_runtime([d], clock=clock, db=tmp_path / "b.db", fakes={"file": drops}) as rt:
        await rt.clock.advance(timedelta(seconds=1))
        after = {wait.id: (wait.task, wait.deadline) for wait in await rt.waits()}
        assert after == {key: value for key, value in before.items() if value[0] != "drop[0]"}
        assert len(drops.waiting) == 2
        drops.hold_true(2)
        result = await rt.wait(run.run_id)
    assert result.outputs["gather"] == [1, 2, 2]


async def test_a_restart_in_the_middle_of_building_goes_on(tmp_path: Path) -> None:
    """Instances whose triggers were not built yet find their items in the run."""
    clock, drops = SimClock("2026-01-01T00:00"), FakeSource()

    @dag
    def d() -> None:
        gather(FileSensor.map("drop", path=names()))

    async with sim_runtime([d], clock=clock, db=tmp_path / "b.db", fakes={"file": drops}) as rt:
        run = await rt.trigger(d)
        await rt.operations.pause("d")
        await rt.settled()
    async with sim_runtime([d], clock=clock, db=tmp_path / "b.db", fakes={"file": drops}) as rt:
        await rt.operations.unpause("d")
        await rt.settled()
        assert len(drops.waiting) == 3
        drops.hold_true(2)
        assert (await rt.wait(run.run_id)).outputs["gather"] == [2, 2, 2]


async def test_an_instance_of_a_sensor_is_rerun_by_its_index() -> None:
    drops = FakeSource()
    drops.hold_true("there", lambda trigger: path_of(trigger) != "b.csv")

    @dag
    def d() -> None:
        gather(FileSensor.partial("drop", timeout=timedelta(hours=1)).map(path=names()))

    async with sim_runtime([d], fakes={"file": drops}) as rt:
        run = await rt.trigger(d)
        await rt.clock.advance(timedelta(hours=2))
        assert (await run.wait()).state == "failed"
        await rt.operations.rerun(run.run_id, "drop[1]", downstream=True)
        await rt.settled()
        assert [wait.task for wait in await rt.waits()] == ["drop[1]"]
        drops.hold_true("late")
        result = await run.wait()
    assert result.outputs["gather"] == ["there", "late", "there"]


async def test_predicates_and_times_are_mapped() -> None:
    @dag
    def d() -> None:
        found = PythonSensor.partial("ready", lambda n, at: n * at).map(
            kwargs=[{"n": 1, "at": 2}, {"n": 2, "at": 3}]
        )
        hours = TimeSensor.map("hour", at=["06:00", "07:00"])
        gather([found, hours])

    async with sim_runtime([d]) as rt:
        run = await rt.trigger(d, logical_date="2026-01-01")
        await rt.clock.advance(timedelta(days=1))
        result = await run.wait()
    assert result.outputs["gather"] == [
        [2, 6], [{"at": "2026-01-01T06:00:00+00:00"}, {"at": "2026-01-01T07:00:00+00:00"}],
    ]  # fmt: skip


async def test_an_external_wait_for_each_date(tmp_path: Path) -> None:
    @task
    async def load() -> int:
        return 1

    @dag(max_active_runs=4)
    def other() -> None:
        load()

    @dag
    def d() -> None:
        ExternalTaskSensor.partial("others", dag=other, timeout=timedelta(hours=1)).map(
            at=["2026-01-01T00:00", "2026-01-02T00:00"]
        )

    async with sim_runtime([d, other]) as rt:
        run = await rt.trigger(d)
        for day in ("2026-01-01", "2026-01-02"):
            assert (await rt.operations.show(run.run_id)).state == "running"
            await (await rt.trigger(other, logical_date=day)).wait()
            await rt.settled()
        assert (await run.wait()).state == "success"


# --- commands --------------------------------------------------------------------------------------


async def test_a_command_runs_once_for_each_item_with_the_item_in_its_environment(tmp_path: Path) -> None:
    out = tmp_path / "out"

    @task
    async def files() -> list[str]:
        return ["a b", "$(rm -rf x); {run_id}"]

    @dag(params={"day": "monday"})
    def d() -> None:
        shell.partial(
            "load", f'echo "$FILE-$N-$DAY-$HOW" >> {out}', env={"DAY": "{params.day}"}, max_active=1
        ).map(env={"FILE": files(), "N": [1, {"a": [2]}], "HOW": unmapped("it is")})
        shell.map("say", "exit $N", env={"N": ["{map_index}", 3]}, retries=0)

    async with Runtime(tmp_path / "b.db", [d], slots=2) as rt:
        run = await rt.trigger(d)
        result = await run.wait(20)
        lines = {(t.task, t.map_index): t.state for t in (await run.show()).tasks}
    assert out.read_text().splitlines() == [
        "a b-1-monday-it is",
        '$(rm -rf x); {run_id}-{"a":[2]}-monday-it is',
    ]
    assert result.tasks == {"files": "success", "load": "success", "say": "failed"}
    assert (lines["say", 0], lines["say", 1]) == ("success", "failed")


# --- declaring -------------------------------------------------------------------------------------


def test_a_call_of_map_stands_in_a_built_graph() -> None:
    listed = call(names)
    waited = call(FileSensor.map, "drop", path=listed)
    loaded = call(shell.map, "load", 'cat "$F"', env={"F": listed}).options(retries=2)
    built: Dag = (
        TaskGraphBuilder("d")
        .add(listed)
        .add(waited, depends_on=[listed])
        .add(loaded, depends_on=[waited])
        .build()
    )
    by_name = {each.name: each for each in built.spec.tasks}
    assert by_name["drop"].map is not None
    assert by_name["drop"].upstream == ("names",)
    assert by_name["load"].retries == 2
    assert set(by_name["load"].upstream) == {"names", "drop"}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (lambda: FileSensor.map("w", path="a.csv"), "the sensor 'w' is mapped over nothing: give map() a list"),
        (lambda: FileSensor.partial("w", path="a").map(path=["b"]), "the sensor 'w' is given 'path' both by partial() and by map()"),
        (lambda: FileSensor.map("w", path=["a", "b"], marker=["*"]), "path has 2, marker has 1 items"),
        (lambda: FileSensor.map("w", path=["a"] * 3, max_map=2), "would become 3 instances, and the limit is 2: raise the limit with max_map=3"),
        (lambda: FileSensor.map("w", count=[1, 2]), "the sensor 'w': count cannot be mapped: what can be mapped is path, glob"),
        (lambda: FileSensor.map("w", path=["{nope}"]), "names 'nope'"),
        (lambda: FileSensor.map("w", path=[""]), "must name a file"),
        (lambda: FileSensor.map("w", paht=["a"]), "paht cannot be mapped"),
        (lambda: HttpSensor.map("w", url=["http://a/"], fail_on=[404]), "fail_on cannot be mapped: what can be mapped is url, headers, body, contains, equals, auth, ca; unmapped(...) gives"),
        (lambda: AssetSensor.map("w", asset=["a"]), "asset cannot be mapped"),
        (lambda: shell.map("c", "ls", env={"A": "a"}), "the command 'c' is mapped over nothing"),
        (lambda: shell.partial("c", "ls", env={"A": "a"}).map(env={"A": ["b"]}), "the command 'c' is given 'A' both"),
        (lambda: shell.map("c", "ls", env={"A": ["{nope}"]}), "names 'nope'"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_told_where_it_is_written(declared: Any, said: str) -> None:
    with pytest.raises(GraphError, match=re.escape(said)):

        @dag
        def d() -> None:
            declared()


def test_a_list_that_is_not_mapped_goes_whole() -> None:
    @dag
    def d() -> None:
        HttpSensor.map("w", url=["http://a/", "http://b/"], fail_on=unmapped([404, 410]), outlets=["x", "y"])

    [each] = d.spec.tasks
    assert each.map is not None
    assert each.map.over == ("url",)
    assert each.sensor is not None
    assert each.sensor.params["fail_on"] == [404, 410]
    assert each.outlets == ("x", "y")


# --- many ------------------------------------------------------------------------------------------


async def test_c71_ten_thousand_mapped_sensors_are_armed_without_a_stall(tmp_path: Path) -> None:
    """One row a wait, no slot; no more than a slice of them is built in one go."""
    n = 10_000
    (tmp_path / "in").mkdir()

    @dag
    def d() -> None:
        FileSensor.map("drop", path=[f"{tmp_path}/in/{place}" for place in range(n)])

    armed: list[int] = [0]
    async with Runtime(tmp_path / "b.db", [d], slots=1) as rt:
        run = await rt.trigger(d)
        async with asyncio.timeout(60):
            while rt.armed < n:
                await asyncio.sleep(0)  # each turn of the loop
                armed.append(rt.armed)
        assert rt.slots_in_use == 0
        why = await rt.operations.why(run.run_id, "drop")
        assert why.why == f"0 of its {n:,} instances have ended"
        await run.cancel()
        assert rt.armed == 0
    assert max(after - before for before, after in pairwise(armed)) <= n // 10
