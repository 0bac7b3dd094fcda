"""Poison: an input that cannot be decided or committed is rejected alone; everything else goes on."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, Runtime, SkipTask, dag, task
from bide.runtime.engine import commands, shell
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import AttemptEnded
from bide.runtime.engine.session import command_session
from bide.runtime.engine.states import AttemptState
from bide.runtime.errors import PayloadError, RefusedError, UsageError, WaitBroken
from bide.runtime.store.answers import answer_to
from bide.runtime.store.failure import BatchRejected
from bide.runtime.store.writer import Writer
from bide.sensors import ExternalTaskSensor, FileSensor
from bide.triggers import FileTrigger

gate = asyncio.Event()


@task
async def held(ctx: Context) -> str:
    await gate.wait()
    event = await ctx.wait(FileTrigger(path=ctx.params["path"], settle_us=0))
    return f"woken by {event['size']} bytes"


@task
async def after(said: str) -> str:
    return said.upper()


@dag(params={"path": ""}, max_active_runs=10)
def holding() -> None:
    after(held())


@pytest.fixture(autouse=True)
def closed_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "gate", asyncio.Event())


def journal(db: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(db) as conn:
        return conn.execute("SELECT now, reason FROM event WHERE subject = 'input'").fetchall()


async def test_a_bug_in_a_command_is_its_own_answer_and_running_attempts_survive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(t: Any, args: Any) -> Any:
        t.world.runs.clear()  # what it did before it broke must leave no trace
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(commands.VERBS, "break", broken)
    drop = tmp_path / "drop"
    async with Runtime(tmp_path / "bide.db", [holding], slots=2) as runtime:
        run = await runtime.trigger("holding", params={"path": str(drop)})
        with pytest.raises(RefusedError, match="a bug"):
            await runtime.command("break", {})
        assert runtime.slots_in_use == 1
        gate.set()
        drop.write_text("xyz")
        assert (await run.wait(10)).outputs["after"] == "WOKEN BY 3 BYTES"
        assert runtime.slots_in_use == 0
    assert [now for now, _ in journal(tmp_path / "bide.db")] == ["rejected"]


async def test_a_batch_that_breaks_a_constraint_is_decided_again_without_its_culprit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands in one batch, one of which no commit takes: the other one lands."""
    commit = Writer.commit

    async def picky(self: Writer, changes: Changes, batch: int) -> None:
        if any('"path":"poison"' in row[10] for row in changes.runs_new):
            raise BatchRejected("runs_new", "CHECK", "no poison here")
        await commit(self, changes, batch)

    monkeypatch.setattr(Writer, "commit", picky)
    drop = tmp_path / "drop"
    drop.write_text("xy")
    async with Runtime(tmp_path / "bide.db", [holding], slots=2) as runtime:
        before = await runtime.trigger("holding", params={"path": str(drop)})
        good, bad = await asyncio.gather(
            runtime.trigger("holding", params={"path": str(drop)}),
            runtime.trigger("holding", params={"path": "poison"}),
            return_exceptions=True,
        )
        assert isinstance(bad, RefusedError)
        assert not isinstance(good, BaseException)
        gate.set()
        assert (await before.wait(10)).state == "success"
        assert (await good.wait(10)).state == "success"
    with sqlite3.connect(tmp_path / "bide.db") as conn:
        assert conn.execute("SELECT count(*) FROM run").fetchone() == (2,)


async def test_an_end_that_comes_twice_counts_once(tmp_path: Path) -> None:
    """C1: a stale end of an attempt is known by its number, and changes nothing."""
    drop = tmp_path / "drop"
    drop.write_text("x")
    gate.set()
    async with Runtime(tmp_path / "bide.db", [holding], slots=2) as runtime:
        run = await runtime.trigger("holding", params={"path": str(drop)})
        result = await run.wait(10)
        runtime._engine.post(AttemptEnded(1, AttemptState.FAILED))
        await runtime.settled()
        assert (await run.wait(1)) == result


@task
async def gives() -> str:
    return "a poisoned output"


@task
async def steps(ctx: Context) -> str:
    first: str = await ctx.once("first", lambda: "a poisoned step")
    return f"never told: {first}"


