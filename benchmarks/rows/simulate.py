"""A month of three cadences and a mart in simulated time: about 12,000 runs, 36,000 task attempts.

Its limit writes the same rows of the same lives, one transaction an instant, into a database that
is never synced either, by plain sqlite3 and a heap: no schedule, no decision, no names.
"""

from __future__ import annotations

import sqlite3
import time
from datetime import timedelta
from heapq import heappop, heappush
from pathlib import Path

from benchmarks.limits import ATTEMPT_NEW, ATTEMPT_SET, EVENT, INSTANCE_NEW, INSTANCE_SET, SCHEMA, Rows
from benchmarks.measure import scratch
from bide import AnyOf, Asset, Cron, Dag, Every, OnAssets, dag, task
from bide.sensors import FileSensor, HttpSensor
from bide.testing import Rule, Script, Spread, When, simulated

START, DAYS = "2026-03-01", 31
RUNS, TASKS = 31 * (288 + 96 + 1 + 1), 3
DAY = timedelta(days=1)
clicks, paid, crm = Asset("raw.events"), Asset("raw.payments"), Asset("raw.accounts")


@task(retries=2, retry_delay=timedelta(minutes=1))
def load() -> None:
    pass


@task
def check() -> None:
    pass


@task
def publish() -> None:
    pass


@dag(schedule=Every(timedelta(minutes=5)), catchup="all")
def events() -> None:
    load() >> check() >> publish.options(outlets=[clicks])()


@dag(schedule=Cron("*/15 * * * *"), catchup="all")
def payments() -> None:
    (
        HttpSensor("ready", url="https://pay.example/{interval.start}")
        >> load()
        >> publish.options(outlets=[paid])()
    )


@dag(schedule=Cron("0 1 * * *", interval="day"), catchup="all")
def accounts() -> None:
    (
        FileSensor("drop", path="/in/{logical_date:%Y-%m-%d}.csv", timeout=DAY)
        >> load()
        >> publish.options(outlets=[crm])()
    )


@dag(
    schedule=AnyOf(
        OnAssets(clicks & paid & crm, consume="latest", interval="day"), Cron("0 5 * * *", interval="day")
    ),
    catchup="all",
)
def mart() -> None:
    load() >> check() >> publish()


CADENCES: list[Dag] = [events, payments, accounts, mart]
SCRIPT = Script(
    tasks={
        "events.load": Rule(duration=Spread(uniform=("5s", "40s")), fail=When(every=50, times=1)),
        "payments.ready": Rule(arrives="20s"),
        "accounts.drop": Rule(arrives="01:20"),
        "mart.load": Rule(duration="10m"),
    }
)


async def month() -> dict[str, float]:
    """Seconds for the whole month, from the first DAG to the report."""
    began = time.perf_counter()
    async with simulated(CADENCES, start=START, script=SCRIPT) as sim:
        await sim.run_for(timedelta(days=DAYS))
        report = sim.report()
    took = time.perf_counter() - began
    assert report.runs == RUNS, report
    assert all(each.outcomes.get("failed", 0) == 0 for each in report.dags.values()), report
    return {
        "month_s": took,
        "runs": report.runs,
        "tasks": report.tasks,
        "us_per_task": took / report.tasks * 1e6,
    }


async def bare() -> dict[str, float]:
    """The same lives without an orchestrator."""
    with scratch() as folder:
        began = time.perf_counter()
        _write_month(folder)
        took = time.perf_counter() - began
    return {"month_s": took, "runs": RUNS, "tasks": RUNS * TASKS, "us_per_task": took / (RUNS * TASKS) * 1e6}


def _write_month(folder: Path) -> None:
    conn = sqlite3.connect(folder / "bare.db", isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=OFF")
    conn.executescript(SCHEMA.read_text())
    conn.execute("INSERT INTO dag (dag_id, name, schedule, options) VALUES (1,'d','{}','{}')")
    conn.execute(
        "INSERT INTO dag_version (version_id, dag_id, hash, spec, created_us) VALUES (1,1,'h','{}',0)"
    )
    due = [(run * 225, run, 0) for run in range(RUNS)]  # sorted: a heap
    seq = 0
    while due:
        at, run, step = heappop(due)
        events: Rows = []
        conn.execute("BEGIN IMMEDIATE")
        first = run * TASKS
        if step == 0:
            conn.execute(
                "INSERT INTO run (run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us,"
                " scheduled_us, params, created_us) VALUES (?,1,1,'running','scheduled',?,?,0,0,0,'{}',0)",
                (run, f"k{run}", run),
            )
            conn.executemany(
                INSTANCE_NEW, [(first + n, run, f"t{n}", -1, "pending", at) for n in range(TASKS)]
            )
            events += [("run", run, "", "expanding"), ("run", run, "expanding", "queued"),
                       ("run", run, "queued", "running")]  # fmt: skip
        else:
            before = first + step - 1
            conn.execute(ATTEMPT_SET, ("success", at, 0, None, None, before))
            conn.execute(INSTANCE_SET, ("success", 1, 0, 0, before, at, None, None, "", before))
            events += [("attempt", before, "running", "success"), ("instance", before, "running", "success")]
        if step < TASKS:
            now = first + step
            conn.execute(ATTEMPT_NEW, (now, now, 1, "running", 1, at))
            conn.execute(INSTANCE_SET, ("running", 1, 0, 0, now, at, None, None, "", now))
            events += [("instance", now, "pending", "ready"), ("instance", now, "ready", "running"),
                       ("attempt", now, "", "running")]  # fmt: skip
            heappush(due, (at + 1, run, step + 1))
        else:
            conn.execute("UPDATE run SET state = 'success', ended_us = ? WHERE run_id = ?", (at, run))
            events.append(("run", run, "running", "success"))
        conn.executemany(
            EVENT,
            [
                (seq + n, at, 1, subject, i, run, was, now_is, "")
                for n, (subject, i, was, now_is) in enumerate(events, 1)
            ],
        )
        seq += len(events)
        conn.execute("COMMIT")
    conn.close()
