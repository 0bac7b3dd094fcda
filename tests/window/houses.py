"""Houses at 0, 10 and 10,000 runs, as pictures are taken of them: a fresh one, one of a first morning, one of a year.

The runs of the year are rows that were never worked: what they look like is asked, not what made them.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.window.dense import STEPS
from tests.window.house import SHOWCASE, House

SIZES = (0, 10, 10_000)
MINUTE = 60_000_000
ERROR = "ValueError: 3 of 120 rows have no customer: 4711, 4712 and 4713 (the partner's file of 02:14 was cut at 64 kB)"


def house(folder: Path, runs: int) -> House:
    """One that is open, with about so many runs in it."""
    dags = folder / "dags"
    dags.mkdir(parents=True)
    shutil.copy(SHOWCASE, dags)
    if runs:
        shutil.copy(SHOWCASE.with_name("planned.py"), dags)
    if runs > 10:
        shutil.copy(SHOWCASE.with_name("dense.py"), dags)
    if runs:
        (folder / "bide.toml").write_text("[pools]\nnarrow = 1\nwarehouse = 4\n\n[budgets]\nqueries = 500\n")
    made = House(folder, dags)
    made.open()
    try:
        if runs > 10:
            made.close()
            with closing(sqlite3.connect(made.db, isolation_level=None)) as db:
                worked(db, runs)
            (made.world / "go").unlink()
            made.open()
        if runs:
            made.runs = lived(made)
    except BaseException:
        made.close()
        raise
    return made


def lived(house: House) -> dict[str, str]:
    """A morning: runs in all states, a plan that is worked, a question, an effect, what was wrong with data."""
    runs = house.furnish()
    runs["wide"] = house.trigger("wide")
    house.trigger("with_params", text="good morning")
    (house.world / "bad").write_text("2026-03-03")
    days = {"dag": "reports", "from": "2026-03-01", "to": "2026-03-11"}
    plan = house.ask("/backfills/plan", days)
    runs["backfill"] = str(house.ask("/backfills", {**days, "hash": plan["hash"]})["backfill_id"])
    house.trigger("release")
    house.trigger("exporting")
    house.until(f"/runs/{runs['wide']}?limit=1", lambda run: run["state"] == "success", 60)
    version = house.ask("/asset-versions?asset=orders")[0]["version"]
    house.ask(
        f"/asset-versions/{version}/degrade",
        {"limitations": ["the shop in Graz is missing"], "by": "ann", "why": "its line was down until noon"},
    )
    house.bide("pause", "with_params")
    house.until("/approvals", lambda found: len(found) >= 2)
    return runs


def worked(db: sqlite3.Connection, runs: int) -> None:
    """So many runs of the dense DAGs over a year, three in a hundred failed."""
    chance = random.Random(6)
    dags = db.execute(
        "SELECT d.dag_id, d.version_id FROM dag d WHERE d.name LIKE '%.%' ORDER BY d.dag_id"
    ).fetchall()
    now = time.time_ns() // 1000
    apart = 365 * 24 * 60 * MINUTE // runs
    [(run,)] = db.execute("SELECT coalesce(max(run_id), 0) FROM run").fetchall()
    [(instance,)] = db.execute("SELECT coalesce(max(instance_id), 0) FROM task_instance").fetchall()
    [(attempt,)] = db.execute("SELECT coalesce(max(attempt_id), 0) FROM attempt").fetchall()
    [(seq,)] = db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchall()
    db.execute("BEGIN")
    for number in range(runs):
        dag, version = dags[number % len(dags)]
        run += 1
        at = began = now - (runs - number) * apart
        breaks = chance.randrange(1, 5) if chance.random() < 0.03 else 9
        rows: list[tuple[str, str, int, int]] = []
        for place, task in enumerate(STEPS):
            takes = (
                int(chance.lognormvariate(0, 0.6) * (20 + 40 * (dag % 5)) * 1_000_000)
                if place <= breaks
                else 0
            )
            state = "success" if place < breaks else "failed" if place == breaks else "upstream_failed"
            rows.append((task, state, at, takes))
            at += takes
        state = "failed" if breaks < 5 else "success"
        db.execute(
            "INSERT INTO run (run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us, scheduled_us,"
            " params, created_us, started_us, ended_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '{}', ?, ?, ?)",
            (
                run,
                dag,
                version,
                state,
                "scheduled" if number % 9 else "manual",
                f"k{number}",
                *[began] * 6,
                at,
            ),
        )
        events: list[tuple[int, str, int, str, str, str]] = [(began, "run", run, "", "running", "")]
        for task, ended, start, takes in rows:
            instance += 1
            ran = ended != "upstream_failed"
            attempt += ran
            reason = ERROR if ended == "failed" else ""
            db.execute(
                "INSERT INTO task_instance (instance_id, run_id, task, state, attempt, attempt_id, since_us, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (instance, run, task, ended, int(ran), attempt if ran else None, start + takes, reason),
            )
            if ran:
                db.execute(
                    "INSERT INTO attempt (attempt_id, instance_id, number, state, epoch, started_us, ended_us, active_us, error)"
                    " VALUES (?, ?, 1, ?, 1, ?, ?, ?, ?)",
                    (attempt, instance, ended, start, start + takes, takes, reason or None),
                )
            moves = [
                ("pending", "ready", start),
                ("ready", "running", start),
                ("running", ended, start + takes),
            ]
            for was, then, when in moves if ran else [("pending", ended, start)]:
                events.append((when, "instance", instance, was, then, reason if then == "failed" else ""))
            if ran:
                events.append((start, "attempt", attempt, "", "running", ""))
                events.append((start + takes, "attempt", attempt, "running", ended, reason))
        events.append((at, "run", run, "running", state, ""))
        for when, subject, of, was, then, reason in events:
            seq += 1
            db.execute(
                "INSERT INTO event (seq, at_us, epoch, subject, subject_id, run_id, was, now, reason)"
                " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)",
                (seq, when, subject, of, run, was, then, reason),
            )
    db.execute("COMMIT")
