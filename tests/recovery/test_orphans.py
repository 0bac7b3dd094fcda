"""Processes that outlive their runtime are killed before their attempt is started again; none keeps the lock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bide import Runtime, dag, shell
from bide.runtime.executor.orphans import boot_id, kill_orphans, started_ticks
from tests.recovery.test_kills import Service

# The grandchild leaves the group of its shell, so that no guard reaches it, and stays in its session.
GRANDCHILD = (
    f"{sys.executable} -S -c '"
    'import os, time, pathlib; os.setpgid(0, 0); pathlib.Path("{folder}/pid").write_text(str(os.getpid())); '
    "time.sleep(600)'"
)
SECOND = (
    'case "$(cut -d" " -f3 /proc/$(cat {folder}/pid)/stat 2>&-)" in ""|Z|X) echo gone;; *) echo alive;; esac'
)
FILE = """
from bide import dag, shell, task
import time

@dag
def lasting():
    shell("outlives", {command!r})

@task(isolate=True)
def isolated():
    from pathlib import Path
    if not Path("{folder}/began").exists():
        Path("{folder}/began").write_text(str(__import__("os").getpid()))
        time.sleep(600)
    return "again"

@dag
def apart():
    isolated()
"""


def state(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def alive(pid: int) -> bool:
    return state(pid) not in {"Z", "X"}


def files_of(pid: int) -> list[str]:
    return [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]


async def until(true: Callable[[], object], within: float = 20) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)


def recorded(db: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        return [pid for (pid,) in conn.execute("SELECT pid FROM process")]


def pid_in(file: Path) -> int:
    return int(file.read_text() or 0) if file.exists() else 0


@pytest.fixture
def dag_file(tmp_path: Path) -> Path:
    # `[ -f pid ]` tells the second start from the first
    command = f"if [ -f {tmp_path}/pid ]; then {SECOND}; exit 0; fi; {GRANDCHILD}"
    file = tmp_path / "lasting.py"
    file.write_text(
        FILE.replace("{command!r}", repr(command.replace("{folder}", str(tmp_path)))).replace(
            "{folder}", str(tmp_path)
        )
    )
    return file


class OneFile(Service):
    """The service of the kill tests, on another file of DAGs."""

    def __init__(self, db: Path, file: Path) -> None:
        super().__init__(db, {})
        self.file = file

    async def start(self) -> None:
        self.ready.clear()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.recovery.service", str(self.db), str(self.file),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=self.environment,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self.process))
        await asyncio.wait_for(self.ready.wait(), 30)


async def test_a_start_kills_what_a_lost_command_left_before_it_runs_again(
    dag_file: Path, tmp_path: Path
) -> None:
    db, pid_file = tmp_path / "b.db", tmp_path / "pid"
    service = OneFile(db, dag_file)
    await service.start()
    service.say("trigger lasting 2026-01-01 x")
    await until(lambda: pid_in(pid_file))
    pid = pid_in(pid_file)
    assert len(recorded(db)) == 1
    await service.kill()
    assert alive(pid), "the test needs a grandchild that no guard reaches"
    try:
        from bide.runtime.graph.load import load_paths

        async with Runtime(db, load_paths([str(dag_file)]).dags) as runtime:
            assert not alive(pid)
            result = await runtime.wait("1", timeout=30)
            assert (result.ok, result.outputs) == (True, {"outlives": "gone"})
        assert recorded(db) == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("dag_name", "mark"), [("lasting", "pid"), ("apart", "began")])
async def test_t15_a_process_that_outlives_its_runtime_does_not_keep_the_lock(
    dag_file: Path, tmp_path: Path, dag_name: str, mark: str
) -> None:
    db, pid_file = tmp_path / "b.db", tmp_path / mark
    service = OneFile(db, dag_file)
    await service.start()
    service.say(f"trigger {dag_name} 2026-01-01 x")
    await until(lambda: pid_in(pid_file))
    leader, child = recorded(db)[0], pid_in(pid_file)
    if child == leader:  # it would end with its runtime, and cannot now
        os.kill(child, signal.SIGSTOP)
        await until(
            lambda: state(child) == "T"
        )  # until then one of its threads may see the end of its runtime
    try:
        await service.kill()
        assert alive(child)
        assert not [name for name in files_of(child) if name.startswith(str(db))]
        async with Runtime(db) as runtime:
            assert runtime.epoch == 2
            assert not alive(child)
    finally:
        for pid in {leader, child}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_i12_no_process_is_on_record_after_a_start_that_followed_a_cancel_and_a_kill(
    dag_file: Path, tmp_path: Path
) -> None:
    db, pid_file = tmp_path / "b.db", tmp_path / "pid"
    service = OneFile(db, dag_file)
    await service.start()
    service.say("trigger lasting 2026-01-01 x")
    await until(lambda: pid_in(pid_file))
    row = recorded(db)
    await service.kill()
    with contextlib.closing(sqlite3.connect(db)) as conn:  # as a cancel whose body was not gone yet
        conn.execute("UPDATE attempt SET state = 'cancelled', ended_us = started_us")
        conn.execute("UPDATE task_instance SET state = 'cancelled'")
        conn.execute("UPDATE run SET state = 'cancelled', ended_us = created_us")
        conn.commit()
    try:
        async with Runtime(db):
            assert not alive(row[0])
        assert recorded(db) == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid_in(pid_file), signal.SIGKILL)


async def test_a_recorded_process_that_is_another_by_now_is_left_alone(tmp_path: Path) -> None:
    @dag
    def quick() -> None:
        shell("echo", "sleep 600")

    db = tmp_path / "b.db"
    async with Runtime(db, [quick], grace=0.1) as runtime:
        await runtime.trigger(quick)
        await until(lambda: recorded(db))
    with contextlib.closing(sqlite3.connect(db)) as conn:
        conn.execute("UPDATE process SET pid = ?, started = started - 1", (os.getpid(),))
        conn.commit()
    async with Runtime(db) as runtime:  # this process lives on, or the test does not
        assert runtime.epoch == 2
    assert recorded(db) == []


async def test_a_process_that_may_not_be_killed_does_not_keep_the_runtime_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `sudo` makes one: its runtime is not root, and it is."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    child = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    try:
        row = (1, child.pid, started_ticks(child.pid), boot_id())
        with monkeypatch.context() as patched:
            patched.setattr(signal, "pidfd_send_signal", refuse)
            assert kill_orphans([row]) == []
        assert kill_orphans([row]) == [1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