@task
async def asks(ctx: Context) -> str:
    try:
        await ctx.wait(FileTrigger(path="/nowhere/poisoned"))
    except WaitBroken as error:
        return str(error).replace("poisoned", "that")
    return "never"


@task
async def bystander() -> str:
    await gate.wait()
    return "fine"


@dag(params={"drop": ""})
def poisoned() -> None:
    gives()
    steps()
    asks()
    FileSensor("sensor", path="/nowhere/poisoned")
    FileSensor("fires", path="{params[drop]}", settle=timedelta(0))
    bystander()


@dag
def beside() -> None:
    ExternalTaskSensor("looks", dag="poison")
    bystander()


@dag
def poison() -> None:
    bystander()


async def test_what_is_refused_ends_what_it_was_about_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No body is left without an answer, no sensor is built again and again, no slot is kept."""
    commit = Writer.commit

    async def picky(self: Writer, changes: Changes, batch: int) -> None:
        rows = (*changes.outputs, *changes.steps, *changes.waits_new)
        events = [row[4] for row in changes.waits_set.values()]
        if any("poisoned" in str(row) for row in rows) or any("toxic" in str(event) for event in events):
            raise BatchRejected("any", "CHECK", "no poison here")
        await commit(self, changes, batch)

    monkeypatch.setattr(Writer, "commit", picky)
    drop = tmp_path / "toxic.csv"
    async with Runtime(tmp_path / "bide.db", [poisoned], slots=8) as runtime:
        run = await runtime.trigger("poisoned", params={"drop": str(drop)})
        gate.set()
        drop.write_text("x")
        result = await run.wait(10)
        told = {"success": {"asks", "bystander"}, "failed": {"gives", "steps", "sensor", "fires"}}
        found = {state: {task for task, is_in in result.tasks.items() if is_in == state} for state in told}
        shown = {line.task: line.reason for line in (await run.show()).tasks}
        assert found == told, shown
        assert "no poison here" in result.outputs["asks"]
        assert "no poison here" in (await runtime.operations.why(run.run_id, "sensor")).why
        assert runtime.slots_in_use == 0


# --- text that is no Unicode: a file name whose bytes are not UTF-8 ---------------------------------

ODD = os.fsdecode(b"caf\xe9.csv")


@task(retries=1, retry_delay=timedelta(0))
async def cannot_read() -> None:
    raise ValueError(f"cannot read {ODD}")


@task
async def skips() -> None:
    raise SkipTask(f"nothing in {ODD}")


@task
async def odd_output() -> str:
    return ODD


@task
async def odd_names(ctx: Context) -> list[str]:
    told = []
    for use in (
        lambda: ctx.once(ODD, lambda: 1),
        lambda: ctx.wait(FileTrigger(path="/nowhere"), name=ODD),
        lambda: ctx.wait(FileTrigger(path=ODD)),
    ):
        with pytest.raises(UsageError) as refused:
            await use()
        told.append(str(refused.value))
    with pytest.raises(UsageError):
        ctx.metrics(**{ODD: 1})
    return told


@task(isolate=True)
def apart(ctx: Context) -> None:
    ctx.log.info(ODD)
    raise ValueError(f"cannot read {ODD}")


@dag
def odd() -> None:
    cannot_read()
    skips()
    odd_output()
    odd_names()
    apart()


async def test_text_that_is_no_unicode_is_spelled_out_in_reasons(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [odd]) as runtime:
        run = await runtime.trigger("odd")
        result = await run.wait(20)
        shown = {line.task: line for line in (await run.show()).tasks}
        assert shown["cannot_read"].reason == r"ValueError: cannot read caf\udce9.csv"
        assert shown["cannot_read"].attempts == 2  # its retries are spent
        assert shown["skips"].reason == r"nothing in caf\udce9.csv"
        assert shown["apart"].reason == r"ValueError: cannot read caf\udce9.csv"
        assert "the output holds text that is no Unicode" in shown["odd_output"].reason
        assert result.tasks["odd_names"] == "success", shown["odd_names"].reason
    assert journal(tmp_path / "bide.db") == []


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("trigger", {"dag": "holding", "params": {"path": ODD}}),
        ("trigger", {"dag": "holding", "params": {}, "key": ODD}),
        ("trigger", {"dag": "holding", "params": {}, "reason": ODD}),
        ("trigger", {"dag": ODD, "params": {}}),
        ("pause", {"dag": "holding", "reason": ODD}),
        ("wait_satisfy", {"wait_id": 1, "event": {"name": ODD}}),
        ("wait_fail", {"wait_id": 1, "reason": ODD}),
    ],
)
async def test_a_command_with_text_that_is_no_unicode_is_refused_before_anything_is_decided(
    tmp_path: Path, verb: str, args: dict[str, Any]
) -> None:
    async with Runtime(tmp_path / "bide.db", [holding]) as runtime:
        gate.set()
        run = await runtime.trigger("holding", params={"path": str(tmp_path / "drop")})
        await runtime.settled()
        with pytest.raises(PayloadError, match="holds text that is no Unicode"):
            await runtime.command(verb, args)
        (tmp_path / "drop").write_text("x")
        assert (await run.wait(10)).state == "success"
    assert journal(tmp_path / "bide.db") == []
    with pytest.raises(PayloadError, match="holds text that is no Unicode"):
        await command_session(tmp_path / "bide.db", verb, args)


# --- questions to the database, between two batches -------------------------------------------------


async def test_a_question_that_cannot_be_answered_costs_the_input_that_asked_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def picky(conn: sqlite3.Connection, key: Any) -> Any:
        if "poison" in str(key):
            raise ZeroDivisionError("no answer to this")
        return answer_to(conn, key)

    monkeypatch.setattr(shell, "answer_to", picky)
    drop = tmp_path / "drop"
    drop.write_text("x")
    async with Runtime(tmp_path / "bide.db", [holding, beside, poison], slots=2) as runtime:
        waits = await runtime.trigger("beside")
        good, bad, other = await asyncio.gather(
            runtime.trigger("holding", params={"path": str(drop)}, key="good"),
            runtime.trigger("holding", params={"path": str(drop)}, key="poison"),
            runtime.trigger("holding", params={"path": str(drop)}, key="other"),
            return_exceptions=True,
        )
        assert isinstance(bad, RefusedError)
        assert "no answer to this" in str(bad)
        gate.set()
        assert not isinstance(good, BaseException)
        assert not isinstance(other, BaseException)
        assert (await good.wait(10)).state == (await other.wait(10)).state == "success"
        result = await waits.wait(10)
        assert result.tasks == {"looks": "failed", "bystander": "success"}
        shown = {line.task: line.reason for line in (await waits.show()).tasks}
        assert "no answer to this" in shown["looks"]
    assert [now for now, _ in journal(tmp_path / "bide.db")] == ["rejected"]


# --- what bodies keep over a batch that was refused -------------------------------------------------


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runtime], Awaitable[None]]:
    """Has the runtime refuse a batch, and so restore its world."""

    def broken(t: Any, args: Any) -> Any:
        t.world.waits.clear()
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(commands.VERBS, "break", broken)

    async def refuse(runtime: Runtime) -> None:
        with pytest.raises(RefusedError, match="a bug"):
            await runtime.command("break", {})

    return refuse


@task
async def two_waits(ctx: Context) -> list[Any]:
    ends = await asyncio.gather(
        ctx.wait(FileTrigger(path="/nowhere/a"), name="a"),
        ctx.wait(FileTrigger(path="/nowhere/b"), name="b"),
        return_exceptions=True,
    )
    return [ends[0], str(ends[1]), await ctx.wait(FileTrigger(path="/nowhere/c"), name="c")]


@dag
def answered() -> None:
    two_waits()


@dag
def busy() -> None:
    bystander()


@pytest.mark.parametrize("how_often", [1, 2])
async def test_an_answer_that_waits_for_a_slot_outlives_a_refused_batch(
    tmp_path: Path, refuse: Callable[[Runtime], Awaitable[None]], how_often: int
) -> None:
    async with Runtime(tmp_path / "bide.db", [answered, busy], slots=1) as runtime:
        run = await runtime.trigger("answered")
        await runtime.settled()
        other = await runtime.trigger("busy")
        await runtime.settled()
        await runtime.command("wait_satisfy", {"wait_id": 1, "event": 7})
        await runtime.command("wait_fail", {"wait_id": 2, "reason": "no more"})
        for _ in range(how_often):
            await refuse(runtime)
        gate.set()
        await other.wait(10)
        await runtime.settled()
        async with asyncio.timeout(10):
            while not (open_waits := await runtime.waits()):
                await asyncio.sleep(0)
        await runtime.command("wait_satisfy", {"wait_id": int(open_waits[0].id), "event": 9})
        fired, failed, third = (await run.wait(10)).outputs["two_waits"]
        assert (fired, third) == (7, 9)
        assert "no more" in failed
        assert runtime.slots_in_use == 0


begun, go_on = threading.Event(), threading.Event()
at_once: list[int] = []


@task(idempotent=False)
def thread() -> None:
    at_once.append(len([each for each in threading.enumerate() if each.name == "a body"]) + 1)
    threading.current_thread().name = "a body"
    begun.set()
    go_on.wait(10)
    threading.current_thread().name = "done"


@dag
def stubborn() -> None:
    thread()


async def test_a_body_that_outlives_its_run_keeps_its_slot_over_a_refused_batch(
    tmp_path: Path, refuse: Callable[[Runtime], Awaitable[None]]
) -> None:
    """P5: its rerun does not begin beside it."""
    go_on.clear()
    begun.clear()
    at_once.clear()
    async with Runtime(tmp_path / "bide.db", [stubborn], slots=2) as runtime:
        run = await runtime.trigger("stubborn")
        assert await asyncio.to_thread(begun.wait, 10)
        await runtime.command("cancel", {"run_id": 1})
        await refuse(runtime)
        await refuse(runtime)
        assert runtime.slots_in_use == 1
        await runtime.command("rerun", {"run_id": 1, "whole": True})
        await runtime.settled()
        assert [line.reason for line in (await run.show()).tasks] == [
            "its former attempt has not stopped yet"
        ]
        await refuse(runtime)
        assert runtime.slots_in_use == 1
        go_on.set()
        assert (await run.wait(10)).state == "success"
        assert runtime.slots_in_use == 0
    assert at_once == [1, 1]


async def test_a_runtime_that_drains_starts_nothing_after_a_refused_batch(
    tmp_path: Path, refuse: Callable[[Runtime], Awaitable[None]]
) -> None:
    async with Runtime(tmp_path / "bide.db", [busy, timed], slots=1) as runtime:
        first = await runtime.trigger("timed")
        second = await runtime.trigger("busy")
        draining = asyncio.create_task(runtime.drain(10))
        await asyncio.sleep(0)
        await refuse(runtime)
        gate.set()
        assert (await first.wait(10)).state == "success"
        await draining
        await runtime.settled()
        assert [line.state for line in (await second.show()).tasks] == ["ready"]


@task(timeout=timedelta(minutes=5))
async def limited() -> None:
    await gate.wait()


@dag
def timed() -> None:
    limited()


async def test_a_time_out_does_not_start_anew_at_a_refused_batch(
    tmp_path: Path, refuse: Callable[[Runtime], Awaitable[None]]
) -> None:
    async with Runtime(tmp_path / "bide.db", [timed]) as runtime:
        run = await runtime.trigger("timed")
        await runtime.settled()
        (before,) = [each.limit for each in runtime._engine.world.attempts.values()]
        await refuse(runtime)
        await refuse(runtime)
        assert [each.limit for each in runtime._engine.world.attempts.values()] == [before]
        gate.set()
        assert (await run.wait(10)).state == "success"


tries: list[int] = []


@task(retries=2, retry_on=OSError, retry_delay=timedelta(0))
async def fails_once(ctx: Context) -> str:
    tries.append(ctx.attempt)
    if ctx.attempt == 1:
        raise FileNotFoundError("a toxic reason")
    return "well"


@dag
def retried() -> None:
    fails_once()


async def test_a_failure_that_is_refused_is_retried_as_it_would_have_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Writer.commit

    async def picky(self: Writer, changes: Changes, batch: int) -> None:
        if any("toxic" in str(row[3]) for row in changes.attempts_set.values()):
            raise BatchRejected("attempts_set", "CHECK", "no poison here")
        await commit(self, changes, batch)

    monkeypatch.setattr(Writer, "commit", picky)
    tries.clear()
    async with Runtime(tmp_path / "bide.db", [retried]) as runtime:
        run = await runtime.trigger("retried")
        assert (await run.wait(10)).outputs == {"fails_once": "well"}
    assert tries == [1, 2]
