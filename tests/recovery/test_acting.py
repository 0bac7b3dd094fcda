"""What is committed is never decided again: an effect that fails takes no other with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bide import Runtime, dag, task
from bide.runtime.executor.context import Context
from bide.triggers import FileTrigger


@dag
def one() -> None:
    @task
    async def only() -> int:
        return 1

    only()


async def test_an_error_after_the_commit_does_not_decide_its_inputs_a_second_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Runtime(tmp_path / "b.db", [one]) as runtime:
        wrong = [RuntimeError("a listener's bug")]

        def listen(_: object) -> None:
            if wrong:
                raise wrong.pop()

        runtime._shell.listeners.append(listen)
        run = await runtime.trigger("one")
        assert (await run.wait(timeout=10)).ok
        assert len(await runtime.operations.runs()) == 1
    assert "a listener's bug" in caplog.text


@pytest.mark.parametrize("effect", ["start", "arm"])
async def test_an_effect_that_cannot_be_carried_out_ends_its_own_attempt_or_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effect: str
) -> None:
    @dag
    def two() -> None:
        @task
        async def waits(ctx: Context) -> Any:
            return await ctx.wait(FileTrigger(path=str(tmp_path / "never")))

        waits()

    async with Runtime(tmp_path / "b.db", [one, two]) as runtime:
        host = runtime._shell.executor if effect == "start" else runtime._shell.triggerer
        act, wrong = getattr(host, effect), [RuntimeError("cannot be carried out")]

        def fail_once(order: Any) -> None:
            if wrong:
                raise wrong.pop()
            act(order)

        monkeypatch.setattr(host, effect, fail_once)
        broken = await (await runtime.trigger("two")).wait(timeout=10)
        assert broken.tasks == {"waits": "failed"}
        assert (await (await runtime.trigger("one")).wait(timeout=10)).ok
