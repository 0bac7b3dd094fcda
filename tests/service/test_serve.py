"""`bide serve` as a process: its socket, its signals, its successor after a kill -9."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import environment

ONE = """
from bide import dag, task

@task
async def quick() -> int:
    return 1

@dag
def one():
    quick()
"""
WALKED = """
    import gc
    walked = {type(each).__name__ for each in gc.get_objects()}
    assert "FastAPI" not in walked, "each full collection walks all that the doors are made of"
    return 1
"""
LONG = """
import asyncio
import time
from datetime import timedelta
from bide import Context, dag, task
from bide.triggers import TimeTrigger

@task
async def parked(ctx: Context) -> None:
    await ctx.wait(TimeTrigger(at_us=4_000_000_000_000_000), timeout=timedelta(hours=1))

@task
async def busy() -> None:
    await asyncio.sleep(3600)

@task
def deaf() -> None:
    time.sleep(60)

@dag
def stubborn():
    deaf()

@dag
def long():
    parked()

@dag
def working():
    busy()
"""


class Service:
    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process, self.folder, self.heard = process, folder, ""

    async def hear(self, words: str) -> str:
        """Everything it said up to a line with these words."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while True:
                line = (await self.process.stderr.readline()).decode()
                self.heard += line
                if words in line:
                    return self.heard
                assert line, f"it ended without saying {words!r}: {self.heard}"

    async def ends(self) -> int:
        async with asyncio.timeout(30):
            assert self.process.stderr is not None
            self.heard += (await self.process.stderr.read()).decode()
            return await self.process.wait()


async def start(folder: Path, *words: str, **env: str) -> Service:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bide",
        *words,
        cwd=folder,
        env=environment(**env),
        stderr=asyncio.subprocess.PIPE,
    )
    return Service(process, folder)


@asynccontextmanager
async def serving(folder: Path, *words: str, **env: str) -> AsyncIterator[Service]:
    service = await start(folder, "serve", *words, **env)
    try:
        await service.hear("serving")
        yield service
    finally:
        if service.process.returncode is None:
            service.process.kill()
            await service.ends()


async def said(folder: Path, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bide", *words,
        cwd=folder, env=environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "one.py").write_text(ONE)
    return tmp_path


async def test_a_service_answers_over_its_socket_and_drains_on_sigterm(folder: Path) -> None:
    (folder / "dags" / "one.py").write_text(ONE.replace("\n    return 1\n", WALKED))
    (folder / "dags" / "broken.py").write_text("def broken(:\n")
    hook = 'from bide.hooks import GitHub, Webhook\nWebhook("ci", dag="one", scheme=GitHub("env:NO_SUCH_SECRET"))\n'
    (folder / "dags" / "hooks.py").write_text(hook)
    sock = folder / ".bide" / "bide.db.sock"
    async with serving(folder, "dags") as service:
        assert "left out" in service.heard
        assert "broken.py:1" in service.heard
        assert sock.stat().st_mode & 0o777 == 0o600
        code, out, _ = await said(folder, "trigger", "one", "--json")
        assert (code, msgspec.json.decode(out)) == (0, {"run_id": "1"})
        code, _, err = await said(folder, "run", "dags/one.py", "--date", "2026-06-15")
        assert code == 4
        assert "bide trigger one --date 2026-06-15 --db" in err
        code, _, err = await said(folder, "serve", "dags")
        assert code == 4
        assert str(service.process.pid) in err
        assert sock.exists()
        service.process.send_signal(signal.SIGTERM)
        assert await service.ends() == 0
        assert service.heard.endswith("bide: stopped\n")
        assert (
            service.heard.count("the hook 'ci' cannot check who sends: the secret 'env:NO_SUCH_SECRET'") == 1
        )
    assert not sock.exists()
    code, out, _ = await said(folder, "show", "1", "--json")
    assert msgspec.json.decode(out)["state"] == "success"


async def test_sighup_reads_the_files_again(folder: Path) -> None:
    async with serving(folder, "dags") as service:
        (folder / "dags" / "two.py").write_text(ONE.replace("def one", "def two"))
        service.process.send_signal(signal.SIGHUP)
        await service.hear("read again: 2 DAGs")
        assert (await said(folder, "trigger", "two"))[0] == 0
        (folder / "dags" / "two.py").write_text("def broken(:\n")
        service.process.send_signal(signal.SIGHUP)
        await service.hear("1 broken file")
        _, out, _ = await said(folder, "dags", "--json")
        assert [dag["dag"] for dag in msgspec.json.decode(out)] == ["one", "two"]  # broken is not removed
        code, out, _ = await said(folder, "doctor")
        assert code == 1
        assert "BAD  DAG file: left out" in out
        assert (
            f"ok   served: unix {folder / '.bide' / 'bide.db.sock'} by process {service.process.pid}" in out
        )
        assert 'ok   setting: paths = ["dags"] (flag)' in out
        assert "two.py:1: this is not Python" in out
        route = '[[notify]]\nname = "ops"\nwebhook = "http://127.0.0.1:9/"\nsecret = "env:NO_SUCH_SECRET"\n'
        (folder / "bide.toml").write_text(route)
        hook = 'from bide.hooks import GitHub, Webhook\nWebhook("push", dag="one", scheme=GitHub("env:X"))\n'
        (folder / "dags" / "two.py").write_text(ONE.replace("def one", "def two") + hook)
        service.process.send_signal(signal.SIGHUP)
        await service.hear("routes: ops is new")
        assert "hooks: push is new" in service.heard
        (folder / "bide.toml").write_text(route + "kinds = [")
        service.process.send_signal(signal.SIGHUP)
        await service.hear("the routes of notices stay as they were: ")
        (folder / "bide.toml").write_text(route.replace("127.0.0.1:9", "127.0.0.1:19"))
        service.process.send_signal(signal.SIGHUP)
        await service.hear("routes: ops has changed")


