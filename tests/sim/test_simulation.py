"""T1: seeds of 24 virtual hours, killed at any round of the loop, with faults of the store.

The CI size is bounded by time, about a minute; `BIDE_SIM_SEEDS=200000` is the soak. One seed again:
`BIDE_SIM_SEED=17 pytest tests/sim/test_simulation.py`.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.story import Story

SEEDS = int(os.environ.get("BIDE_SIM_SEEDS", "0"))
ONE = os.environ.get("BIDE_SIM_SEED")
CI_SECONDS = 40.0
AT_LEAST = 60


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Faults are logged, and there are thousands of them."""
    logging.getLogger("bide").disabled = logging.getLogger("bide.engine").disabled = True
    yield
    logging.getLogger("bide").disabled = logging.getLogger("bide.engine").disabled = False


def seeds(first: int = 0) -> Iterator[int]:
    """The one asked for, as many as were asked for, or as many as fit."""
    if ONE is not None:
        yield int(ONE)
        return
    began, seed = time.monotonic(), first
    while (
        seed < first + SEEDS if SEEDS else (seed < first + AT_LEAST or time.monotonic() - began < CI_SECONDS)
    ):
        yield seed
        seed += 1


def tell(
    seed: int, folder: Path, which: str, *, faults: bool, steps: bool = False, orders: bool = False
) -> Story:
    """One story, on a database of its own; a failure says how to see it again."""
    place = folder / f"{which}-{seed}"
    place.mkdir()
    story = Story(seed, place, faults=faults, steps=steps, orders=orders)
    try:
        story.ends = story.tell()
    except BaseException as error:
        error.add_note(f"see it again: BIDE_SIM_SEED={seed} pytest tests/sim/test_simulation.py -k {which}")
        raise
    shutil.rmtree(place)
    return story


@pytest.mark.soak
@pytest.mark.slow
def test_t1_a_story_with_kills_and_faults_ends_as_the_one_without(tmp_path: Path) -> None:
    told = kills = tasks = 0
    for seed in seeds():
        calm = tell(seed, tmp_path, "calm", faults=False)
        wild = tell(seed, tmp_path, "kills", faults=True)
        assert wild.ends == calm.ends, (
            f"see it again: BIDE_SIM_SEED={seed} pytest tests/sim/test_simulation.py -k kills"
        )
        told, kills, tasks = told + 1, kills + wild.kills, tasks + len(wild.ends)
    print(f"{told} seeds of 24 virtual hours, {kills} kills, {tasks} task instances")
    assert ONE is not None or kills > told / 2


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
