"""One suite that every lane for Python bodies passes: a body's end means the same wherever it runs."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bide.runtime.engine.messages import AttemptEnded, StepDone
from bide.runtime.engine.states import AttemptState
from bide.runtime.executor.attempt import Attempt
from bide.runtime.executor.context import Context
from bide.runtime.executor.job import Job
from bide.runtime.graph.spec import Lane
from bide.runtime.values import redactor
from tests.executor import bodies
from tests.executor.desk import Desk

S = AttemptState
LANES = [Lane.ASYNC, Lane.THREAD, Lane.PROCESS]
pytestmark = pytest.mark.parametrize("lane", LANES)


def body(lane: Lane, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, or the same as an `async def`."""
    if lane is not Lane.ASYNC:
        return fn

    async def as_coroutine(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return as_coroutine


async def run(desk: Desk, lane: Lane, fn: Callable[..., Any], *args: Any, **options: Any) -> AttemptEnded:
    return await desk.run(body(lane, fn), *args, lane=lane, **options)


async def test_the_output_is_json(desk: Desk, lane: Lane) -> None:
    ended = await run(desk, lane, bodies.doubled, kwargs={"n": 4})
    assert (ended.state, ended.output) == (S.SUCCESS, b'{"n":8}')
    assert desk.executor.running == 0


async def test_an_attempt_that_has_ended_leaves_nothing_to_the_garbage_collector(
    desk: Desk, lane: Lane
) -> None:
    gc.collect()
    gc.disable()  # what is gone now went by itself
    try:
        for _ in range(3):
            await run(desk, lane, bodies.nothing)
            await run(desk, lane, bodies.facts, takes_context=True)
            await asyncio.sleep(0)
        left = [each for each in gc.get_objects() if isinstance(each, Attempt | Context | Job)]
        assert len(left) <= (2 if lane is Lane.THREAD else 0)  # a thread keeps the last one it ran
    finally:
        gc.enable()


async def test_a_body_that_wrote_nothing_has_no_log_file(desk: Desk, lane: Lane) -> None:
    ended = await run(desk, lane, bodies.nothing)
    assert (ended.state, ended.output) == (S.SUCCESS, None)
    assert not desk.logs.folder.exists()


async def test_a_failure_has_its_classes_one_line_and_its_patience(desk: Desk, lane: Lane) -> None:
    ended = await run(desk, lane, bodies.no_rows)
    assert ended.state is S.FAILED
    assert ended.failure is not None
    assert ended.failure.message == "NoRowsError: no rows at all"
    assert ended.failure.mro[:3] == (
        "tests.executor.bodies.NoRowsError",
        "builtins.LookupError",
        "builtins.Exception",
    )
    assert (ended.failure.final, ended.failure.retry_after_us) == (False, 1_500_000)
    log = desk.logs.read(1)
    assert 'raise NoRowsError("no rows' in log
    assert "runtime/executor" not in log


async def test_skip_and_fail_are_signals(desk: Desk, lane: Lane) -> None:
    skipped = await run(desk, lane, bodies.skips)
    assert skipped.failure is not None
    assert (skipped.state, skipped.failure.message) == (S.SKIPPED, "weekend")
    failed = await run(desk, lane, bodies.gives_up)
    assert failed.failure is not None
    assert (failed.state, failed.failure.message, failed.failure.final) == (S.FAILED, "wrong customer", True)


@pytest.mark.parametrize("fn", [bodies.exits, bodies.interrupts_itself])
async def test_an_exit_in_a_body_ends_the_body_alone(desk: Desk, lane: Lane, fn: Callable[..., Any]) -> None:
    ended = await run(desk, lane, fn)
    assert ended.state is S.FAILED
    assert (await run(desk, lane, bodies.answer)).output == b"42"


@pytest.mark.parametrize(("fn", "said"), [(bodies.not_json, "not JSON"), (bodies.too_much, "300,002 bytes")])
async def test_an_output_that_cannot_be_kept_fails_for_good(
    desk: Desk, lane: Lane, fn: Callable[..., Any], said: str
) -> None:
    ended = await run(desk, lane, fn)
    assert ended.failure is not None
    assert (ended.state, ended.failure.final) == (S.FAILED, True)
    assert said in ended.failure.message


async def test_the_context_knows_its_attempt(desk: Desk, lane: Lane) -> None:
    ended = await run(desk, lane, bodies.facts, takes_context=True, number=2)
    assert ended.output is not None, ended.failure
    assert msgspec.json.decode(ended.output) == [
        "daily", "load", "3", -1, 2, "2026-06-15 02:00:00+02:00",
        "2026-06-15T02:00:00+02:00/2026-06-16T02:00:00+02:00", "2026-06-16 02:00:00+02:00", {"size": 2},
        "daily/3/load/-1", "7:1", False,
    ]  # fmt: skip


async def test_the_log_is_the_attempts_own(desk: Desk, lane: Lane) -> None:
    await run(desk, lane, bodies.logs, takes_context=True)
    lines = [line.split(" ", 1)[1] for line in desk.logs.read(1).splitlines()]
    assert lines[:3] == ["INFO loading rows=3 where='a b'", "WARNING slow", "ERROR went on"]
    assert lines[-1] == "ERROR OSError: disk"


async def test_c18_secrets_are_masked_in_log_and_failure(
    desk: Desk, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redactor, "_values", {})
    monkeypatch.setenv("BIDE_TEST_PASSWORD", "hunter2-canary")
    ended = await run(desk, lane, bodies.leaks, takes_context=True)
    assert ended.failure is not None
    assert ended.failure.message == "RuntimeError: cannot connect with ***"
    assert "canary" not in desk.logs.read(1)


async def test_watermark_and_metrics_come_with_the_end(desk: Desk, lane: Lane) -> None:
    ended = await run(desk, lane, bodies.moves_the_watermark, takes_context=True, watermark=b'{"id":5}')
    assert ended.output == b'[{"id":5},{"id":8}]'
    assert (ended.watermark, ended.metrics) == (b'{"id":8}', b'{"rows":42,"seconds":1.5}')


async def test_a_metric_is_a_number(desk: Desk, lane: Lane) -> None:
    ended = await run(desk, lane, bodies.wrong_metric, takes_context=True)
    assert ended.failure is not None
    assert "a metric is a finite number" in ended.failure.message


async def test_d15_a_step_runs_once_and_goes_on_when_committed(desk: Desk, lane: Lane) -> None:
    fn = bodies.once_twice_async if lane is Lane.ASYNC else bodies.once_twice
    ended = await desk.run(fn, lane=lane, takes_context=True)
    assert ended.output == b"[7,7,1]"
    assert desk.of(StepDone) == [StepDone(1, "charge", b"7")]


async def test_d15_a_recorded_step_is_not_run_again(desk: Desk, lane: Lane) -> None:
    fn = bodies.once_twice_async if lane is Lane.ASYNC else bodies.once_twice
    ended = await desk.run(fn, lane=lane, takes_context=True, recorded_steps={"charge": b"9"})
    assert ended.output == b"[9,9,0]"
    assert desk.of(StepDone) == []


async def test_s0_10_a_body_of_a_superseded_attempt_never_begins(desk: Desk, lane: Lane) -> None:
    desk.fenced_off.add(1)
    attempt_id = desk.start(body(lane, bodies.logs), lane=lane, takes_context=True)
    task = desk.executor._live[attempt_id].task
    assert task is not None
    await task
    assert desk.posted == []
    assert desk.logs.read(attempt_id) == ""
