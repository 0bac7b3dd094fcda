"""Cuts: a disk lives through some of them, each in the midst of work, and is judged after every one."""

from __future__ import annotations

import datetime as dt
import os
import random
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from tests.power.disk import copied, found_on, without_cache, written
from tests.power.machine import ROOT, Machine
from tests.power.verdict import Fact, acknowledged, judged

Level = Literal["FULL", "NORMAL"]
LIVES: Final = 3
"""Cuts that one disk lives through: the second and third start by recovering."""
RECORD: Final = Path(os.environ.get("BIDE_POWER_RECORD", Path(__file__).with_name("record.tsv")))
OPEN_S: Final = 90


@dataclass
class Tally:
    """What came of the cuts of a seed."""

    level: Level
    seed: int
    cuts: int = 0
    images: int = 0  # disks that were judged: one as the machine left it, and those without their own cache
    acknowledged: int = 0
    lost: list[Fact] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unflushed: int = 0  # writes that were lost or torn with the disk's cache

    @property
    def replay(self) -> str:
        return f"BIDE_SEED={self.seed} pytest tests/power"


def cut(
    machine: Machine,
    level: Level,
    seed: int,
    *,
    lives: int = LIVES,
    caches: int = 2,
    longest_s: float,
    lies: int = 0,
) -> Tally:
    """Work and cut, so many times on one disk, each life of at most `longest_s` seconds once it is open.

    `caches`: instants of each life whose disk is judged without its cache; with `lies` one that does not keep its word.
    """
    control = level == "NORMAL" or lies > 0  # is to lose: it works for a while
    dice = random.Random(seed)
    tally = Tally(level, seed)
    folder = machine.folder / f"{level}-{seed}"
    folder.mkdir()
    disk = machine.blank(folder / "disk")
    facts: list[Fact] = []

    def judge(image: Path, said: list[Fact]) -> None:
        files = folder / f"{image.name}-files"
        verdict = judged(found_on(image, files), facts + said)
        tally.images += 1
        tally.lost += verdict.lost
        tally.wrong += [f"cut {tally.cuts}, {image.name}: {each}" for each in verdict.wrong]
        shutil.rmtree(files)

    for _ in range(lives):
        before = copied(disk, folder / "before")
        guest = machine.start(disk, level)
        try:
            if not control and dice.random() < 0.2:
                guest.watch(dice.uniform(0, 1.5))  # in the midst of opening
            else:
                guest.until("open", OPEN_S)
                guest.watch(dice.uniform(longest_s / 2 if control else 0.1, longest_s))
        finally:
            guest.cut()
        tally.cuts += 1
        tally.wrong += [line for line in guest.lines() if line.startswith("failed")]
        said = acknowledged(guest.lines())
        tally.acknowledged += len(said)
        judge(copied(disk, folder / "left"), said)
        log = Path(f"{disk}.log")
        _, readable = written(log)
        marks = [mark for mark in guest.marks if mark[1] <= readable][-50 if lies else 0 :]
        for number, (heard, until) in enumerate(dice.sample(marks, min(caches, len(marks)))):
            image, lost = without_cache(before, log, until, folder / f"cache-{number}", dice, lies)
            tally.unflushed += lost
            judge(image, acknowledged(guest.lines(heard)))
        facts += said
    if not tally.wrong and (control or not tally.lost):
        shutil.rmtree(folder)
    return tally


# --- what is kept of a soak ------------------------------------------------------------------------------

_HEAD: Final = "date\tcommit\tkernel\tlevel\tseed\tcuts\timages\tunflushed\tacknowledged\tlost\twrong\n"


def record(machine: Machine, tally: Tally) -> None:
    """One line more."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    today = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%MZ")
    words = (today, done.stdout.strip() or "-", machine.release, tally.level, tally.seed, tally.cuts, tally.images,
             tally.unflushed, tally.acknowledged, len(tally.lost), len(tally.wrong))  # fmt: skip
    if not RECORD.exists():
        RECORD.write_text(_HEAD)
    with RECORD.open("a") as file:
        file.write("\t".join(map(str, words)) + "\n")


def following() -> int:
    """The seed after the last on record: where a soak that was broken off goes on."""
    rows = RECORD.read_text().splitlines()[1:] if RECORD.exists() else []
    return max((int(row.split("\t")[4]) for row in rows), default=0) + 1
