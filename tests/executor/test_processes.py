"""Processes and commands: recorded before they begin, bounded, and gone with their whole group."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.engine.messages import Acknowledge, AttemptEnded, ProcessStarted
from bide.runtime.engine.states import AttemptState
from bide.runtime.executor.orphans import MARK, boot_id, kill_orphans, started_ticks
from bide.runtime.graph.binding import Command
from bide.runtime.graph.spec import Lane
from bide.runtime.values import Secret
from tests.executor import bodies
from tests.executor.desk import Desk

S = AttemptState


def alive(pid: int) -> bool:
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


async def gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while alive(pid):
            await asyncio.sleep(0.01)


async def logged(desk: Desk, attempt_id: int, pattern: str) -> re.Match[str]:
    async with asyncio.timeout(20):
        while (found := re.search(pattern, desk.logs.read(attempt_id))) is None:
            await asyncio.sleep(0.01)
    return found


async def sh(desk: Desk, command: str, env: dict[str, str] | None = None, **options: Any) -> AttemptEnded:
    return await desk.run(
        None, lane=Lane.SHELL, shell=Command(command, env or {}, options.pop("cwd", "/")), **options
    )


async def test_a_commands_output_is_its_last_line(desk: Desk, tmp_path: Path) -> None:
    ended = await sh(
        desk, 'pwd; echo "$GREETING"; echo oops >&2', {"GREETING": "hi there"}, cwd=str(tmp_path)
    )
    assert (ended.state, ended.output) == (S.SUCCESS, b'"hi there"')
    log = desk.logs.read(1)
    assert f"INFO {tmp_path}\n" in log
    assert "STDERR oops\n" in log


async def test_a_command_that_prints_nothing_has_no_output(desk: Desk) -> None:
    ended = await sh(desk, "true")
    assert (ended.state, ended.output) == (S.SUCCESS, None)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo no such table; exit 3", "exit code 3: no such table"),
        ("echo fine; echo bad >&2; exit 4", "exit code 4: bad"),
        ("kill -9 $$", "killed by SIGKILL, by the system for want of memory or by hand"),
        ("nonesuch-command", "exit code 127: "),
    ],
)
async def test_a_command_that_fails_says_how(desk: Desk, command: str, said: str) -> None:
    ended = await sh(desk, command)
    assert ended.failure is not None
    assert ended.state is S.FAILED
    assert ended.failure.message.startswith(said)
    assert ended.failure.mro[0].endswith(".ProcessFailed")


async def test_a_folder_that_is_not_there_is_named(desk: Desk) -> None:
    ended = await sh(desk, "true", cwd="/nonesuch")
    assert ended.failure is not None
    assert "/nonesuch" in ended.failure.message


async def test_a_secret_in_a_commands_output_is_masked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDE_TEST_PASSWORD", "shell-canary")
    value = Secret("env:BIDE_TEST_PASSWORD").resolve()
    ended = await sh(desk, "echo using $TOKEN; echo failed with $TOKEN >&2; exit 1", {"TOKEN": value})
    assert ended.failure is not None
    assert ended.failure.message == "exit code 1: failed with ***"
    assert "canary" not in desk.logs.read(1)


async def test_a_progress_bar_leaves_one_line(desk: Desk) -> None:
    await sh(desk, r"printf '10%%\r50%%\r100%%\n'")
    assert desk.logs.read(1).endswith("INFO 100%\n")
    assert "50%" not in desk.logs.read(1)


@pytest.mark.parametrize("lane", [Lane.SHELL, Lane.PROCESS])
async def test_no_process_begins_before_it_is_recorded(desk: Desk, lane: Lane) -> None:
    desk.acknowledges = False
    fn = bodies.logs if lane is Lane.PROCESS else None
    shell = Command("echo loading", {}, "/") if lane is Lane.SHELL else None
    attempt_id = desk.start(fn, lane=lane, takes_context=fn is not None, shell=shell)
    started: ProcessStarted = await desk.seen(ProcessStarted, attempt_id)
    assert started.started == started_ticks(started.pid) > 0
    assert started.boot_id == boot_id() != ""
    assert os.getsid(started.pid) == os.getpgid(started.pid) == started.pid
    assert desk.logs.read(attempt_id) == ""
    desk.executor.acknowledge(Acknowledge(attempt_id, ""))
    assert (await desk.ended(attempt_id)).state is S.SUCCESS
    assert "loading" in desk.logs.read(attempt_id)


@pytest.mark.parametrize("lane", [Lane.SHELL, Lane.PROCESS])
async def test_a_stop_reaches_the_whole_group(desk: Desk, lane: Lane) -> None:
    if lane is Lane.PROCESS:
        attempt_id = desk.start(bodies.has_children, lane=lane, takes_context=True)
    else:
        command = "trap '' TERM; echo child $$; sleep 600 & echo grandchild $!; while :; do wait; done"
        attempt_id = desk.start(None, lane=lane, shell=Command(command, {}, "/"))
    child = int((await logged(desk, attempt_id, r"INFO child (\d+)"))[1])
    grandchild = int((await logged(desk, attempt_id, r"INFO grandchild (\d+)"))[1])
    desk.stop(attempt_id, S.TIMED_OUT, "too long")
    ended = await desk.ended(attempt_id)
    assert ended.failure is not None
    assert (ended.state, ended.failure.message) == (S.TIMED_OUT, "too long")
    await gone(child)
    await gone(grandchild)


async def test_what_a_command_leaves_behind_ends_with_it(desk: Desk) -> None:
    ended = await sh(desk, "sleep 600 & echo $!")
    assert ended.output is not None
    await gone(int(ended.output.strip(b'"')))


async def test_the_memory_limit_holds_in_a_process(desk: Desk) -> None:
    ended = await desk.run(bodies.fills_memory, lane=Lane.PROCESS, memory_limit=1 << 30)
    assert ended.failure is not None
    assert ended.failure.message == "MemoryError: the memory limit is 1,073,741,824 bytes"
    assert ended.failure.mro[0] == "builtins.MemoryError"


async def test_the_memory_limit_holds_in_a_command(desk: Desk) -> None:
    ended = await sh(desk, f"{sys.executable} -c 'bytearray(4 << 30)'", memory_limit=1 << 30)
    assert ended.failure is not None
    assert ended.failure.message == "exit code 1: MemoryError"


async def test_a_process_that_dies_is_a_failure_with_its_last_words(desk: Desk) -> None:
    ended = await desk.run(bodies.dies, lane=Lane.PROCESS)
    assert ended.failure is not None
    assert ended.failure.message == (
        "the process ended before the body had: killed by SIGKILL, by the system for want of memory or by "
        "hand: last words"
    )


@pytest.mark.parametrize("how", ["fork", "program", "program with all"])
async def test_a_daemon_that_a_body_leaves_does_not_keep_its_slot(desk: Desk, how: str) -> None:
    ended = await desk.run(
        bodies.dies_before_its_daemon, lane=Lane.PROCESS, takes_context=True, kwargs={"how": how}
    )
    assert ended.failure is not None
    assert ended.failure.message.startswith("the process ended before the body had: exit code 7")
    daemon = int((await logged(desk, 1, r"INFO daemon pid=(\d+)"))[1])
    assert alive(daemon)
    os.kill(daemon, signal.SIGKILL)


async def test_a_fork_of_an_isolated_body_does_not_speak_for_it(desk: Desk) -> None:
    ended = await desk.run(bodies.asks_in_a_fork, lane=Lane.PROCESS, takes_context=True)
    assert (ended.state, ended.output) == (S.SUCCESS, b"5")
    assert "only the process of the task itself" in desk.logs.read(1)


async def test_a_line_without_end_is_cut_before_it_goes_over(desk: Desk) -> None:
    ended = await desk.run(bodies.logs_without_end, lane=Lane.PROCESS, takes_context=True)
    assert (ended.state, ended.output) == (S.SUCCESS, b'"done"')
    assert len(desk.logs.read(1)) < 20_000
    assert "[cut: " in desk.logs.read(1)


async def test_a_process_that_cannot_be_understood_is_killed(desk: Desk) -> None:
    ended = await desk.run(bodies.speaks_wrongly, lane=Lane.PROCESS, takes_context=True)
    assert ended.failure is not None
    assert (ended.state, "ValidationError" in ended.failure.message) == (S.FAILED, True)
    (started,) = desk.of(ProcessStarted)
    await gone(started.pid)


@pytest.mark.parametrize(
    ("fn", "said"),
    [(lambda: 1, "a lambda"), (object(), "needs a plain function"), (len, "needs a plain function")],
)
async def test_a_function_that_cannot_be_found_over_there_is_refused(desk: Desk, fn: Any, said: str) -> None:
    ended = await desk.run(fn, lane=Lane.PROCESS)
    assert ended.failure is not None
    assert (said in ended.failure.message, ended.failure.final) == (True, True)


async def test_arguments_that_are_not_json_are_refused(desk: Desk) -> None:
    ended = await desk.run(bodies.doubled, object(), lane=Lane.PROCESS)
    assert ended.failure is not None
    assert "go to another process" in ended.failure.message


PARENT = """
import asyncio, sys
from pathlib import Path
from bide.runtime.engine.messages import ProcessStarted
from bide.runtime.graph.binding import Command
from bide.runtime.graph.spec import Lane
from tests.executor import bodies
from tests.executor.desk import Desk