async def test_a_dag_whose_file_went_while_nobody_served_is_removed_at_the_next_start(folder: Path) -> None:
    async def known() -> list[str]:
        _, out, _ = await said(folder, "dags", "--json")
        return [dag["dag"] for dag in msgspec.json.decode(out)]

    two = folder / "dags" / "two.py"
    two.write_text(ONE.replace("def one", "def two"))
    async with serving(folder, "dags"):
        assert await known() == ["one", "two"]
    two.write_text("def broken(:\n")
    async with serving(folder, "dags") as service:
        assert await known() == ["one", "two"]  # it may be in there
        two.unlink()
        service.process.send_signal(signal.SIGHUP)
        await service.hear("read again: 1 DAG")
        assert await known() == ["one"]
    two.write_text(ONE.replace("def one", "def two"))
    async with serving(folder, "dags"):
        assert await known() == ["one", "two"]
    two.unlink()
    async with serving(folder, "dags"):
        assert await known() == ["one"]
        code, _, err = await said(folder, "trigger", "two")
        assert (code, "was removed" in err) == (4, True), err


WAITS = """
from bide import dag
from bide.sensors import ExternalTaskSensor

@dag
def sink():
    ExternalTaskSensor("wait", dag="{on}")
"""


async def test_c27_a_dag_that_waits_in_vain_is_left_out_and_taken_once_it_does_not(folder: Path) -> None:
    (folder / "dags" / "sink.py").write_text(WAITS.format(on="two"))
    async with serving(folder, "dags") as service:
        assert "left out the DAG 'sink'" in service.heard
        assert "waits for the DAG 'two', and there is none of that name" in service.heard
        assert "serving 1 DAG on" in service.heard
        (folder / "dags" / "two.py").write_text(ONE.replace("def one", "def two"))
        service.process.send_signal(signal.SIGHUP)
        await service.hear("read again: 3 DAGs")
        (folder / "dags" / "two.py").unlink()
        service.process.send_signal(signal.SIGHUP)
        heard = await service.hear("read again: 2 DAGs")  # it stays as it was, and what is wrong is said
        assert heard.count("left out the DAG 'sink'") == 2


async def test_after_a_kill_the_database_answers_and_the_next_service_takes_over(folder: Path) -> None:
    (folder / "dags" / "long.py").write_text(LONG)
    sock = folder / ".bide" / "bide.db.sock"
    async with serving(folder, "dags") as service:
        assert (await said(folder, "trigger", "long"))[0] == 0
        service.process.kill()
        await service.ends()
    assert sock.exists()
    code, out, _ = await said(folder, "waits", "--json")
    assert code == 0
    (before,) = msgspec.json.decode(out)
    assert before["next_look"] is None
    async with serving(folder, "dags"):
        code, out, _ = await said(folder, "waits", "--json")
        (after,) = msgspec.json.decode(out)
        assert (after["id"], after["deadline"]) == (before["id"], before["deadline"])
        assert (await said(folder, "waits", "satisfy", after["id"]))[0] == 0


async def test_a_second_signal_ends_it_at_once(folder: Path) -> None:
    (folder / "dags" / "long.py").write_text(LONG)
    async with serving(folder, "dags", "--drain", "1h") as service:
        assert (await said(folder, "trigger", "working"))[0] == 0
        service.process.send_signal(signal.SIGTERM)
        await service.hear("stopping")
        service.process.send_signal(signal.SIGTERM)
        assert await service.ends() == 0
        assert "Traceback" not in service.heard
        assert "stopped, 1 attempt cut short" in service.heard
    code, out, _ = await said(folder, "why", "1/busy")
    assert code == 0
    assert "is running" in out or "is ready" in out


async def test_a_second_signal_gives_a_thread_that_does_not_end_no_time(folder: Path) -> None:
    (folder / "dags" / "long.py").write_text(LONG)
    async with serving(folder, "dags", "--drain", "1h") as service:
        assert (await said(folder, "trigger", "stubborn"))[0] == 0
        service.process.send_signal(signal.SIGTERM)
        await service.hear("stopping")
        service.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert await service.ends() == 0
        assert time.monotonic() - begun < 4, "a drain that ends by itself gives bodies 5 s more"
        assert "stopped, 1 attempt cut short" in service.heard


async def test_a_database_too_deep_for_a_socket_is_served_all_the_same(folder: Path) -> None:
    deep = Path("d" * 60) / ("e" * 60) / "bide.db"
    async with serving(folder, "dags", "--db", str(deep)) as service:
        code, _, err = await said(folder, "dags", "--db", str(deep))
        assert (code, err) == (0, "")
        service.process.send_signal(signal.SIGTERM)
        assert await service.ends() == 0
    assert not left_over()


def left_over() -> list[Path]:
    """Sockets that were not removed from where those of long paths go."""
    return list(Path("/tmp").glob(f"bide-{os.getuid()}-*.sock"))
