"""T6: the disk fills up, fails, or is taken away under a running service; and the service stands still for a while.

BIDE_SOAK=n takes more of the errors at the N-th call; BIDE_FAULT="CALL:ERROR:WHEN" replays one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bide import Context, Runtime, dag, task
from bide.runtime.errors import RefusedError, StoreLostError
from bide.runtime.store.invariants import check
from bide.sensors import FileSensor
from bide.triggers import FileTrigger
from tests.recovery.calls import Held
from tests.recovery.reference import ended
from tests.recovery.sweep import (
    ROOT,
    SEED,
    SOAK,
    Bench,
    bench,
    forget,
    needs_held,
    needs_strace,
    said,
    swept,
    verdict,
)
from tests.recovery.test_orphans import OneFile, until

# --- no room -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(at: Path) -> Iterator[Path]:
    at.mkdir()
    if os.geteuid() != 0:
        pytest.skip("no root: a small tmpfs cannot be mounted")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(at)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip(f"no tmpfs: {done.stderr.decode().strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def fill(disk: Path) -> None:
    with (disk / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def health(runtime: Runtime) -> tuple[int, str]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=runtime.asgi), base_url="http://bide"
    ) as client:
        found = await client.get("/healthz")
        return found.status_code, found.text


async def test_p13_on_a_full_disk_nothing_acts_and_work_goes_on_by_itself_when_there_is_room(
    tmp_path: Path,
) -> None:
    resumed = asyncio.Event()
    signal_file = tmp_path / "signal"

    @dag(max_active_runs=1000)
    def small() -> None:
        @task
        async def one() -> int:
            return 1

        one()

    @dag
    def waiting() -> None:
        @task
        async def body(ctx: Context) -> None:
            await ctx.wait(FileTrigger(path=str(signal_file), settle_us=0))
            resumed.set()

        body()

    with small_disk(tmp_path / "disk") as disk:
        db = disk / "b.db"
        async with Runtime(db, [small, waiting]) as runtime:
            parked = await runtime.trigger("waiting")
            await until(lambda: runtime.armed)
            fill(disk)
            asked: list[asyncio.Task[object]] = []
            async with asyncio.timeout(30):
                while not runtime._engine.full:
                    asked.append(asyncio.create_task(runtime.trigger("small", new=True)))
                    await asyncio.wait(asked[-1:], timeout=0.2)
            assert (await health(runtime))[0] == 503
            assert "free disk space" in (await health(runtime))[1]
            with pytest.raises(RefusedError, match=r"not done: .*free disk space"):
                await asyncio.wait_for(runtime.trigger("small", new=True), 1)
            signal_file.write_text("x")  # the wait is fired, which cannot be written: the body rests
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(resumed.wait(), 1)
            assert len(await runtime.waits()) == 1  # reading goes on

            (disk / "ballast").unlink()
            await asyncio.wait_for(resumed.wait(), 10)
            assert (await parked.wait(10)).ok
            await runtime.settled()
            acknowledged = await asyncio.gather(*asked)
            for run in acknowledged:
                assert (await run.wait(10)).ok  # type: ignore[attr-defined]
            assert (await health(runtime))[0] == 200
        with contextlib.closing(sqlite3.connect(db)) as conn:
            assert check(conn) == []
            assert conn.execute("SELECT count(*) FROM run").fetchone()[0] == len(acknowledged) + 1


async def test_p13_leaving_while_there_is_no_room_is_bounded_and_what_was_acknowledged_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bide.runtime.engine import loop

    monkeypatch.setattr(loop, "STOP_S", 0.5)

    @dag(max_active_runs=1000)
    def small() -> None:
        @task
        async def one() -> int:
            return 1

        one()

    acknowledged: list[str] = []
    with small_disk(tmp_path / "disk") as disk:
        db = disk / "b.db"

        async def ask(runtime: Runtime) -> None:
            acknowledged.append((await runtime.trigger("small", new=True)).run_id)

        async with Runtime(db, [small]) as runtime:
            fill(disk)
            asked: list[asyncio.Task[None]] = []
            async with asyncio.timeout(30):
                while not runtime._engine.full:
                    asked.append(asyncio.create_task(ask(runtime)))
                    await asyncio.wait(asked[-1:], timeout=0.2)
            leaving = time.monotonic()
        assert time.monotonic() - leaving < 5
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(answer is None or isinstance(answer, StoreLostError) for answer in answers)
        (disk / "ballast").unlink()
        async with Runtime(db, [small]) as runtime:
            for run_id in acknowledged:
                assert (await runtime.wait(run_id, timeout=10)).ok


# --- a disk that fails ---------------------------------------------------------------------------------


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Bench]:
    needs_held()
    with bench(tmp_path) as made:
        yield made


Fault = tuple[str, str, str]


def faults() -> list[Fault]:
    """Each sync fails, once and for ever; a rotating share of the writes fails, or finds no room for once."""
    if one := os.environ.get("BIDE_FAULT"):
        call, error, when = one.split(":")
        return [(call, error, when)]
    dice = random.Random(SEED)
    found = [("fdatasync", "EIO", f"{number}{ever}") for number in range(1, 25) for ever in ("", "+")]
    some = sorted(dice.sample(range(1, 320), min(24 * SOAK, 319)))
    found += [("pwrite64", "EIO", str(number)) for number in some]
    return found + [("pwrite64", "ENOSPC", str(number)) for number in some]


@pytest.mark.soak
@pytest.mark.slow
def test_t6_a_disk_that_fails_ends_the_runtime_and_costs_nothing_acknowledged(forks: Bench) -> None:
    calm = forks.world("calm")
    assert forks.run(calm) == 0, said(calm)
    reference = ended(calm)
    ends: list[int] = []

    def judge(fault: Fault) -> list[str]:
        call, error, when = fault
        db = forks.world(f"{call}-{error}-{when}")
        first = forks.run(db, held=Held.of(f"{call}:{error}:{when}"))
        ends.append(first)
        wrong = []
        if first == 1 and not any(
            words in said(db)
            for words in ("StoreLostError", "the disk failed while opening", "there is no room on the disk")
        ):
            wrong.append("it did not say why it stopped")
        if first not in {0, 1}:
            wrong.append(f"it ended by {first}")
        second = forks.run(db)
        wrong += verdict(db, reference) if second == 0 else [f"the next start ended by {second}"]
        if wrong:
            return [*wrong, said(db)]
        forget(db)
        return []

    chosen = faults()
    wrong = swept(
        chosen, judge, lambda fault: f"BIDE_FAULT={':'.join(fault)} BIDE_SEED={SEED} pytest {__file__}"
    )
    assert not wrong, f"{len(wrong)} of {len(chosen)}:\n" + "\n".join(wrong)
    if "BIDE_FAULT" not in os.environ:
        assert ends.count(1) >= 30


SCHEDULED = """
from datetime import timedelta
from bide import Every, dag, task

