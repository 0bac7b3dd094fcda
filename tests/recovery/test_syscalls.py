"""T2: kill -9 right before every system call that changes the store, then recovery; and in recovery as well.

Two reference runs tell their calls: one that makes a new database, one that works on it. Each pwrite64, fdatasync, ftruncate
and unlink of them is a point, so in CI all are visited. BIDE_SOAK=n kills during recovery at n times as many pairs;
BIDE_KILL="[new:]CALL:N[,CALL:N]" replays one (`new:` while the database is made; the second kill is in recovery).
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.recovery.calls import Held
from tests.recovery.reference import ended
from tests.recovery.sweep import SEED, SOAK, Bench, bench, calls_of, forget, needs_held, said, swept, verdict
from tests.schema import make

CALLS = "pwrite64,fdatasync,ftruncate,unlink"
TWICE = 40
KILLED = -9
MADE = "opened:1:exit"
"""A run that ends when its database is made."""
DIED = 137

Kill = tuple[str, int]


class Case(NamedTuple):
    new: bool
    kills: tuple[Kill, ...]

    def __str__(self) -> str:
        return "new:" * self.new + ",".join(f"{call}:{number}" for call, number in self.kills)


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Bench]:
    needs_held()
    with bench(tmp_path) as made:
        yield made


def points(db: Path) -> list[Kill]:
    """Every call of the last run as (call, which one of its thread), in order, each once."""
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[Kill, None] = {}
    for thread, call in calls_of(db):
        counts[thread, call] += 1
        found[call, counts[thread, call]] = None
    return list(found)


def cases(making: list[Kill], once: list[Kill], recovering: list[Kill]) -> list[Case]:
    if one := os.environ.get("BIDE_KILL"):
        kills = [each.split(":") for each in one.removeprefix("new:").split(",")]
        return [Case(one.startswith("new:"), tuple((call, int(number)) for call, number in kills))]
    dice = random.Random(SEED)
    pairs = [(dice.choice(once), dice.choice(recovering)) for _ in range(TWICE * SOAK)]
    return [
        *(Case(True, (kill,)) for kill in making),
        *(Case(False, (kill,)) for kill in once),
        *(Case(False, pair) for pair in pairs),
    ]


def replay(case: Case) -> str:
    return f"BIDE_KILL={case} BIDE_SEED={SEED} pytest {__file__}"


@pytest.mark.soak
@pytest.mark.slow
def test_t2_killed_at_any_system_call_of_the_store_nothing_changes_in_the_end(forks: Bench) -> None:
    def run(db: Path, kill: Kill, failpoint: str = "") -> int:
        return forks.run(db, failpoint, Held((kill[0],), "KILL", kill[1]))

    born = forks.world("born")
    assert forks.run(born, MADE, Held.of(CALLS)) == DIED, said(born)
    making = points(born)
    calm = forks.world("calm", make())
    assert forks.run(calm, held=Held.of(CALLS)) == 0, said(calm)
    once = points(calm)
    reference = ended(calm)
    assert reference["violations"] == []

    wild = forks.world("wild", make())  # what a recovery calls: a run killed in its middle, taken up again
    assert run(wild, once[len(once) // 2]) == KILLED
    assert forks.run(wild, held=Held.of(CALLS)) == 0
    recovering = points(wild)
    met: list[Case] = []

    def judge(case: Case) -> list[str]:
        db = forks.world(str(case).replace(":", "-"), b"" if case.new else make())
        codes = [run(db, kill, MADE * case.new) for kill in case.kills]
        if set(codes) == {KILLED}:
            met.append(case)
        if not set(codes) <= {0, KILLED, DIED}:
            return [f"ended by {codes}", said(db)]
        last = forks.run(db)
        wrong = verdict(db, reference) if last == 0 else [f"the next start ended by {last}"]
        if wrong:
            return [*wrong, said(db)]
        forget(db)
        return []

    chosen = list(dict.fromkeys(cases(making, once, recovering)))
    wrong = swept(chosen, judge, replay)
    assert not wrong, f"{len(wrong)} of {len(chosen)}:\n" + "\n".join(wrong)
    if "BIDE_KILL" not in os.environ:
        assert len(once) >= 300, f"the reference run has only {len(once)} points"
        assert len(met) >= 300, f"only {len(met)} of {len(chosen)} kills were met"
    shutil.rmtree(calm.parent)
