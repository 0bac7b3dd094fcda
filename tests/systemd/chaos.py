"""T7 under a real systemd: the unit is killed again and again, at random instants, while it is asked and works.

Each time systemd starts it anew. Every now and then it is stopped for a moment instead, as a laptop that sleeps is. A client asks
for runs all the while, over the service where there is one and on the database where there is none, and asks again
with the same key where it was not answered. In the end all that was acknowledged is there and done, once; what was waited for before is
waited for still; and the database is whole. BIDE_SOAK=n: n times as many kills, 2 to 10 s apart (170: 1,000 in some two
hours, with 10,000 waits held); BIDE_KILLS is their number, BIDE_SEED replays their instants.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from bide.runtime.store.invariants import check

SOAK: Final = int(os.environ.get("BIDE_SOAK") or 0)
KILLS: Final = int(os.environ.get("BIDE_KILLS") or 6 * max(1, SOAK))
SEED: Final = int(os.environ.get("BIDE_SEED") or 20261121)
APART_S: Final = (2.0, 10.0) if SOAK else (0.05, 0.8)
HELD: Final = 200 if SOAK else 4
"""Runs of 50 waits each."""
TAKES_S: Final = 60 + KILLS * (APART_S[1] + 6)
"""What they take at most, on a machine that is busy."""
STATE: Final = Path("/var/lib/bide")
DB: Final = STATE / "bide.db"
DAGS: Final = """
import os
import time
from datetime import timedelta
from pathlib import Path

from bide import Context, dag, shell, task
from bide.sensors import FileSensor, TimeSensor
from bide.triggers import TimeTrigger

HERE = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/bide"))
FAR = timedelta(days=300)
OFTEN = 1000

@task(max_lost=OFTEN)
async def draws(ctx: Context) -> str:
    return str(await ctx.once("draw", lambda: os.urandom(8).hex()))

@task(max_lost=OFTEN)
async def waits(ctx: Context, drawn: str) -> str:
    at = await ctx.once("at", lambda: time.time_ns() // 1000 + 300_000)
    await ctx.wait(TimeTrigger(at_us=at), timeout=timedelta(hours=1))
    return drawn

@task(max_lost=OFTEN)
def tells(ctx: Context, drawn: str) -> str:
    with (HERE / "ledger").open("a") as ledger:
        ledger.write(f"{ctx.run_id} {drawn}\\n")
    return drawn

@dag(max_active_runs=100_000)
def work():
    drop = FileSensor("drop", path=f"{HERE}/drop-{{run_id}}", settle=timedelta(0), timeout=FAR)
    told = tells(waits(draws()))
    [drop, told] >> shell("looks", "grep -q '^{run_id} ' $STATE_DIRECTORY/ledger", max_lost=OFTEN)

@dag(max_active_runs=1000)
def held():
    for n in range(40):
        FileSensor(f"file{n}", path=f"{HERE}/none-{n}-{{run_id}}", timeout=FAR)
    for n in range(10):
        TimeSensor(f"time{n}", at="2099-01-01T00:00:00+00:00", timeout=FAR * 100)
"""


class Client:
    """Asks for runs and keeps what it was told."""

    def __init__(self, bide: Any) -> None:
        self._bide = bide
        self.told: dict[str, str] = {}
        """Key -> the run that was acknowledged."""
        self.asked: list[str] = []

    def trigger(self, dag: str, key: str) -> None:
        """Once more under a key that was told of is the same run; a service that is gone may leave it open."""
        if key not in self.asked:
            self.asked.append(key)
        found = self._bide("trigger", dag, "--idempotency-key", key)
        if found is not None:
            assert self.told.setdefault(key, found["run_id"]) == found["run_id"], (key, self.told[key], found)

    def works(self, until_over: threading.Thread, batch: int, dice: random.Random) -> None:
        """Ask until the kill has been made; some files that runs wait for come meanwhile."""
        number = 0
        while until_over.is_alive():
            self.trigger("work", f"work-{batch}-{number % 8}")
            number += 1
            if self.told and dice.random() < 0.3:
                (STATE / f"drop-{dice.choice([*self.told.values()])}").write_text("x")
            until_over.join(0.05)


def stops_then_kills(ctl: Any, after_s: float, stop_s: float) -> threading.Thread:
    """A thread that does it to the unit's process, at its own time."""

    def does() -> None:
        time.sleep(after_s)  # the instant is what is tested
        if stop_s:
            ctl("kill", "-s", "STOP", "--kill-who=main", "bide")
            time.sleep(stop_s)
            ctl("kill", "-s", "CONT", "--kill-who=main", "bide")
        ctl("kill", "-s", "KILL", "--kill-who=main", "bide")

    thread = threading.Thread(target=does, name="chaos")
    thread.start()
    return thread


def judged(client: Client) -> str:
    """Of the database of a service that has ended: "", or what is wrong."""
    with contextlib.closing(sqlite3.connect(f"file:{DB.resolve()}?mode=ro", uri=True)) as conn:
        whole = conn.execute("PRAGMA integrity_check").fetchall()
        assert whole == [("ok",)], whole
        violated = [f"{found.id}: {found.sentence}" for found in check(conn)]
        assert not violated, violated
        runs = conn.execute(
            "SELECT state, count(*) FROM run JOIN dag USING (dag_id) WHERE name = 'work' GROUP BY state"
        ).fetchall()
        keys = [key for key in client.asked if key.startswith("work")]
        assert runs == [("success", len(keys))], (runs, len(keys))
    drawn = defaultdict[str, set[str]](set)
    for line in (STATE / "ledger").read_text().splitlines():
        run, said = line.split()
        drawn[run].add(said)
    told = {client.told[key] for key in keys}
    assert told == set(drawn), told ^ set(drawn)
    assert all(len(each) == 1 for each in drawn.values()), "a step that was done was done again"
    return f"{KILLS} kills, {len(keys)} runs, {HELD * 50} waits held, 0 lost"
