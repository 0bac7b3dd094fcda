"""The reference run of the crash sweeps: one small service, from its start to the end of two runs.

    python -m tests.recovery.reference DB        (the folder of DB is its world)
    python -m tests.recovery.reference serve     (many, one after another; see `serve`)

It starts a runtime on DB, asks for both runs by key (again after a crash, as a client without an
answer does), waits for their ends and leaves. The outcome does not depend on where it was killed:
`ended` compares what stays. With BIDE_FAILPOINT armed it prints how often each point was passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import logging
import os
import sqlite3
import sys
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from bide import Context, Dag, FailTask, Failure, Runtime, dag, shell, task
from bide.runtime import failpoints
from bide.runtime.errors import BideError, GaveUpError
from bide.runtime.service.handles import RunHandle
from bide.runtime.store.invariants import check
from bide.sensors import ExternalTaskSensor, FileSensor, TimeSensor
from bide.triggers import FileTrigger
from tests.recovery.calls import Held, forked
from tests.recovery.warm import rehearsed
from tests.schema import made_always, make

DATE = "2026-03-01T00:00:00+00:00"
SOON = timedelta(milliseconds=50)
LIMIT_S = 40


def declared(folder: Path) -> list[Dag]:
    """The two DAGs, in the world of `folder`."""

    def mark(line: str) -> None:
        """One line, whole, into the ledger."""
        fd = os.open(folder / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, line.encode() + b"\n")
        finally:
            os.close(fd)

    @task(deadline_alert=timedelta(days=1))  # never late
    async def begin(ctx: Context) -> str:
        mark("begin")
        return "begun"

    @task(retries=2, retry_delay=timedelta(milliseconds=5))
    async def flaky() -> int:
        """Fails until the ledger has one failure: however often it is killed, it ends well."""
        if "failing" not in (folder / "ledger").read_text().split():
            mark("failing")
            raise OSError("not yet")
        return 7

    @task
    def in_thread(number: int) -> int:
        """Brings about what the waits wait for."""
        for name in ("drop", "inner"):
            new = folder / f".{name}"
            new.unlink(missing_ok=True)
            new.symlink_to(folder.parent / "truth")  # long quiet: nobody waits for it to settle
            new.rename(folder / name)
        return number * 6

    @task
    async def inside(ctx: Context) -> list[Any]:
        """Code before a wait runs again after a crash; a recorded step does not."""
        stamp = await ctx.once("stamp", lambda: "stamped")
        event = await ctx.wait(
            FileTrigger(path=str(folder / "inner"), settle_us=0), timeout=timedelta(hours=1)
        )
        return [stamp, event["size"]]

    @task(idempotent=False)
    async def only_once() -> None:
        mark("only")

    @task
    async def listed() -> list[int]:
        return [1, 2, 3, 4]

    @task
    async def tripled(numbers: list[int]) -> list[int]:
        return [3 * number for number in numbers]

    @task
    async def added(found: list[list[int]]) -> int:
        return sum(number for part in found for number in part)

    @task
    def source() -> str:
        return "there"

    @task
    async def told(failure: Failure) -> list[str]:
        return [failure.task, failure.error, failure.error_type]

    @task(on_failure=told)
    async def broken() -> None:
        raise FailTask("always")

    @dag(name="upstream", on_all_failed=told)
    def upstream() -> None:
        source()
        broken()

    @dag(name="reference", tz="UTC", deadline_alert=timedelta(microseconds=1))  # always late, once
    def reference() -> None:
        first = begin()
        path = str(folder / "drop")
        drop = FileSensor("drop", path=path, settle=timedelta(0), poll_interval=SOON)
        looked = FileSensor("looked", path=path, settle=timedelta(0), mode="reschedule", poll_interval=SOON)
        clock = TimeSensor("clock", delta=timedelta(seconds=0))
        other = ExternalTaskSensor("other", dag="upstream", task="source")
        body = inside()
        first >> [drop, looked, clock, other, body]
        number = in_thread(flaky())
        said = shell("said", "echo it is {dag}")
        total = added(tripled.map(numbers=listed(), shard=2))
        [drop, looked, clock, other, body, number, total] >> said >> only_once()

    return [reference, upstream]


async def main(db: Path) -> None:
    dags = declared(db.parent)
    async with Runtime(db, dags, slots=4, grace=0.5) as runtime:
        runs = [await runtime.trigger(dag.name, logical_date=DATE, key=dag.name) for dag in dags]
        print("asked", *(run.run_id for run in runs), flush=True)
        for run in runs:
            while not await over(runtime, run):
                pass


async def over(runtime: Runtime, run: RunHandle) -> bool:
    """Wait for a run for a moment; what is lost by then a person looks at, and says that it was done."""
    with contextlib.suppress(GaveUpError):
        await runtime.wait(run, timeout=0.1)
        return True
    for line in (await run.show()).tasks:
        if line.state == "lost":
            args = {"run_id": int(run.run_id), "task": line.task, "state": "success"}
            await runtime.command("mark", args)
    return False


def ended(db: Path) -> dict[str, Any]:
    """What must be the same however the run went: runs, instances, outputs, failures, what fired."""
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        tasks = conn.execute(
            "SELECT d.name, i.task, i.state, o.value FROM task_instance i JOIN run r USING (run_id)"
            " JOIN dag d USING (dag_id) LEFT JOIN output o USING (instance_id) ORDER BY 1, 2, i.map_index"
        ).fetchall()
        folder = str(db.parent)
        return {
            "runs": conn.execute(
                "SELECT d.name, r.state, r.logical_us, r.run_key FROM run r JOIN dag d USING (dag_id) ORDER BY 1"
            ).fetchall(),
            "tasks": [(*row[:3], row[3] and row[3].replace(folder, "")) for row in tasks],
            "left": conn.execute(
                "SELECT (SELECT count(*) FROM wait WHERE state = 'open'), (SELECT count(*) FROM process),"
                " (SELECT count(*) FROM attempt WHERE state = 'running')"
            ).fetchone(),
            "fired twice": conn.execute(
                "SELECT instance_id, key FROM wait WHERE state = 'fired' GROUP BY instance_id, key HAVING count(*) > 1"
            ).fetchall(),
            "late": conn.execute("SELECT kind, subject FROM alert ORDER BY 1, 2").fetchall(),
            "alarms": conn.execute("SELECT kind FROM alarm").fetchall(),
            "violations": [f"{found.id}: {found.sentence}" for found in check(conn, Path(f"{db}.logs"))],
        }


def run(db: Path, failpoint: str) -> int:
    """The reference run in this process; its exit code."""
    failpoints.arm(failpoint)
    try:
        asyncio.run(main(db))
    except (BideError, failpoints.FailPoint) as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return 1
    finally:
        if failpoints.armed():
            print("passed", json.dumps(failpoints.NAMES), flush=True)
    return 0


def rehearsal(folder: Path) -> None:
    """A run whose only use is what it imports."""
    with (folder / "said").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    (folder / "truth").write_text("x")
    os.utime(folder / "truth", (1_700_000_000, 1_700_000_000))
    (folder / "world").mkdir()
    (folder / "world" / "ledger").touch()
    assert run(folder / "world" / "bide.db", "") == 0


def serve() -> None:
    """Run what each line of stdin asks for, `DB FAILPOINT HELD`, in a fork of this process; answers its exit code.

    What of its calls is HELD is written to `<db>.calls`. A fork has everything imported: a case costs a fifth of a new
    process. This process has one thread and no loop, so that a fork of it is clean. What a fork says goes to `<db>.said`.
    """
    make()
    with tempfile.TemporaryDirectory() as folder:
        rehearsed(lambda: rehearsal(Path(folder)))
    for line in sys.stdin:
        db, failpoint, held = line.rstrip("\n").split("\t")
        if held:
            with Path(f"{db}.calls").open("w") as told:
                code = forked(partial(lived, db, failpoint), Held.of(held), partial(print, file=told))
        elif pid := os.fork():
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            made_always()  # one whose calls are held runs the migrations as well
            lived(db, failpoint)
        print(code, flush=True)


def lived(db: str, failpoint: str) -> NoReturn:
    """The whole life of a fork."""
    said = os.open(f"{db}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    code = run(Path(db), failpoint)
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        raise SystemExit(run(Path(sys.argv[1]), os.environ.get("BIDE_FAILPOINT", "")))
