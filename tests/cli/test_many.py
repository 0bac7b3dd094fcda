"""One thing done to many from the terminal."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from bide import Runtime, dag
from bide.sensors import FileSensor
from tests.cli.conftest import Bide


@dag(max_active_runs=50)
def daily_a() -> None:
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30))


async def _three_runs(db: Path) -> None:
    async with Runtime(db, [daily_a]) as rt:
        for day in (1, 2, 3):
            await rt.trigger("daily_a", logical_date=f"2026-06-0{day}")
        await rt.settled()


def test_the_terminal_cancels_and_reruns_by_a_filter(bide: Bide, tmp_path: Path) -> None:
    asyncio.run(_three_runs(tmp_path / "b.db"))
    states = "state=running,queued,expanding,dag=daily_a"
    said = bide("cancel", "--where", states, "--dry-run", "--db", "b.db")
    assert said.out == "3 runs to cancel (dag=daily_a state=running,queued,expanding): 3, 2, 1\n"
    said = bide("cancel", "--where", "dag=daily_a,until=2026-06-03", "--expect", "3", "--db", "b.db")
    assert (said.code, "3 runs were expected, and 2 match now" in said.err) == (4, True)
    said = bide("cancel", "--where", "dag=daily_a,until=2026-06-03", "--db", "b.db")
    assert said.out == "action 1 (cancel, dag=daily_a until=2026-06-03T00:00:00Z): 2 of 2 done\n"
    said = bide("rerun", "--where", "dag=daily_*", "--db", "b.db")
    assert said.out == "action 2 (rerun, dag=daily_*): 2 of 2 done\n"
    assert bide("action", "1", "--json", "--db", "b.db").code == 0
    said = bide("pause", "daily_*", "--db", "b.db")
    assert said.out == "action 3 (pause, dag=daily_*): 1 of 1 done\n"
    for words in (
        ["--where", "colour=red"],
        ["1", "--where", "dag=x"],
        ["--where", "dag=x,y"],
        [],
        ["1", "--dry-run"],
    ):
        assert bide("cancel", *words, "--db", "b.db").code == 2, words


def test_the_terminal_extends_and_fails_waits_by_a_filter(bide: Bide, tmp_path: Path) -> None:
    asyncio.run(_three_runs(tmp_path / "b.db"))
    said = bide("waits", "extend", "--where", "task=daily_a.drop", "--by", "2h", "--dry-run", "--db", "b.db")
    assert said.out == "3 waits to extend (task=daily_a.drop): 1, 2, 3\n"
    said = bide("waits", "fail", "--where", "kind=file", "--expect", "2", "--db", "b.db")
    assert (said.code, "2 waits were expected, and 3 match now" in said.err) == (4, True)
    said = bide("waits", "look", "--where", "kind=file", "--db", "b.db")
    assert (said.code, "nothing can look" in said.err) == (5, True)
    said = bide(
        "waits", "fail", "--where", "kind=file,what=file /nowhere/drop", "--reason", "gone", "--db", "b.db"
    )
    assert said.out == "action 1 (fail, kind=file what=file /nowhere/drop): 3 of 3 done\n"
    for words in (
        ["--where", "colour=red"],
        ["1", "--where", "dag=x"],
        ["--where", "dag=x,dag=y"],
        [],
        ["1", "--dry-run"],
    ):
        assert bide("waits", "fail", *words, "--db", "b.db").code == 2, words


@dag(max_active_runs=50)
def weekly() -> None:
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30)) >> FileSensor(
        "next", path="/nowhere/next"
    )


async def _states(db: Path, task: str) -> list[str]:
    async with Runtime(db, [weekly]) as rt:
        runs = await rt.operations.runs("weekly")
        shown = [
            await rt.operations.show(run.run_id) for run in sorted(runs, key=lambda run: int(run.run_id))
        ]
        return [line.state for one in shown for line in one.tasks if line.task == task]


async def _weeks(db: Path) -> None:
    async with Runtime(db, [weekly]) as rt:
        for day in (1, 8, 15):
            await rt.trigger("weekly", logical_date=f"2026-06-{day:02d}")
        await rt.settled()


def test_the_terminal_marks_a_task_of_all_runs_that_a_filter_finds(bide: Bide, tmp_path: Path) -> None:
    db = tmp_path / "b.db"
    asyncio.run(_weeks(db))
    where = ["--where", "dag=weekly,until=2026-06-15", "--db", "b.db"]
    said = bide("mark", "drop", "success", *where, "--dry-run")
    assert (said.code, said.out.partition(" (")[0], said.out.rpartition(": ")[2]) == (
        0,
        "2 runs to mark",
        "1, 2\n",
    )
    said = bide("mark", "drop", "success", *where, "--expect", "3")
    assert (said.code, "3 runs were expected, and 2 match now" in said.err) == (4, True)
    assert asyncio.run(_states(db, "drop")) == ["deferred"] * 3, "nothing was done"
    said = bide("mark", "drop", "success", *where, "--expect", "2")
    assert (said.code, "2 of 2 done" in said.out) == (0, True), said
    assert asyncio.run(_states(db, "drop")) == ["success", "success", "deferred"]
    said = bide(
        "mark", "drop", "skipped", "--downstream", "--where", "dag=weekly,since=2026-06-15", "--db", "b.db"
    )
    assert (said.code, "1 of 1 done" in said.out) == (0, True), said
    assert asyncio.run(_states(db, "next")) == ["deferred", "deferred", "skipped"]
    for words in (["drop", "done"], ["drop"]):
        assert bide("mark", *words, *where).code == 2, words
    assert bide("mark", "1", "drop", "success", *where).code == 2
