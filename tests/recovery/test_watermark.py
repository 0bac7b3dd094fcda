"""S3-50, S3-51 for real: killed between the effect and the commit, a batch begins at the same offset."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from bide import Context, Runtime, dag, task

TABLE = Path(sys.argv[2])

@task
async def batch(ctx: Context) -> list[int]:
    offset = ctx.watermark or 0
    for at in range(offset, offset + 10):
        (TABLE / str(at)).write_text(f"{ctx.run_id}:{ctx.attempt}")
    ctx.watermark = offset + 10
    if ctx.run_id == "2" and ctx.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return [offset, ctx.attempt]

@dag
def feed() -> None:
    batch()

async def main() -> None:
    async with Runtime(sys.argv[1], [feed]) as runtime:
        if sys.argv[3] == "first":
            await (await runtime.trigger("feed")).wait()
            await (await runtime.trigger("feed")).wait()
        print(*(await runtime.wait("2", timeout=30)).outputs["batch"], flush=True)
        print(*(await (await runtime.trigger("feed")).wait()).outputs["batch"], flush=True)

asyncio.run(main())
"""


def test_s3_50_s3_51_killed_after_its_effect_a_batch_begins_at_the_same_offset(tmp_path: Path) -> None:
    table = tmp_path / "table"
    table.mkdir()

    def run(which: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "b.db"), str(table), which],
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert run("first").returncode == -signal.SIGKILL
    with sqlite3.connect(tmp_path / "b.db") as conn:
        assert conn.execute("SELECT value FROM watermark").fetchall() == [("10",)]
    assert (table / "19").read_text() == "2:1"
    assert run("second").stdout == "10 2\n20 1\n"
    assert sorted(int(file.name) for file in table.iterdir()) == list(range(30))
    assert (table / "10").read_text() == "2:2"
