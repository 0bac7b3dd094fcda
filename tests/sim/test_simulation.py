"""T1: seeds of 24 virtual hours, killed at any round of the loop, with faults of the store.

2,000 seeds in CI, BIDE_SOAK=n for n times as many; BIDE_SIM_SEEDS is their number. One seed again:
`BIDE_SIM_SEED=17 pytest tests/sim/test_simulation.py`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recovery.sweep import SOAK
from tests.sim.telling import hush, tell, tell_many

SEEDS = int(os.environ.get("BIDE_SIM_SEEDS", 2000 * SOAK))
ONE = os.environ.get("BIDE_SIM_SEED")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    hush()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.soak
@pytest.mark.slow
def test_t1_a_story_with_kills_and_faults_ends_as_the_one_without() -> None:
    told = list(tell_many([int(ONE)] if ONE else range(SEEDS)))
    kills, tasks = sum(each.kills for each in told), sum(each.tasks for each in told)
    print(f"{len(told)} seeds of 24 virtual hours, {kills} kills, {tasks} task instances")
    assert ONE is not None or kills > len(told) / 2


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize("seed", [int(ONE)] if ONE else range(20))
def test_t10_stories_in_which_the_wall_clock_is_stepped(tmp_path: Path, seed: int) -> None:
    tell(seed, tmp_path, "steps", faults=True, steps=True)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize("seed", [int(ONE)] if ONE else range(1000, 1020))
def test_p12_stories_with_people_in_them(tmp_path: Path, seed: int) -> None:
    tell(seed, tmp_path, "people", faults=True, orders=True)


@pytest.mark.parametrize("seed", [3, 11])
def test_one_seed_is_one_story(tmp_path: Path, seed: int) -> None:
    first = tell(seed, tmp_path, "once", faults=True)
    second = tell(seed, tmp_path, "again", faults=True)
    assert first.ends == second.ends
    assert (first.lives, first.kills, first.now, first.ledger.begun) == (
        second.lives,
        second.kills,
        second.now,
        second.ledger.begun,
    )
