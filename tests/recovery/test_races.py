"""T15: twenty processes want one database at once. Exactly one has it; the others are told whose it is, at once.

BIDE_SOAK=n runs n times as many races.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bide import Runtime
from bide.runtime.errors import StoreHeldError
from tests.recovery.sweep import ROOT, SOAK

RACERS = 20


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "races"), [("lock", 50), ("runtime", 5)])
def test_t15_of_twenty_that_race_one_wins_and_the_others_name_it(
    tmp_path: Path, kind: str, races: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.recovery.racers", str(tmp_path / "b.db"), str(races * SOAK), str(RACERS), kind],
        capture_output=True, text=True, cwd=ROOT, check=True, timeout=60 + 30 * SOAK,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert (len(told), done.stderr) == (races * SOAK * RACERS, "")
    for start in range(0, len(told), RACERS):
        race = told[start : start + RACERS]
        winners = [racer["pid"] for racer in race if racer["won"]]
        assert len(winners) == 1, race
        for loser in race:
            if not loser["won"]:
                assert f"process {winners[0]}:" in loser["said"], loser
                assert loser["ms"] < 1000, loser


async def test_p7_a_second_runtime_is_refused_within_a_second_also_in_the_same_process(
    tmp_path: Path,
) -> None:
    async with Runtime(tmp_path / "b.db"):
        began = time.monotonic()
        with pytest.raises(StoreHeldError, match=r"in use by the runtime of process \d+"):
            await asyncio.wait_for(Runtime(tmp_path / "b.db").__aenter__(), 5)
        assert time.monotonic() - began < 1
    async with Runtime(tmp_path / "b.db") as runtime:
        assert runtime.epoch == 2


async def test_p7_the_database_is_one_by_whatever_path_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    async with Runtime(tmp_path / "b.db"):
        with pytest.raises(StoreHeldError):
            await Runtime(tmp_path / "link" / "b.db").__aenter__()
