"""How a wait within a body ended is known after a crash: the body that runs again is told the same."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, os, signal, sys
from bide import Context, Runtime, dag, task
from bide.runtime.errors import WaitBroken, WaitTimedOut
from bide.triggers import ExternalTaskTrigger, FileTrigger, TimeTrigger

TRIGGERS = {
    "fired": TimeTrigger(at_us=1),
    "timed_out": FileTrigger(path="/nonesuch/never"),
    "failed": ExternalTaskTrigger(dag="upstream", logical_us=1_750_000_000_000_000),
}

@task
async def waits(ctx: Context) -> list[str]:
    try:
        await ctx.wait(TRIGGERS[sys.argv[2]], timeout=0.2 if sys.argv[2] == "timed_out" else 20, name="w")
        end = "fired"
    except (WaitTimedOut, WaitBroken) as error:
        end = f"{type(error).__name__}: {error}"
    if ctx.attempt == 1:
        print(end, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return [end, str(ctx.attempt)]

@dag
def again() -> None:
    waits()

@dag
def upstream() -> None:
    @task
    async def fails() -> None:
        raise ValueError("no rows")
    fails()

async def main() -> None:
    async with Runtime(sys.argv[1], [again, upstream]) as runtime:
        if sys.argv[3] == "first":
            if sys.argv[2] == "failed":
                run = await runtime.trigger("upstream", logical_date="2025-06-15T15:06:40Z")
                await run.wait()
            run = await runtime.trigger("again")
            await run.wait()
        else:
            run_id = 2 if sys.argv[2] == "failed" else 1
            print(*(await runtime.wait(str(run_id), timeout=30)).outputs["waits"], flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("end", ["fired", "timed_out", "failed"])
def test_how_a_wait_ended_is_told_again_after_a_crash(tmp_path: Path, end: str) -> None:
    def run(which: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "b.db"), end, which],
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    first = run("first")
    assert first.returncode == -signal.SIGKILL
    assert run("second").stdout == f"{first.stdout.strip()} 2\n"
    with sqlite3.connect(tmp_path / "b.db") as conn:
        assert conn.execute("SELECT key, state FROM wait WHERE key <> ''").fetchall() == [("w", end)]
