"""T5: the power is cut. A real kernel, a real file system, a real disk cache, in an emulated machine that is killed.

Each fact that bide has acknowledged has gone over the serial line before; after the cut all of them are in the database.
`make soak ARGS=tests/power` makes 10 times as many cuts and writes down what came of them (record.tsv); broken off, it
goes on after the last seed on record. BIDE_SEED=n starts there instead, BIDE_CUTS says how many.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.power.cuts import LIVES, RECORD, Tally, cut, following, record
from tests.power.machine import Machine, cannot

SOAK = int(os.environ.get("BIDE_SOAK") or 0)
CUTS = int(os.environ.get("BIDE_CUTS", LIVES * max(1, SOAK)))
SEED = int(os.environ.get("BIDE_SEED") or (following() if SOAK else 20261122))


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    if why := cannot():
        pytest.skip(f"this machine cannot: no power can be cut: {why}")
    folder = Path(tempfile.mkdtemp(prefix="bide-power-", dir="/var/tmp"))  # a disk: the images are large
    yield Machine(folder)
    if not any(folder.glob("*-*")):
        shutil.rmtree(folder)  # some hundred megabytes; what is left of a failure stays


def kept(machine: Machine, tally: Tally) -> Tally:
    if SOAK:
        record(machine, tally)
    return tally


@pytest.mark.soak
@pytest.mark.slow
def test_t5_p1_p2_p3_p6_a_power_cut_loses_nothing_that_was_acknowledged(machine: Machine) -> None:
    """A slow machine acknowledges less before each cut: it is cut more often, until as much was at stake."""
    acknowledged, least = 0, -(-CUTS // LIVES)
    for seed in range(SEED, SEED + 4 * least):
        if seed >= SEED + least and acknowledged >= 20 * CUTS:
            break
        tally = kept(machine, cut(machine, "FULL", seed, caches=6 if SOAK else 2, longest_s=5 if SOAK else 2))
        assert tally.wrong == [], tally.replay
        assert tally.lost == [], tally.replay
        acknowledged += tally.acknowledged
    assert acknowledged >= 20 * CUTS


@pytest.mark.soak
@pytest.mark.slow
def test_t5_p17_with_normal_a_power_cut_costs_the_last_commits_and_never_the_rest(machine: Machine) -> None:
    """The control: what the test above would see."""
    lost = 0
    for seed in range(SEED, SEED + max(6, CUTS // 5)):
        tally = kept(machine, cut(machine, "NORMAL", seed, lives=1, caches=0, longest_s=5 if SOAK else 2))
        assert tally.wrong == [], tally.replay
        lost += len(tally.lost)
        if lost and not SOAK:
            return
    assert lost, f"none of the cuts lost anything with NORMAL; see {RECORD.name}"


@pytest.mark.slow
def test_t5_p17_on_a_disk_that_lies_about_flush_it_is_lost_and_seen_to_be(machine: Machine) -> None:
    """The control of the disks without their cache."""
    tally = cut(machine, "FULL", SEED, lives=1, longest_s=2, lies=30)
    assert tally.lost
    assert tally.wrong == [], tally.replay
