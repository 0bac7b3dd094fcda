"""What systemd is told, over a real datagram socket; and what proves that a runtime lives."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bide import Runtime, dag, task
from bide.runtime.errors import StoreFullError, StoreLostError
from bide.runtime.service import telling
from bide.runtime.service.health import Alive
from bide.runtime.service.live import Counts
from bide.runtime.service.systemd import Notifier
from bide.runtime.service.telling import Telling
from tests.service.test_serve import LONG, ONE, Service, folder, said, serving

__all__ = ["folder"]


class Heard:
    """The other end of `NOTIFY_SOCKET`: each message as a dict."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))
        self.all: list[dict[str, str]] = []

    async def next(self, *keys: str, but: str = "") -> dict[str, str]:
        """The next message with all these keys; those before it are in `all`."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            while True:
                text = (await loop.sock_recv(self.socket, 65536)).decode()
                message = dict(line.split("=", 1) for line in text.splitlines())
                self.all.append(message)
                if all(key in message for key in keys):
                    return message

    def waiting(self) -> list[dict[str, str]]:
        """What has come by now."""
        found: list[dict[str, str]] = []
        while True:
            try:
                text = self.socket.recv(65536).decode()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in text.splitlines()))


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    made = Heard(tmp_path / "notify")
    yield made
    made.socket.close()


@asynccontextmanager
async def unit(folder: Path, heard: Heard, *words: str, **env: str) -> AsyncIterator[Service]:
    async with serving(folder, *words, NOTIFY_SOCKET=str(heard.path), **env) as service:
        yield service


async def test_b73_ready_is_said_after_recovery_with_counts_and_stopping_before_the_drain(
    folder: Path, heard: Heard
) -> None:
    (folder / "dags" / "long.py").write_text(LONG)
    async with unit(folder, heard, "dags") as service:
        await heard.next("READY")
        first = heard.all[0]
        assert first["STATUS"].startswith("starting")
        assert int(first["EXTEND_TIMEOUT_USEC"]) >= 10_000_000
        assert heard.all[-1]["STATUS"] == "serving: 4 DAGs, 0 runs, 0 of 64 slots, 0 waits"
        assert (await said(folder, "trigger", "long"))[0] == 0
        while True:
            status = (await heard.next("STATUS"))["STATUS"]
            if "1 wait" in status and "0 of 64" in status:
                break
        assert status == "serving: 4 DAGs, 1 run, 0 of 64 slots, 1 wait"
        service.process.kill()
        await service.ends()
    async with unit(folder, heard, "dags", "--drain", "7s") as service:
        ready = await heard.next("READY")
        assert (
            ready["STATUS"] == "serving: 4 DAGs, 1 run, 0 of 64 slots, 1 wait"
        )  # recovered before it was said
        service.process.send_signal(signal.SIGTERM)
        stopping = await heard.next("STOPPING")
        assert int(stopping["EXTEND_TIMEOUT_USEC"]) >= 7_000_000 + telling.LAST_S * 1e6
        assert await service.ends() == 0


async def test_b73_a_reload_is_told_with_the_monotonic_clock_and_ends_in_ready(
    folder: Path, heard: Heard
) -> None:
    async with unit(folder, heard, "dags") as service:
        await heard.next("READY")
        (folder / "dags" / "two.py").write_text(ONE.replace("def one", "def two"))
        sent = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        service.process.send_signal(signal.SIGHUP)
        told = await heard.next("RELOADING")
        assert sent <= int(told["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert (await heard.next("READY"))["STATUS"].startswith("serving: 2 DAGs")
        (folder / "dags" / "two.py").write_text("def broken(:\n")
        service.process.send_signal(signal.SIGHUP)
        await heard.next("RELOADING")
        assert (await heard.next("READY"))["STATUS"].startswith("serving: 2 DAGs")  # kept as it was


async def test_b73_p12_a_stop_does_not_wait_for_a_reload(folder: Path, heard: Heard) -> None:
    async with unit(folder, heard, "dags") as service:
        await heard.next("READY")
        (folder / "dags" / "slow.py").write_text("import threading\nthreading.Event().wait(2)\n" + ONE)
        service.process.send_signal(signal.SIGHUP)
        await heard.next("RELOADING")
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        await heard.next("STOPPING")
        assert time.monotonic() - began < 1.5
        assert await service.ends() == 0
        assert "Traceback" not in service.heard


async def test_b73_what_a_task_starts_cannot_speak_for_the_service(folder: Path, heard: Heard) -> None:
    (folder / "dags" / "shell.py").write_text(
        "from bide import dag, shell\n\n@dag\ndef leaks():\n"
        '    shell("env", "echo \\"[$NOTIFY_SOCKET$WATCHDOG_USEC$LISTEN_FDS]\\"")\n'
    )
    async with unit(folder, heard, "dags", WATCHDOG_USEC="30000000") as service:
        await heard.next("READY")
        await heard.next("WATCHDOG")
        assert (await said(folder, "trigger", "leaks"))[0] == 0
        code, out, _ = await said(folder, "logs", "1/env", "-f")
        assert code == 0
        assert "[]" in out
        service.process.send_signal(signal.SIGTERM)
        assert await service.ends() == 0


# --- the words, without a process ------------------------------------------------------------------


class House:
    """A runtime as systemd is told of it."""

    def __init__(self) -> None:
        self.counts = Counts(1, 0, 0, 8, 0)
        self.told: list[object] = []
        self.alive = Proof()

    def hear(self, told: object) -> None:
        self.told.append(told)


class Proof(Alive):
    def __init__(self) -> None:
        self.why, self.asked = "", 0

    async def proof(self, within_s: float) -> str:
        self.asked += 1
        return self.why

    async def close(self) -> None:
        pass


@pytest.fixture
def env(heard: Heard) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(heard.path)}


async def test_b73_the_status_is_sent_on_change_alone_and_at_a_bounded_rate(
    heard: Heard, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "STATUS_EVERY_S", 0.05)
    house = House()
    says = Telling(Notifier(env))
    says.ready(house)
    await heard.next("READY")
    for n in range(1000):
        house.counts = Counts(1, n, 0, 8, 0)
        says.changed()
    assert (await heard.next("STATUS"))["STATUS"] == "serving: 1 DAG, 999 runs, 0 of 8 slots, 0 waits"
    assert heard.waiting() == []  # a thousand changes were one message
    says.changed()
    assert says._timer is not None
    says._timer.cancel()
    says._tell()
    assert heard.waiting() == []  # nothing has changed: nothing is sent
    assert says._timer is None  # and nothing ticks
    says.end()


async def test_b73_the_watchdog_is_fed_while_there_is_proof_and_not_without(
    heard: Heard, env: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    says = Telling(Notifier({**env, "WATCHDOG_USEC": "30000"}))  # 30 ms
    says.ready(house)
    for _ in range(3):
        await heard.next("WATCHDOG")
    house.alive.why = "no commit has come to its end for 15.0 s"
    asked = house.alive.asked
    async with asyncio.timeout(5):
        while house.alive.asked < asked + 2:  # what was fed before it went wrong is read away
            await asyncio.sleep(0)
    heard.waiting()
    async with asyncio.timeout(5):
        while house.alive.asked < asked + 6:
            await asyncio.sleep(0)
    assert not [m for m in heard.waiting() if "WATCHDOG" in m]
    assert caplog.text.count("no sign of life is given to systemd: no commit has come to its end") == 1
    house.alive.why = ""
    await heard.next("WATCHDOG")
    says.end()


@pytest.mark.parametrize(
    ("given", "period"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({}, None),
    ],
)
def test_b73_who_the_watchdog_is_meant_for(given: dict[str, str], period: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "@bide-test", **given}).watchdog_s == period


def test_b73_nobody_or_nobody_alive_listens(tmp_path: Path) -> None:
    assert not Notifier({}).say("READY=1")
    assert not Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say("READY=1")
    assert not Notifier({"NOTIFY_SOCKET": "vsock:2:1234"}).heard


def test_b73_a_full_reader_does_not_hold_the_loop(heard: Heard, env: dict[str, str]) -> None:
    says = Notifier(env)
    began = time.monotonic()
    while says.say("STATUS=" + "x" * 1000):
        pass
    assert time.monotonic() - began < 5


def test_b73_an_abstract_socket_is_an_address_too() -> None:
    name = f"bide-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listens:
        listens.bind("\0" + name)
        assert Notifier({"NOTIFY_SOCKET": "@" + name}).say("READY=1")
        assert listens.recv(100) == b"READY=1"


# --- proof of life -----------------------------------------------------------------------------------


@task
async def quick() -> int:
    return 1


@dag
def one() -> None:
    quick()


async def test_p13_alive_is_proven_by_an_empty_commit(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [one]) as rt:
        assert await rt.alive.proof(5) == ""
        await rt.wait(await rt.trigger("one"))
        assert await rt.alive.proof(5) == ""
        assert rt.alive.lag_s < 5


async def test_p13_a_commit_that_hangs_is_no_life_and_asks_no_second_time(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [one]) as rt:
        let_go, asked = asyncio.Event(), 0
        real = rt.store.read

        async def hangs(fn: object) -> object:
            nonlocal asked
            asked += 1
            await let_go.wait()
            return await real(fn)  # type: ignore[arg-type]

        rt._engine.store = type("Hung", (), {"read": staticmethod(hangs)})()  # pyright: ignore[reportAttributeAccessIssue]
        assert "no commit has come to its end" in await rt.alive.proof(0.01)
        assert "no commit has come to its end" in await rt.alive.proof(0.01)
        assert asked == 1  # a hung disk is not given one question more at each pulse
        let_go.set()
        assert await rt.alive.proof(5) == ""
        rt._engine.store = rt.store


async def test_p13_a_full_disk_is_not_death_and_a_lost_database_is(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [one]) as rt:
        error: Exception = StoreFullError("no room")

        async def answers(fn: object) -> object:
            raise error

        rt._engine.store = type("Says", (), {"read": staticmethod(answers)})()  # pyright: ignore[reportAttributeAccessIssue]
        assert await rt.alive.proof(1) == ""
        error = StoreLostError("the disk is gone")
        assert await rt.alive.proof(1) == "the disk is gone"
        rt._engine.store = rt.store


class Hand:
    """A clock that is moved by hand."""

    us = 0

    def now(self) -> int:
        return self.us

    def elapsed(self) -> int:
        return self.us

    async def sleep_until(self, at_us: int) -> None:
        raise NotImplementedError


async def test_p13_an_engine_that_stands_still_with_work_before_it_is_no_life(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [one]) as rt:
        await rt.settled()
        engine, clock = rt._engine, Hand()
        alive = Alive(engine, clock)
        engine._busy = True
        assert await alive.proof(10) == ""  # seen for the first time
        clock.us += 11_000_000
        assert await alive.proof(10) == "the engine has stood still for 11.0 s, with work before it"
        engine.turns += 1
        assert await alive.proof(10) == ""
        engine.full = "no room"
        clock.us += 11_000_000
        assert await alive.proof(10) == ""  # it tries again and again: that is life
        engine._busy, engine.full = False, ""
