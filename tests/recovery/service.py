"""A small service for the kill tests: a runtime on a database, told what to do by lines on stdin.

    python -m tests.recovery.service DB FILE

Answers `ready`, then `run <key> <run_id>` for each line `trigger <dag> <date> <key>`: an answer is an
acknowledgement, and what is acknowledged must survive. `stop` ends it.
"""

from __future__ import annotations

import asyncio
import sys

from bide import Runtime
from bide.runtime.graph.load import load_paths


async def main(db: str, file: str) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    found = load_paths([file])
    if found.errors:
        raise SystemExit(str(found.errors))
    async with Runtime(db, found.dags, slots=8) as runtime:
        say("ready")
        while line := (await lines.readline()).decode().split():
            if line[0] == "stop":
                break
            _, dag, date, key = line
            run = await runtime.trigger(dag, logical_date=date, key=key)
            say(f"run {key} {run.run_id}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
