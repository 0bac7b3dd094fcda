"""D11 for waits: who blocks the loop in a predicate, a third party's trigger or a callable is named."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Hashable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, Dag, Runtime, dag, task, triggers
from bide.runtime.service.holds import Held
from bide.runtime.triggerer.host import Host
from bide.sensors import PythonSensor, TimeSensor
from bide.triggers.base import Fire, NotYet, PollSource, Source, SourceWorld, Trigger, Verdict
from bide.triggers.python import PythonTrigger
from bide.triggers.time import TimeTrigger

BLOCK_S = 0.45


async def no() -> bool:
    return False


async def blocks_once() -> bool:
    await asyncio.sleep(0.05)
    if not blocked:
        blocked.append(time.monotonic())
        time.sleep(BLOCK_S)  # noqa: ASYNC251 - the fault that is to be found
    return False


blocked: list[float] = []


@dag
def thousand() -> None:
    for n in range(999):
        PythonSensor(f"fine_{n}", no, poll_interval=timedelta(minutes=5))
    PythonSensor("guilty", blocks_once, poll_interval=timedelta(minutes=5))


@dag
def slow_to_make() -> None:
    TimeSensor("made", at=lambda _facts: time.sleep(BLOCK_S))


class Judge(Trigger, frozen=True, tag="test_blocking_judge"):
    """A third party's, whose judgement blocks."""

    def source_key(self) -> Hashable:
        return "judge"

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        if memo is None:
            return NotYet("first", memo=1)
        time.sleep(BLOCK_S)
        return Fire(None)

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        return Seeing()


class Seeing(PollSource):
    floor_us = 10_000

    async def look(self, poll_key: Hashable, registrations: Any) -> Any:
        return 1


@task
async def judged(ctx: Context) -> None:
    await ctx.wait(Judge(), poll_interval=0.05, timeout=30)


@dag
def third_party() -> None:
    judged()


@pytest.fixture
async def heard(caplog: pytest.LogCaptureFixture) -> AsyncIterator[list[tuple[str, float]]]:
    """What the process's log was told of the loop, and when."""
    told: list[tuple[str, float]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append((record.getMessage(), time.monotonic()))

    handler = Handler()
    logger = logging.getLogger("bide.watchdog")
    logger.addHandler(handler)
    yield told
    logger.removeHandler(handler)


async def held(rt: Runtime) -> Held:
    async with asyncio.timeout(30):
        while not rt.held:
            await asyncio.sleep(0.02)
    return rt.held[-1]


async def test_d11_one_of_a_thousand_predicates_that_sleeps_is_named_while_it_does(
    tmp_path: Path, heard: list[tuple[str, float]]
) -> None:
    blocked.clear()
    async with Runtime(tmp_path / "bide.db", [thousand]) as rt:
        run = await rt.trigger(thousand)
        found = await held(rt)
        assert found.name == f"guilty of run {run.run_id}"
        assert "blocks_once" in found.where
        (message, at) = next(each for each in heard if "blocks_once" in each[0])
        assert message.startswith("wait:")
        assert at - blocked[0] < BLOCK_S  # named while it still blocks; 0.2 s and a loaded machine
        why = await rt.operations.why(run.run_id, "guilty")
        assert any(d.what == "held the loop" and "blocks_once" in d.value for d in why.details)
        assert not any(
            d.what == "held the loop" for d in (await rt.operations.why(run.run_id, "fine_7")).details
        )
        assert "time.sleep(BLOCK_S)" in (await rt.operations.logs(run.run_id, "guilty")).text
        checks = {check.name: check for check in (await rt.operations.doctor()).checks}
        assert "guilty of run" in checks["event loop"].found
        assert checks["live"].ok


@pytest.mark.parametrize(
    ("graph", "name"), [(slow_to_make, "made of run 1"), (third_party, "judged of run 1")]
)
async def test_d11_callables_and_judgements_of_third_parties_are_named(
    tmp_path: Path, graph: Dag, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(triggers._loaded, "test_blocking_judge", Judge)  # as its entry point would
    async with Runtime(tmp_path / "bide.db", [graph]) as rt:
        await rt.trigger(graph)
        assert (await held(rt)).name == name


async def test_without_a_watchdog_nothing_is_watched(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [slow_to_make], watchdog=False) as rt:
        await (await rt.trigger(slow_to_make)).wait(20)
        assert rt.held == ()


def test_triggers_of_ours_are_judged_without_a_word_to_the_watchdog() -> None:
    hosts = {kind: Host(None, "k", kind) for kind in (TimeTrigger, PythonTrigger, Judge)}  # type: ignore[arg-type]  # none is asked
    assert [hosts[kind].foreign for kind in (TimeTrigger, PythonTrigger, Judge)] == [False, True, True]
