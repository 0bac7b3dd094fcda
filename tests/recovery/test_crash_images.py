"""T4: images of crashes. What a runtime writes is logged, and disks are put together of it for many instants.

On each is all that was synced before, and each later write is there, is not, or is torn at a sector. SQLite opens and
recovers every image. Those that it recovers to the same content (the same file and the same log up to the same frame,
by the checksums of its own wal-index; else the same pages) are one database: each database is checked once, by
`integrity_check` and bide's invariants, and every image must have what had been acknowledged when it was made. A few
images are opened by a runtime, which must recover.
BIDE_SOAK=n makes n times as many images; BIDE_SEED is the seed of the draws, which writes are lost.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest

from bide.runtime.store.invariants import check
from tests.power.verdict import STANDS, Fact, acknowledged, judged
from tests.recovery.sweep import ROOT, SEED, SOAK, needs_strace

IMAGES: Final = 5000 * SOAK
RECOVERED: Final = 6 * SOAK
SECTOR: Final = 512
AT_RISK: Final = 24
"""The facts that were said last, asked for on each image; a start is judged by all of them."""
WORK: Final = """
import asyncio, os, signal, sys
from pathlib import Path
from bide.runtime.store import open
from tests.power.guest import works

usual, often = (f"PRAGMA wal_autocheckpoint = {pages}" for pages in (1000, 100))
open._SETTINGS = tuple(often if each == usual else each for each in open._SETTINGS)
assert often in open._SETTINGS

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
    """The files of a folder as they are safe, and what has been written since the last sync of each."""

    folder: Path
    since: dict[str, list[Call]] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    syncs: int = 0
    """Of the database itself."""
    _open: dict[str, int] = field(default_factory=dict)

    def take(self, call: Call) -> None:
        match call.name:
            case "write":
                self.facts += acknowledged(call.data.decode().splitlines())
            case "pwrite64" | "ftruncate":
                self.since.setdefault(call.file, []).append(call)
            case "fdatasync" | "fsync":
                lay(self._of(call.file), self.since.pop(call.file, []))
                self.syncs += call.file == "bide.db"
            case "unlink":
                self.since.pop(call.file, None)
                self._remove(call.file)

    def draw(self, dice: random.Random) -> dict[str, list[Call]]:
        """Of each file the writes that came through the crash, torn ones as far as they did."""
        keeps = dice.choice((0.0, 0.5, 0.9))
        found: dict[str, list[Call]] = {}
        for name, calls in self.since.items():
            found[name] = []
            for each in calls:
                if dice.random() < keeps:
                    found[name].append(each)
                elif each.data and dice.random() < 0.3:
                    sectors = dice.randrange(-(-len(each.data) // SECTOR))
                    found[name].append(replace(each, data=each.data[: SECTOR * sectors]))
        return found

    @contextmanager
    def crashed(self, drawn: dict[str, list[Call]]) -> Iterator[None]:
        """The folder holds that image from entry to exit, and what is safe afterwards."""
        new = [name for name in drawn if name not in self._open]
        before = {name: lay(self._of(name), calls) for name, calls in drawn.items()}
        (self.folder / "bide.db-shm").unlink(missing_ok=True)
        try:
            yield
        finally:
            for name, (size, covered) in before.items():
                for at, data in reversed(covered):
                    os.pwrite(self._of(name), data, at)
                os.ftruncate(self._of(name), size)
            for name in new:
                self._remove(name)

    def close(self) -> None:
        for file in self._open.values():
            os.close(file)

    def _of(self, name: str) -> int:
        if name not in self._open:
            self._open[name] = os.open(self.folder / name, os.O_RDWR | os.O_CREAT)
        return self._open[name]

    def _remove(self, name: str) -> None:
        if name in self._open:
            os.close(self._open.pop(name))
            (self.folder / name).unlink()


def lay(file: int, calls: Sequence[Call]) -> tuple[int, list[tuple[int, bytes]]]:
    """Carry these calls out; (how long it was, what stood where they wrote)."""
    size = length = os.fstat(file).st_size
    covered: list[tuple[int, bytes]] = []
    for call in calls:
        if call.name == "ftruncate":
            covered.append((call.at, os.pread(file, max(0, length - call.at), call.at)))
            os.ftruncate(file, call.at)
            length = call.at
        elif call.data:
            covered.append((call.at, os.pread(file, len(call.data), call.at)))
            os.pwrite(file, call.data, call.at)
            length = max(length, call.at + len(call.data))
    return size, covered


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


def _blank() -> bytes:
    """A database of one page, which another may be copied over."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("PRAGMA user_version = 1")
        return conn.serialize()


_BLANK: Final = _blank()


@dataclass
class Content:
    """A database that images come to: what is wrong with it, and whether facts stand in it."""

    wrong: list[str]
    stands: dict[Fact, bool] = field(default_factory=dict)


class Contents:
    """What the images of a folder come to, each once."""

    def __init__(self, db: Path, said: Sequence[Fact]) -> None:
        self._db = db
        self._said = said
        self._by_log: dict[tuple[int, bytes], Content] = {}
        self._by_pages: dict[bytes, Content] = {}

    def __len__(self) -> int:
        return len(self._by_pages)

    def of(self, syncs: int | None, count: int) -> Content:
        """Of the image that is there now. `syncs`: of its database, when that is as it was synced; `count`: facts so far."""
        with closing(sqlite3.connect(f"file:{self._db}?mode=ro", uri=True)) as conn:
            conn.execute("PRAGMA user_version").fetchone()  # it is recovered
            key = None if syncs is None else (syncs, self._recovered_to())
            found = self._by_log.get(key) if key is not None else None
            found = found or self._of_pages(conn)
            if key is not None:
                self._by_log[key] = found
            asked = self._said[max(0, count - AT_RISK) : count]
            if any(fact not in found.stands for fact in asked):
                for fact in (
                    *asked,
                    *self._said[count : count + AT_RISK],
                ):  # those to come as well: others ask
                    found.stands[fact] = stands(conn, fact)
        return found

    def _recovered_to(self) -> bytes:
        """The last frame, the size, the checksum of all frames to it and the salts: the head of the wal-index."""
        try:
            with Path(f"{self._db}-shm").open("rb") as index:
                return index.read(40)[16:]
        except FileNotFoundError:  # there is no log
            return b""

    def _of_pages(self, conn: sqlite3.Connection) -> Content:
        with closing(sqlite3.connect(":memory:")) as copy:
            copy.deserialize(_BLANK)
            conn.backup(copy)
            pages = hashlib.sha1(copy.serialize(), usedforsecurity=False).digest()
        if pages not in self._by_pages:
            self._by_pages[pages] = Content(wrong_with(conn))
        return self._by_pages[pages]


def wrong_with(conn: sqlite3.Connection) -> list[str]:
    whole = [row[0] for row in conn.execute("PRAGMA integrity_check")]
    if whole != ["ok"]:
        return whole
    return [f"{found.id}: {found.sentence}" for found in check(conn)] if made(conn) else []


def made(conn: sqlite3.Connection) -> bool:
    """Its tables are there."""
    return conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'asset_version'").fetchone() is not None


def stands(conn: sqlite3.Connection, fact: Fact) -> bool:
    kind, run = fact
    return made(conn) and (
        conn.execute(STANDS[kind], (run,) * STANDS[kind].count("?")).fetchone() is not None
    )


@dataclass
class Seen:
    """Of many images: how many had facts at stake, how many databases they are, what was lost, what else was wrong."""

    at_stake: int = 0
    databases: int = 0
    lost: list[Fact] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def imaged(log: list[Call], folder: Path, images: int, recovered: int) -> Seen:
    dice = random.Random(SEED)
    folder.mkdir()
    first = next(at for at, call in enumerate(log) if call.name == "write" and b"ack " in call.data)
    instants = sorted(dice.randrange(first + 1, len(log) + 1) for _ in range(images))
    whole = set(dice.sample(range(images), recovered))
    said = [
        fact for call in log if call.name == "write" for fact in acknowledged(call.data.decode().splitlines())
    ]
    disk, contents, taken = Disk(folder), Contents(folder / "bide.db", said), 0
    seen = Seen()
    for number, instant in enumerate(instants):
        for call in log[taken:instant]:
            disk.take(call)
        taken = max(taken, instant)
        count = len(disk.facts)
        drawn = disk.draw(dice)
        if not count and number not in whole:
            continue
        apart = folder / str(number)
        with disk.crashed(drawn):
            if number in whole:
                apart.mkdir()
                for name in ("bide.db", "bide.db-wal", "bide.db-journal"):
                    if (folder / name).exists():
                        shutil.copyfile(folder / name, apart / name)
            if count:
                content = contents.of(None if "bide.db" in drawn else disk.syncs, count)
                seen.at_stake += 1
                seen.lost += [fact for fact in disk.facts[-AT_RISK:] if not content.stands[fact]]
                seen.wrong += [f"image {number}, after call {instant}: {each}" for each in content.wrong]
        if number in whole:
            verdict = judged(apart / "bide.db", disk.facts)
            seen.lost += verdict.lost
            seen.wrong += [f"image {number}, after call {instant}: {each}" for each in verdict.wrong]
            shutil.rmtree(apart)
    disk.close()
    seen.databases = len(contents)
    return seen


@pytest.mark.soak
@pytest.mark.slow
def test_t4_p1_p2_p6_of_any_crash_image_nothing_acknowledged_is_missing_and_a_start_recovers(
    tmp_path: Path,
) -> None:
    needs_strace()
    log = traced(tmp_path / "run", "FULL")
    replay = f"BIDE_SEED={SEED} pytest {__file__}"
    assert sum(call.name == "fdatasync" for call in log) > 30, len(log)
    seen = imaged(log, tmp_path / "images", IMAGES, RECOVERED)
    assert (seen.lost, seen.wrong) == ([], []), replay
    assert seen.at_stake > IMAGES // 4
    assert seen.databases > 30


def test_t4_p17_with_normal_the_last_facts_are_missing_and_the_file_is_whole(tmp_path: Path) -> None:
    """The control: what the test above would see."""
    needs_strace()
    log = traced(tmp_path / "run", "NORMAL")
    seen = imaged(log, tmp_path / "images", 60, 0)
    assert seen.lost
    assert seen.wrong == []
