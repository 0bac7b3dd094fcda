"""T7: the service is killed at random instants under load; in the end the tables are those of a run never killed.

Meanwhile it is stopped for a while now and then, its peers over HTTP are cut off, and its broker is restarted; the wall
clock is stepped where time is simulated (tests/sim). Waits of every kind, all lanes, `ctx.wait` and `ctx.once`, retries, three sensor modes. BIDE_SOAK
multiplies the kills (`make soak`); BIDE_KILLS is their number, BIDE_SEED replays one run of instants.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.store.invariants import check
from tests.servers.fixtures import http_server, own_broker
from tests.servers.http_server import HttpServer, reply
from tests.servers.kafka_broker import NoidaBroker

KILLS = int(os.environ.get("BIDE_KILLS", 200 * int(os.environ.get("BIDE_SOAK") or 1)))
SEED = int(os.environ.get("BIDE_SEED", "20261121"))
RUNS = 24
FILE = Path(__file__).with_name("everything.py")
ROOT = Path(__file__).parents[2]

__all__ = ["http_server", "own_broker"]


class Service:
    """One service process after another on one database."""

    def __init__(self, db: Path, environment: dict[str, str]) -> None:
        self.db = db
        self.environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
        self.process: asyncio.subprocess.Process | None = None
        self.acknowledged: dict[str, int] = {}
        self.ready = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.ready.clear()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.recovery.service", str(self.db), str(FILE),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment, cwd=ROOT,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self.process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.heard(line.decode().split())

    def heard(self, words: list[str]) -> None:
        match words:
            case ["ready"]:
                self.ready.set()
            case ["run", key, run_id]:
                before = self.acknowledged.setdefault(key, int(run_id))
                assert before == int(run_id), f"{key} was acknowledged as run {before}, then as {run_id}"

    def say(self, line: str) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self.process.stdin.write(line.encode() + b"\n")

    async def kill(self) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        if self._reading is not None:
            await self._reading

    async def stop(self) -> None:
        self.say("stop")
        assert self.process is not None
        assert await asyncio.wait_for(self.process.wait(), 30) == 0
        if self._reading is not None:
            await self._reading


class Lives(Service):
    """All in forks of one process that has imported what they need: there are hundreds."""

    def __init__(self, db: Path, environment: dict[str, str]) -> None:
        super().__init__(db, environment)
        self._over = asyncio.Event()
        self._pid = self._code = 0

    async def start(self) -> None:
        self.ready.clear()
        self._over.clear()
        if self.process is None:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.recovery.service", str(self.db), str(FILE), "lives",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment, cwd=ROOT,
            )  # fmt: skip
            self._reading = asyncio.create_task(self._read(self.process))
        self.say("start")

    def heard(self, words: list[str]) -> None:
        match words:
            case ["began", pid]:
                self._pid = int(pid)
            case ["ended", code]:
                self._code = int(code)
                self._over.set()
            case _:
                super().heard(words)

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        await self._ended()
        assert self._code == -signal.SIGKILL

    async def stop(self) -> None:
        self.say("stop")
        await asyncio.wait_for(self._ended(), 30)
        assert self._code == 0
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert await asyncio.wait_for(self.process.wait(), 30) == 0

    async def stand_still(self, seconds: float) -> None:
        """Neither killed nor alive, as under a debugger or on a laptop that sleeps."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)  # time that passes is what is tested
            os.kill(self._pid, signal.SIGCONT)

    async def _ended(self) -> None:
        """By then all that the life has said is heard."""
        assert self._reading is not None
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait([over, self._reading], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if self._reading.done():
            self._reading.result()


class World:
    """What the DAG waits for; comes true for a run some time after it has begun to wait."""

    def __init__(self, folder: Path, http: HttpServer, broker: NoidaBroker) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "ledger").touch()
        self.http = http
        self.broker = broker

    async def breaks(self, dice: random.Random) -> None:
        """One of the peers is gone for a moment; it comes back at the same address, with what it had."""
        if dice.random() < 0.5:
            await self.http.stop()
            await asyncio.sleep(dice.uniform(0, 0.1))
            await self.http.start()
        else:
            await asyncio.to_thread(self.broker.kill)
            await asyncio.to_thread(self.broker.start)

    def environment(self) -> dict[str, str]:
        return {
            "BIDE_TEST_WORLD": str(self.folder),
            "BIDE_TEST_HTTP": self.http.url(""),
            "BIDE_TEST_KAFKA": self.broker.address,
        }

    def come_true(self, run_id: int) -> None:
        """Once a run: a second call does nothing."""
        if (self.folder / f"inner-{run_id}").exists():
            return
        self.http.on(f"/ready/{run_id}", reply(200, b'{"ok": true}'))
        for name in (f"drop-{run_id}", f"inner-{run_id}"):
            (self.folder / name).write_text("x")

    def ledger(self) -> Counter[str]:
        lines = (self.folder / "ledger").read_text().splitlines()
        return Counter(line.rpartition(" ")[0] for line in lines)


def tables(db: Path) -> tuple[dict[str, str], dict[tuple[str, str], Any], list[str]]:
    """(run key -> state, (run key, task) -> (state, output), violations) of a database."""
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        keys = dict(
            conn.execute(
                "SELECT r.run_id, d.name || ' ' || r.logical_us FROM run r JOIN dag d USING (dag_id)"
            )
        )
        runs = {keys[run_id]: state for run_id, state in conn.execute("SELECT run_id, state FROM run")}
        rows = conn.execute(
            "SELECT run_id, task, state, value, map_index FROM task_instance LEFT JOIN output USING (instance_id)"
        )
        tasks = {
            (keys[run_id], task if index < 0 else f"{task}[{index}]"): (state, value)
            for run_id, task, state, value, index in rows
        }
        return runs, tasks, [f"{found.id}: {found.sentence}" for found in check(conn)]


