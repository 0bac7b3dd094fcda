"""Tells stories: each on a database of its own, a failure with the line that shows it again; many side by side."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tests.schema import made_always
from tests.sim.story import Story


class Told(NamedTuple):
    """What one seed came to: the calm story and the one with accidents, which ended alike."""

    seed: int
    kills: int
    tasks: int


def again(seed: int, which: str) -> str:
    return f"see it again: BIDE_SIM_SEED={seed} pytest tests/sim/test_simulation.py -k {which}"


def tell(
    seed: int, folder: Path, which: str, *, faults: bool, steps: bool = False, orders: bool = False
) -> Story:
    """One story; a failure says how to see it again."""
    place = folder / f"{which}-{seed}"
    place.mkdir()
    story = Story(seed, place, faults=faults, steps=steps, orders=orders)
    try:
        story.ends = story.tell()
    except BaseException as error:
        error.add_note(again(seed, which))
        raise
    shutil.rmtree(place)
    return story


def tell_both(seed: int) -> Told:
    """A story without and with kills and faults: in the end the tables are the same."""
    with tempfile.TemporaryDirectory() as folder:
        calm = tell(seed, Path(folder), "calm", faults=False)
        wild = tell(seed, Path(folder), "kills", faults=True)
    assert wild.ends == calm.ends, again(seed, "kills")
    return Told(seed, wild.kills, len(wild.ends))


def tell_many(seeds: Iterable[int]) -> Iterator[Told]:
    """`tell_both` of each, on every core."""
    seeds = list(seeds)
    if len(seeds) == 1:
        yield tell_both(seeds[0])
        return
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=begun) as pool:
        yield from pool.map(tell_both, seeds, chunksize=10)


def begun() -> None:
    """In a process that tells: its databases are copies, as those of every other test."""
    hush()
    made_always()


def hush() -> None:
    """Faults are logged, and there are thousands of them."""
    logging.disable(logging.CRITICAL)
