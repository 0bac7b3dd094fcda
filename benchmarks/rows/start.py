"""From nothing: `import bide`, `bide --version`, a script of three tasks, and `bide run` of the same file."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.measure import quantile, scratch

SCRIPT = """
import asyncio
import sys

from bide import Runtime, dag, task


@task
async def one() -> int:
    return 1


@task
async def two(n: int) -> int:
    return n + 1


@task
async def three(n: int) -> int:
    return n + 1


@dag
def steps() -> None:
    three(two(one()))


async def main() -> None:
    async with Runtime(db=sys.argv[1], dags=[steps]) as rt:
        run = await rt.trigger(steps)
        assert (await run.wait()).state == "success"


if __name__ == "__main__":
    asyncio.run(main())
"""
TIMES = 5


def wall_s(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


async def cold() -> dict[str, float]:
    with scratch() as folder:
        script = folder / "steps.py"
        script.write_text(SCRIPT)
        run = [sys.executable, "-m", "bide", "run", f"{script}:steps", "--db"]
        imports = [wall_s([sys.executable, "-c", "import bide"]) for _ in range(TIMES)]
        versions = [wall_s([sys.executable, "-m", "bide", "--version"]) for _ in range(TIMES)]
        scripts = [wall_s([sys.executable, str(script), str(folder / f"s{n}.db")]) for n in range(TIMES)]
        runs = [wall_s([*run, str(folder / f"r{n}.db")]) for n in range(TIMES)]
    return {
        "import_ms": quantile(imports, 0.5) * 1e3,
        "version_ms": quantile(versions, 0.5) * 1e3,
        "script_s": quantile(scripts, 0.5),
        "run_s": quantile(runs, 0.5),
    }