def unfinished(db: Path) -> list[tuple[int, str]]:
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        return conn.execute(
            "SELECT run_id, (SELECT group_concat(task || ' ' || state) FROM task_instance i WHERE i.run_id = r.run_id"
            " AND state NOT IN ('success', 'failed', 'pending')) FROM run r WHERE ended_us IS NULL"
        ).fetchall()


def triggers(dates: list[str], acknowledged: dict[str, int]) -> list[str]:
    """What a client that has had no answer asks again, with the same key."""
    asked = [f"trigger {dag} {date} {dag}-{date}" for date in dates for dag in ("everything", "upstream")]
    return [line for line in asked if line.split()[3] not in acknowledged]


async def played(db: Path, world: World, kills: int, seed: int) -> None:
    """All runs to their end, with so many kills on the way."""
    dice, chaos = random.Random(seed), random.Random(seed + 1)
    dates = [f"2026-03-{day:02d}T{hour:02d}:00:00+00:00" for day in range(1, 5) for hour in range(RUNS // 4)]
    service = Lives(db, world.environment())
    true: set[int] = set()
    left = kills
    while True:
        await service.start()
        await asyncio.wait_for(service.ready.wait(), 30)
        share = len(dates) if not kills else 1 + (kills - left) * len(dates) // kills
        for line in triggers(dates[:share], service.acknowledged):
            service.say(line)
        if left:
            await asyncio.sleep(
                dice.uniform(0, 0.35)
            )  # the instant of the kill: what is under test, not a wait
            for key, run_id in service.acknowledged.items():
                if key.startswith("everything") and run_id not in true and dice.random() < 0.2:
                    world.come_true(run_id)
                    true.add(run_id)
            match chaos.random():
                case drawn if drawn < 0.03:
                    await world.breaks(chaos)
                case drawn if drawn < 0.1:
                    await service.stand_still(chaos.uniform(0.05, 0.3))
            await service.kill()
            left -= 1
            continue
        async with asyncio.timeout(120):
            while triggers(dates, service.acknowledged) or not only_lost(unfinished(db)):
                for key, run_id in service.acknowledged.items():
                    if key.startswith("everything"):
                        world.come_true(run_id)
                await asyncio.sleep(0.1)  # between two looks at another process's database
        await service.stop()
        return


def only_lost(rows: list[tuple[int, str]]) -> bool:
    """Whether all that is left waits for a person, as a body that may not run twice must."""
    return all(tasks == "only_once lost" for _, tasks in rows)


@pytest.fixture
async def truth(http_server: HttpServer, own_broker: NoidaBroker, tmp_path: Path) -> World:
    world = World(tmp_path / "world", http_server, own_broker)
    (world.folder / "python").touch()
    await own_broker.create("events")
    await own_broker.produce("events", {0: 6})
    return world


@pytest.mark.soak
async def test_t7_p1_p3_p4_killed_at_random_instants_the_tables_are_those_of_a_run_never_killed(
    truth: World, tmp_path: Path
) -> None:
    calm, wild = tmp_path / "calm.db", tmp_path / "wild.db"
    await played(calm, truth, 0, SEED)
    for left in truth.folder.glob("*-*"):
        left.unlink()
    (truth.folder / "ledger").write_text("")
    await played(wild, truth, KILLS, SEED)

    replay = f"BIDE_KILLS={KILLS} BIDE_SEED={SEED} pytest {__file__}"
    calm_runs, calm_tasks, calm_bad = tables(calm)
    runs, tasks, bad = tables(wild)
    assert (calm_bad, bad) == ([], []), replay
    lost = {key for key, (state, _) in tasks.items() if state == "lost"}
    assert all(task == "only_once" for _, task in lost), replay
    assert set(runs) == set(calm_runs), replay
    run_of = run_ids(wild), run_ids(calm)
    for key, (state, value) in calm_tasks.items():
        if (key[0], "only_once") in lost and key[1] == "told_all":
            assert tasks[key] == ("pending", None), (key, replay)  # the run is not over: a person is asked
        elif key not in lost:
            want = state, timeless(told(value, run_of[1][key[0]], run_of[0][key[0]]))
            assert (tasks[key][0], timeless(tasks[key][1])) == want, (key, replay)
    ledger = truth.ledger()
    for run_key, run_id in run_of[0].items():
        if run_key.startswith("everything"):
            assert ledger[f"{run_id} only_once only"] == 1 or (run_key, "only_once") in lost, replay
            assert ledger[f"{run_id} only_once only"] <= 1, replay
            assert ledger[f"{run_id} flaky failing"] == 2, replay


def run_ids(db: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        rows = conn.execute(
            "SELECT d.name || ' ' || r.logical_us, run_id FROM run r JOIN dag d USING (dag_id)"
        )
        return dict(rows.fetchall())


def told(value: str | None, was: int, now: int) -> str | None:
    """An output of the calm run as it reads with the run id of the other."""
    if value is None:
        return None
    for before, after in (
        (f'"{was}"', f'"{now}"'),
        (f"-{was}", f"-{now}"),
        (f"/{was}", f"/{now}"),
        (f"is {was}", f"is {now}"),
    ):
        value = value.replace(before, after)
    return value


def timeless(value: str | None) -> str | None:
    """An output without the instants at which the world came true."""
    return None if value is None else re.sub(r'"(mtime|date)":"[^"]*"', '"\\1":""', value)
