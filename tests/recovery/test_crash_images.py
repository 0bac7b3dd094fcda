"""T4: images of crashes. What a runtime writes is logged, and disks are put together of it for many instants.

On each is all that was synced before, and each later write is there, is not, or is torn at a sector; what was
acknowledged until then must be found on it, the file whole. A share of them is opened by a runtime, which must recover.
BIDE_SOAK=n makes n times as many images; BIDE_SEED is the seed of the draws, which writes are lost.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.power.verdict import STANDS, Fact, acknowledged, judged
from tests.recovery.sweep import ROOT, SEED, SOAK, needs_strace

IMAGES: Final = 600 * SOAK
RECOVERED: Final = 6 * SOAK
SECTOR: Final = 512
AT_RISK: Final = 24
"""The facts that were said last, asked for on each image; a start is judged by all of them."""
WORK: Final = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.power.guest import works

async def main():
    work = asyncio.ensure_future(works(Path(sys.argv[1]), sys.argv[2]))
    while os.fstat(1).st_size < 5000 and not work.done():
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of the log, in the order of their beginnings; `fdatasync` in that of their ends."""

    name: str
    file: str
    data: bytes = b""
    at: int = 0


@dataclass
class Disk:
    """What is safe of each file, and what has been written since its last sync."""

    safe: dict[str, bytearray] = field(default_factory=dict)
    since: dict[str, list[Call]] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)

    def take(self, call: Call) -> None:
        match call.name:
            case "write":
                self.facts += acknowledged(call.data.decode().splitlines())
            case "pwrite64" | "ftruncate":
                self.since.setdefault(call.file, []).append(call)
            case "fdatasync" | "fsync":
                kept = self.safe.setdefault(call.file, bytearray())
                for each in self.since.pop(call.file, []):
                    apply(kept, each)
            case "unlink":
                self.safe.pop(call.file, None)
                self.since.pop(call.file, None)

    def image(self, dice: random.Random) -> dict[str, bytes]:
        keeps = dice.choice((0.0, 0.5, 0.9))
        found: dict[str, bytes] = {}
        for name in {*self.safe, *self.since}:
            content = bytearray(self.safe.get(name, b""))
            for each in self.since.get(name, ()):
                if dice.random() < keeps:
                    apply(content, each)
                elif each.data and dice.random() < 0.3:
                    torn = each.data[: SECTOR * dice.randrange(-(-len(each.data) // SECTOR))]
                    apply(content, Call("pwrite64", name, torn, each.at))
            found[name] = bytes(content)
        return found


def apply(content: bytearray, call: Call) -> None:
    if call.name == "ftruncate":
        del content[call.at :]
        content.extend(bytes(call.at - len(content)))
    elif call.data:
        content.extend(bytes(max(0, call.at - len(content))))
        content[call.at : call.at + len(call.data)] = call.data


ENTRY: Final = re.compile(r'(\d+) +(?:<\.\.\. )?(\w+)(?:\((?:(?:\d+<([^>]*)>|"([^"]*)"))?| resumed>)(.*)')
DATA: Final = re.compile(r', "((?:\\x[0-9a-f]{2})*)", \d+(?:, (\d+))?')


def calls(trace: Path) -> Iterator[Call]:
    """Of `strace -f -xx -y`. A sync counts once it has come back, all else as soon as it is asked for."""
    syncing: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        found = ENTRY.match(line)
        if found is None:
            continue
        thread, name, file, path, rest = found.groups()
        resumed = " resumed>" in line[:80]
        if name in ("fdatasync", "fsync"):
            if "unfinished" in rest:
                syncing[thread] = unescaped(file)
            elif rest.rstrip().endswith("= 0"):
                yield Call(name, syncing.pop(thread) if resumed else unescaped(file))
        elif resumed:
            continue
        elif name == "unlink":
            yield Call(name, unescaped(path))
        elif name == "ftruncate":
            yield Call(name, unescaped(file), at=int(rest.split(")")[0].strip(", ").split(",")[0]))
        elif (data := DATA.match(rest)) is not None:
            yield Call(name, unescaped(file), bytes.fromhex(data[1].replace("\\x", "")), int(data[2] or 0))


def unescaped(name: str) -> str:
    return Path(bytes.fromhex(name.replace("\\x", "")).decode() if name.startswith("\\x") else name).name


def traced(folder: Path, level: str) -> list[Call]:
    """The calls of a runtime that worked for some hundred facts on a new database and was killed."""
    folder.mkdir()
    trace = folder / "trace"
    with (folder / "said").open("wb") as said:
        done = subprocess.run(
            ["strace", "-f", "--seccomp-bpf", "-o", str(trace), "-xx", "-y", "-s", "100000", "-e", "signal=none",
             "-e", "trace=pwrite64,fdatasync,fsync,ftruncate,unlink,write",
             sys.executable, "-c", WORK, str(folder / "bide.db"), level],
            stdout=said, stderr=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr.decode()[-2000:]
    ours = {"bide.db", "bide.db-wal", "bide.db-journal"}
    found = [
        call for call in calls(trace) if call.file in ours or (call.name, call.file) == ("write", "said")
    ]
    trace.unlink()
    return found


def lost(db: Path, facts: list[Fact]) -> list[Fact]:
    """Which of the facts are not in a database that a crash has left; it is only read."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'asset_version'").fetchone():
            return facts
        return [
            (kind, run)
            for kind, run in facts
            if not conn.execute(STANDS[kind], (run,) * STANDS[kind].count("?")).fetchone()
        ]


def put(image: dict[str, bytes], folder: Path, there: dict[str, bytes]) -> None:
    """The files of an image; what is as it was is not written again."""
    for name in there.keys() - image.keys():
        (folder / name).unlink()
    (folder / "bide.db-shm").unlink(missing_ok=True)
    for name, content in image.items():
        if there.get(name) != content:
            (folder / name).write_bytes(content)


def imaged(log: list[Call], folder: Path, images: int, recovered: int) -> tuple[int, list[Fact], list[str]]:
    """(the images that had facts at stake, what of them was lost, what else was wrong)."""
    dice = random.Random(SEED)
    folder.mkdir()
    instants = sorted(dice.randrange(len(log)) for _ in range(images))
    whole = set(dice.sample(range(images), recovered))
    disk, there, taken, at_stake = Disk(), dict[str, bytes](), 0, 0
    gone: list[Fact] = []
    wrong: list[str] = []
    for number, instant in enumerate(instants):
        for call in log[taken:instant]:
            disk.take(call)
        taken = max(taken, instant)
        facts = list(disk.facts)
        image = disk.image(dice)
        if facts:
            at_stake += 1
            put(image, folder, there)
            there = image
            gone += lost(folder / "bide.db", facts[-AT_RISK:])
        if number in whole:
            apart = folder / str(number)
            apart.mkdir()
            put(image, apart, {})
            verdict = judged(apart / "bide.db", facts)
            gone += verdict.lost
            wrong += [f"image {number}, after call {instant}: {each}" for each in verdict.wrong]
            shutil.rmtree(apart)
    return at_stake, gone, wrong


@pytest.mark.soak
@pytest.mark.slow
def test_t4_p1_p2_p6_of_any_crash_image_nothing_acknowledged_is_missing_and_a_start_recovers(
    tmp_path: Path,
) -> None:
    needs_strace()
    log = traced(tmp_path / "run", "FULL")
    replay = f"BIDE_SEED={SEED} pytest {__file__}"
    assert sum(call.name == "fdatasync" for call in log) > 30, len(log)
    at_stake, gone, wrong = imaged(log, tmp_path / "images", IMAGES, RECOVERED)
    assert (gone, wrong) == ([], []), replay
    assert at_stake > IMAGES // 4


def test_t4_p17_with_normal_the_last_facts_are_missing_and_the_file_is_whole(tmp_path: Path) -> None:
    """The control: what the test above would see."""
    needs_strace()
    log = traced(tmp_path / "run", "NORMAL")
    _, gone, wrong = imaged(log, tmp_path / "images", 60, 0)
    assert gone
    assert wrong == []
