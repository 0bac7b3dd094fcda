"""A small service for the kill tests: a runtime on a database, told what to do by lines on stdin.

    python -m tests.recovery.service DB FILE
    python -m tests.recovery.service DB FILE lives        (many, one after another; see `lives`)

Answers `ready`, then `run <key> <run_id>` for each line `trigger <dag> <date> <key>`: an answer is an
acknowledgement, and what is acknowledged must survive. `stop` ends it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bide import Runtime
from bide.runtime.graph.load import load_paths
from tests.recovery.warm import imported


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


def lives(db: str, file: str) -> None:
    """Each line `start` begins one, in a fork of this process; says `began <pid>`, and `ended <code>` once it is over.

    This process has one thread, no loop and everything imported that an earlier one's life had when it was told to stop: a life
    costs a fifth of a new process.
    """
    known = Path(db).with_name("imported")
    imported(known.read_text().split() if known.exists() else ())
    while line := read_line():
        if line != b"start\n":
            continue  # was said to a life that was over by then
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            say(f"began {os.getpid()}")
            asyncio.run(main(db, file))
            known.write_text("\n".join(sys.modules))
            return
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.set_blocking(0, True)  # the pipe is shared with the fork, whose loop has made it another
        say(f"ended {code}")


def read_line() -> bytes:
    """A line of stdin and not a byte more: the rest is for the fork."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


if __name__ == "__main__":
    if sys.argv[3:] == ["lives"]:
        lives(sys.argv[1], sys.argv[2])
    else:
        asyncio.run(main(sys.argv[1], sys.argv[2]))
