"""The live picture of a run: what it shows on a terminal, and which tasks when there is no room for all."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bide.runtime.cli.picture import chosen, told_of
from bide.runtime.clock import HOUR, MINUTE
from bide.runtime.engine.explain import Progress
from bide.runtime.engine.states import State
from bide.runtime.store.reader import TaskShown, WaitShown
from tests.cli.conftest import environment
from tests.cli.test_terminal import PIPE

COUNTS = """
import asyncio
from datetime import timedelta
from pathlib import Path
from bide import Context, dag, task

@task(timeout=timedelta(seconds=20))
async def counts(ctx: Context) -> None:
    ctx.progress(3, 12)
    while not Path("seen").exists():
        await asyncio.sleep(0.02)

@dag
def pipe():
    counts()
"""


def on_a_terminal(folder: Path, seen: str = "", **env: str) -> tuple[int, str]:
    """`bide run pipe.py` on a pseudo-terminal: its exit code, and all that it drew.

    Once it has drawn `seen`, the file of that name is made.
    """
    above, below = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bide", "run", "pipe.py"],
        stdin=below,
        stdout=below,
        stderr=below,
        cwd=folder,
        env=environment(TERM="xterm-256color", COLUMNS="100", LINES="30", **env),
    ) as process:
        os.close(below)
        drawn = b""
        while True:
            try:
                part = os.read(above, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            drawn += part
            if seen and seen.encode() in drawn:
                (folder / "seen").touch()
    os.close(above)
    return process.returncode, drawn.decode()


@pytest.mark.parametrize("no_color", ["", "1"])
def test_the_picture_shows_states_in_words_and_slots(tmp_path: Path, no_color: str) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    code, drawn = on_a_terminal(tmp_path, NO_COLOR=no_color)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)
    assert code == 0
    assert "run 1 of pipe: success" in plain
    assert "0 of 64 slots in use" in plain
    for task in ("first", "second", "third"):
        assert re.search(rf"{task}\s+✓ success", plain)
    assert bool(re.search(r"\x1b\[(?:\d+;)*3\d", drawn)) == (not no_color)


def test_the_picture_shows_how_far_a_running_task_says_it_is(tmp_path: Path) -> None:
    (tmp_path / "pipe.py").write_text(COUNTS)
    code, drawn = on_a_terminal(tmp_path, seen="3 of 12 (25 %)", NO_COLOR="1")
    assert code == 0, drawn
    last = drawn[drawn.rindex("run 1 of pipe") :]
    assert "3 of 12" not in last  # it is over: how far it was says nothing any more


def shown(task: str, state: State, due_us: int | None = None) -> TaskShown:
    return TaskShown(1, task, -1, state, 1, 0, 1, 0, due_us, None, "why", None)


def test_tasks_that_move_or_went_wrong_come_first_in_graph_order() -> None:
    tasks = [shown(f"t{n}", State.SUCCESS) for n in range(50)]
    tasks[40] = shown("bad", State.FAILED)
    tasks[45] = shown("busy", State.RUNNING)
    assert [task.task for task in chosen(tasks, 3)] == ["t0", "bad", "busy"]
    assert chosen(tasks, 50) == tasks


def test_a_waiting_task_tells_what_for_and_how_long_still() -> None:
    wait = WaitShown(1, 1, "d", "t", -1, "", "time", '{"kind":"time","at_us":0}', 0, HOUR, 1, "")
    told = told_of(shown("t", State.DEFERRED), [wait, wait], 0)
    assert told == "time 1970-01-01T00:00:00+00:00 and 1 more (1h left)"
    assert told_of(shown("t", State.UP_FOR_RETRY, MINUTE), [], 0) == "again in 1m: why"
    assert told_of(shown("t", State.FAILED), [], 0) == "why"
    assert told_of(shown("t", State.RUNNING), [], 0, Progress(7.5)) == "7.5"
