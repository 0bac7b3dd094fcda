"""A laptop that sleeps: a real service stands still over firings and a deadline, and judges them when it goes on.

The same is shown with a clock that is moved in tests/sim/test_missed_firings.py (every policy, steps in both
directions), and for deadlines alone in test_storage.py.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.clock import SECOND
from tests.recovery.test_orphans import OneFile, until
from tests.recovery.test_storage import rows as rows_of

FILE = """
from datetime import timedelta
from bide import Every, dag, task, within
from bide.sensors import FileSensor

@task
async def work(): ...

def each_second(name, catchup):
    @dag(name=name, schedule=Every(seconds=1, anchor="2026-01-01T00:00:00+00:00"), catchup=catchup, max_active_runs=50)
    def watched():
        work()
    return watched

every = each_second("every", "all")
latest = each_second("latest", "latest")
none = each_second("none", "none")
some = each_second("some", within(timedelta(seconds=2)))

@dag
def waiting():
    FileSensor("in_time", path="/nowhere/at/all", timeout=timedelta(seconds=2))
"""
NAMES = ("every", "latest", "none", "some")
_RUNS = (
    "SELECT d.name, r.scheduled_us, r.created_us FROM run r JOIN dag d USING (dag_id)"
    " WHERE r.kind = 'scheduled' ORDER BY r.scheduled_us"
)
_SKIPS = (
    "SELECT d.name, s.from_us, s.until_us, s.at_us, s.reason FROM skipped_firing s JOIN dag d USING (dag_id)"
)


def rows(db: Path, sql: str) -> list[Any]:
    return list(rows_of(db, sql))


@pytest.mark.slow
async def test_s3_8_c58_p8_what_a_sleeping_service_missed_is_judged_by_catchup_on_record_and_never_twice(
    tmp_path: Path,
) -> None:
    db, file = tmp_path / "b.db", tmp_path / "dags.py"
    file.write_text(FILE)
    service = OneFile(db, file)
    await service.start()

    def count(name: str) -> int:
        return sum(run[0] == name for run in rows(db, _RUNS))

    await until(lambda: all(count(name) for name in NAMES))
    service.say("trigger waiting 2026-01-01 x")
    await until(lambda: rows(db, "SELECT 1 FROM wait WHERE state = 'open'"))
    assert service.process is not None
    service.process.send_signal(signal.SIGSTOP)
    before = {name: count(name) for name in NAMES}
    await asyncio.sleep(4.2)  # time that passes is what is tested
    service.process.send_signal(signal.SIGCONT)
    await until(lambda: rows(db, "SELECT 1 FROM wait WHERE state = 'timed_out'"))
    await until(lambda: count("none") > before["none"])  # a firing after it woke
    await service.stop()

    judged: dict[str, tuple[list[int], list[int]]] = {}
    for name in NAMES:
        ran = [at for dag, at, _ in rows(db, _RUNS) if dag == name]
        skipped = [
            at
            for dag, first, last, _, reason in rows(db, _SKIPS)
            if dag == name and reason
            for at in range(first, last + 1, SECOND)
        ]
        known = sorted([*ran, *skipped])
        assert known == list(range(known[0], known[-1] + 1, SECOND)), f"{name}: one lost, or twice"
        judged[name] = (ran, skipped)
    asleep = judged["none"][1]  # but the last that was due: it is late by less than a firing may be
    assert len(asleep) >= 3
    assert judged["every"][1] == []
    assert set(asleep) <= set(judged["every"][0])
    assert abs(len(judged["latest"][1]) - len(asleep)) <= 1
    assert len(asleep) - 3 <= len(judged["some"][1]) < len(asleep)
    assert len({at for dag, _, _, at, _ in rows(db, _SKIPS) if dag == "none"}) == 1, "all at once"
    assert all(made >= due for _, due, made in rows(db, _RUNS))
    ended = "SELECT count(*) FROM event WHERE subject = 'wait' AND was = 'open'"
    assert rows(db, ended) == [(1,)]  # its deadline was judged once
    assert rows(db, "SELECT * FROM event WHERE subject = 'clock'") == []  # sleeping is no step of the clock