@dag(schedule=Every(timedelta(seconds=1)))
def often():
    @task
    async def one(): return 1
    one()
"""


@pytest.mark.slow
def test_p13_serve_exits_non_zero_when_a_sync_fails(tmp_path: Path) -> None:
    needs_strace()
    (tmp_path / "often.py").write_text(SCHEDULED)
    first = 16  # a dozen of them before it serves
    done = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={first}+",
         sys.executable, "-m", "bide", "serve", str(tmp_path / "often.py"), "--db", str(tmp_path / "b.db")],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode not in {0, None}, done.stderr
    assert "the database failed" in done.stderr
    assert "Traceback" not in done.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "b.db")) as conn:
        assert check(conn) == []


# --- another file, no file -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_database_file_that_is_taken_away_stops_the_runtime(tmp_path: Path, how: str) -> None:
    db = tmp_path / "b.db"

    @dag
    def small() -> None:
        @task
        async def one() -> int:
            return 1

        one()

    @dag
    def waiting() -> None:
        FileSensor("never", path="/nowhere/at/all")

    async with Runtime(db, [small, waiting]) as runtime:
        assert (await (await runtime.trigger("small")).wait(10)).ok
        parked = await runtime.trigger("waiting")
        if how == "removed":
            db.unlink()
        else:
            shutil.copy(db, tmp_path / "copy.db")
            (tmp_path / "copy.db").rename(db)
        with pytest.raises(StoreLostError, match="replaced or removed"):
            await asyncio.wait_for(runtime.stopped(), 5)
        with pytest.raises(StoreLostError):
            await runtime.trigger("small")
        with pytest.raises(StoreLostError):
            await asyncio.wait_for(parked.wait(), 5)


# --- time that passes while nobody looks -------------------------------------------------------------------

DEADLINES = """
from datetime import timedelta
from bide import dag
from bide.sensors import FileSensor

@dag
def deadlines():
    for n in range(8):
        FileSensor(f"d{(n * 3) % 8}", path="/nowhere/at/all", timeout=timedelta(seconds=1 + 0.25 * ((n * 3) % 8)))
    FileSensor("later", path="/nowhere/else", timeout=timedelta(seconds=5))
"""


def rows(db: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        return conn.execute(sql).fetchall()


@pytest.mark.slow
async def test_p8_deadlines_that_pass_while_the_process_stands_still_are_judged_once(
    tmp_path: Path,
) -> None:
    db = tmp_path / "b.db"
    file = tmp_path / "deadlines.py"
    file.write_text(DEADLINES)
    service = OneFile(db, file)
    await service.start()
    service.say("trigger deadlines 2026-01-01 x")
    await until(lambda: rows(db, "SELECT 1 FROM wait")[8:])
    assert service.process is not None
    service.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(3)  # time that passes is what is tested
    service.process.send_signal(signal.SIGCONT)
    await until(lambda: rows(db, "SELECT 1 FROM run WHERE ended_us IS NOT NULL"))
    await service.stop()
    ended_waits = rows(
        db,
        "SELECT w.deadline_us, e.at_us FROM event e JOIN wait w ON w.wait_id = e.subject_id"
        " WHERE e.subject = 'wait' AND e.was = 'open' ORDER BY e.seq",
    )
    assert len(ended_waits) == 9
    assert ended_waits[-1] == max(ended_waits)  # what was missed had one last look, all at once
    assert all(at >= deadline for deadline, at in ended_waits)  # type: ignore[operator]
    assert {state for (state,) in rows(db, "SELECT state FROM wait")} == {"timed_out"}
    # standing still is no step of the clock
    assert rows(db, "SELECT * FROM event WHERE subject = 'clock'") == []
