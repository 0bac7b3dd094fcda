"""P7: one runtime per database; a refusal names the holder; the lock dies with its process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bide.runtime.clock import Clock, SystemClock
from bide.runtime.errors import NotFoundError, StoreError, StoreHeldError
from bide.runtime.store.lock import Kind, Lock, network_file_system


def taken(lock: Lock, kind: Kind, clock: Clock) -> Lock:
    """The lock, taken by code without a loop."""
    return asyncio.run(lock.acquire(kind, clock))


class Ticking:
    """A clock that moves when it is slept on."""

    def __init__(self) -> None:
        self.at = 1_000_000
        self.slept = 0

    def now(self) -> int:
        return self.at

    def elapsed(self) -> int:
        return self.at

    async def sleep_until(self, at_us: int) -> None:
        self.slept += 1
        self.at = max(self.at, at_us)


async def test_p7_a_runtimes_lock_is_refused_at_once_and_names_the_pid(tmp_path: Path) -> None:
    clock = Ticking()
    with await Lock(tmp_path / "bide.db").acquire("runtime", clock) as first:
        assert first.held
        with pytest.raises(StoreHeldError, match=f"process {os.getpid()}"):
            await Lock(tmp_path / "bide.db").acquire("runtime", clock)
        with pytest.raises(StoreHeldError, match="in use by the runtime"):
            await Lock(tmp_path / "bide.db").acquire("command", clock)
    assert clock.slept == 0
    assert (await Lock(tmp_path / "bide.db").acquire("runtime", clock)).held


async def test_a_commands_lock_is_waited_for_then_refused(tmp_path: Path) -> None:
    clock = Ticking()
    with await Lock(tmp_path / "bide.db").acquire("command", clock):
        with pytest.raises(StoreHeldError, match="command session"):
            await Lock(tmp_path / "bide.db").acquire("runtime", clock)
        assert 5_000_000 <= clock.at - 1_000_000 <= 5_100_000


async def test_a_commands_lock_that_ends_in_time_is_taken(tmp_path: Path) -> None:
    command = Lock(tmp_path / "bide.db")

    class Ending(Ticking):
        async def sleep_until(self, at_us: int) -> None:
            await super().sleep_until(at_us)
            if self.slept == 3:
                command.release()

    clock = Ending()
    await command.acquire("command", clock)
    with await Lock(tmp_path / "bide.db").acquire("runtime", clock):
        assert clock.slept == 3


def test_links_to_one_database_share_its_lock(tmp_path: Path) -> None:
    (tmp_path / "bide.db").touch()
    (tmp_path / "other.db").symlink_to(tmp_path / "bide.db")
    with taken(Lock(tmp_path / "bide.db"), "runtime", Ticking()), pytest.raises(StoreHeldError):
        taken(Lock(tmp_path / "other.db"), "runtime", Ticking())


def test_the_holder_can_be_asked_for_without_taking(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "bide.db")
    assert lock.holder() is None
    with taken(lock, "command", Ticking()):
        holder = Lock(tmp_path / "bide.db").holder()
        assert holder is not None
        assert (holder.pid, holder.kind, holder.started) == (os.getpid(), "command", 1_000_000)
    assert lock.holder() is None


def test_p7_the_lock_dies_with_its_process_though_its_children_live(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import asyncio, subprocess, sys
        from bide.runtime.clock import SystemClock
        from bide.runtime.store.lock import Lock
        lock = asyncio.run(Lock(sys.argv[1]).acquire("runtime", SystemClock()))
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
        print(child.pid, flush=True)
        sys.stdin.read()
        """
    )
    db = tmp_path / "bide.db"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(db)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(StoreHeldError, match=f"process {holder.pid}"):
                taken(Lock(db), "runtime", SystemClock())
            holder.kill()
            holder.wait(10)
            taken(Lock(db), "runtime", SystemClock()).release()
        finally:
            os.kill(child, 9)


def test_p7_of_twelve_processes_that_race_one_wins(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import asyncio, sys
        from bide.runtime.clock import SystemClock
        from bide.runtime.errors import StoreHeldError
        from bide.runtime.store.lock import Lock
        sys.stdin.readline()
        try:
            lock = asyncio.run(Lock(sys.argv[1]).acquire("runtime", SystemClock()))
            print("won", flush=True)
        except StoreHeldError as error:
            print("held", flush=True)
        sys.stdin.readline()
        """
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "bide.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(12)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.stdout.readline().strip() for racer in racers if racer.stdout is not None]
    for racer in racers:
        racer.communicate("end\n", timeout=20)
    assert sorted(said) == ["held"] * 11 + ["won"]


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="bide serve"):
        taken(Lock(tmp_path / "no" / "bide.db"), "runtime", Ticking())


def test_p17_network_file_systems_are_refused_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path}/share\\040one nfs4 rw 0 0\ntmpfs {tmp_path}/share\\040one/fast tmpfs rw 0 0\n"
    )
    share = tmp_path / "share one"
    assert network_file_system(share / "deep", mounts) == "nfs4"
    assert network_file_system(share / "fast" / "x", mounts) is None
    assert network_file_system(tmp_path / "share one else", mounts) is None
    assert network_file_system(tmp_path, mounts) is None
    assert network_file_system(tmp_path, tmp_path / "no such list") is None
    monkeypatch.setattr("bide.runtime.store.lock.network_file_system", lambda folder: "nfs4")
    with pytest.raises(StoreError, match="network file system"):
        taken(Lock(tmp_path / "bide.db"), "runtime", Ticking())
    taken(Lock(tmp_path / "bide.db", network_ok=True), "runtime", Ticking()).release()