async def main():
    desk = Desk(Path(sys.argv[1]))
    if sys.argv[2] == "shell":
        command = "echo child $$; setsid sleep 600 & sleep 600 & echo grandchild $!; wait"
        attempt_id = desk.start(None, lane=Lane.SHELL, shell=Command(command, {}, "/"))
    else:
        attempt_id = desk.start(bodies.has_children, lane=Lane.PROCESS, takes_context=True)
    started = await desk.seen(ProcessStarted, attempt_id)
    while "grandchild" not in desk.logs.read(attempt_id):
        await asyncio.sleep(0.01)
    print(started.pid, desk.logs.read(attempt_id).rpartition("grandchild ")[2].split()[0], flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["shell", "process"])
async def test_nothing_survives_a_runtime_that_is_killed(tmp_path: Path, kind: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        str(tmp_path),
        kind,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert all(alive(pid) for pid in pids)
    parent.kill()
    await parent.wait()
    for pid in pids:
        await gone(pid)


def orphan(attempt_id: int, command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", command],
        start_new_session=True,
        stdout=subprocess.PIPE,
        env={**os.environ, MARK: str(attempt_id)},
    )


def test_a_recorded_group_that_still_lives_is_killed() -> None:
    with orphan(5, "sleep 600 & echo $!; wait") as leader:
        assert leader.stdout is not None
        grandchild = int(leader.stdout.readline())
        row = (5, leader.pid, started_ticks(leader.pid), boot_id())
        assert kill_orphans([row]) == [5]
        assert leader.wait() == -signal.SIGKILL
        assert not alive(grandchild)
    assert kill_orphans([row]) == []


def test_members_are_found_when_their_leader_is_gone() -> None:
    with orphan(6, "sleep 600 >/dev/null & echo $!") as leader:
        assert leader.stdout is not None
        member = int(leader.stdout.readline())
        row = (6, leader.pid, started_ticks(leader.pid), boot_id())
        leader.wait()
        assert kill_orphans([row]) == [6]
        assert not alive(member)


def test_another_process_of_that_number_is_left_alone() -> None:
    with orphan(7, "sleep 600") as other:
        ticks = started_ticks(other.pid)
        assert (
            kill_orphans([(8, other.pid, ticks + 1, boot_id()), (8, other.pid, ticks, "another boot")]) == []
        )
        assert alive(other.pid)
        os.killpg(other.pid, signal.SIGKILL)
