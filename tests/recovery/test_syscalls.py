"""T2: kill -9 right before every system call that changes the store, then recovery; and in recovery as well.

A reference run is traced once: each of its pwrite64, fdatasync, ftruncate and unlink is a point, so in CI all
of them are visited. BIDE_SOAK=n kills during recovery at n times as many pairs; BIDE_KILL="CALL:N[,CALL:N]"
replays one (the second kill is in recovery).
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recovery.reference import ended
from tests.recovery.sweep import SEED, SOAK, Bench, bench, forget, needs_strace, said, swept, verdict

CALLS = "pwrite64,fdatasync,ftruncate,unlink"
TWICE = 40
KILLED = -9

Kill = tuple[str, int]
Case = tuple[Kill, ...]


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Bench]:
    needs_strace()
    with bench(tmp_path) as made:
        yield made


def kill_at(kill: Kill) -> list[str]:
    return ["-o", os.devnull, "-e", f"trace={kill[0]}", "-e", f"inject={kill[0]}:signal=KILL:when={kill[1]}"]  # fmt: skip


def points(trace: str) -> list[Kill]:
    """Every call of a trace as (call, which one of its thread), in order, each once."""
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[Kill, None] = {}
    for thread, call in re.findall(r"^(\d+) +(\w+)\(", trace, re.MULTILINE):
        counts[thread, call] += 1
        found[call, counts[thread, call]] = None
    return list(found)


def cases(once: list[Kill], recovering: list[Kill]) -> list[Case]:
    if one := os.environ.get("BIDE_KILL"):
        kills = [each.split(":") for each in one.split(",")]
        return [tuple((call, int(number)) for call, number in kills)]
    dice = random.Random(SEED)
    pairs = [(dice.choice(once), dice.choice(recovering)) for _ in range(TWICE * SOAK)]
    return [*((kill,) for kill in once), *pairs]


def replay(case: Case) -> str:
    kills = ",".join(f"{call}:{number}" for call, number in case)
    return f"BIDE_KILL={kills} BIDE_SEED={SEED} pytest {__file__}"


@pytest.mark.soak
@pytest.mark.slow
def test_t2_killed_at_any_system_call_of_the_store_nothing_changes_in_the_end(
    forks: Bench, tmp_path: Path
) -> None:
    calm = forks.world("calm")
    trace = tmp_path / "trace"
    follow = ["-o", str(trace), "-e", f"trace={CALLS}", "-e", "signal=none"]
    assert forks.run(calm, strace=follow) == 0, said(calm)
    once = points(trace.read_text())
    reference = ended(calm)
    assert reference["violations"] == []

    wild = forks.world("wild")  # what a recovery calls: a run killed in its middle, taken up again
    assert forks.run(wild, strace=kill_at(once[len(once) // 2])) == KILLED
    assert forks.run(wild, strace=follow) == 0
    recovering = points(trace.read_text())
    met: list[Case] = []

    def judge(case: Case) -> list[str]:
        db = forks.world("-".join(f"{call}-{number}" for call, number in case))
        codes = [forks.run(db, strace=kill_at(kill)) for kill in case]
        if set(codes) == {KILLED}:
            met.append(case)
        if not set(codes) <= {0, KILLED}:
            return [f"ended by {codes}", said(db)]
        last = forks.run(db)
        wrong = verdict(db, reference) if last == 0 else [f"the next start ended by {last}"]
        if wrong:
            return [*wrong, said(db)]
        forget(db)
        return []

    chosen = list(dict.fromkeys(cases(once, recovering)))
    wrong = swept(chosen, judge, replay)
    assert not wrong, f"{len(wrong)} of {len(chosen)}:\n" + "\n".join(wrong)
    if "BIDE_KILL" not in os.environ:
        assert len(once) >= 300, f"the reference run has only {len(once)} points"
        assert len(met) >= 300, f"only {len(met)} of {len(chosen)} kills were met"
    shutil.rmtree(calm.parent)
