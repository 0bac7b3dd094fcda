"""What is judged after a power cut: the database opens, is whole, keeps its invariants, and has every acknowledged fact."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bide import Runtime
from bide.runtime.errors import BideError
from bide.runtime.store.invariants import check
from tests.power.guest import declared

Fact = tuple[str, int]
"""(what was acknowledged, of which run)."""

_OF_RUN: Final = "FROM run WHERE run_id = ? AND state = "
_OF_INSTANCE: Final = "JOIN task_instance USING (instance_id) WHERE run_id = ?"
STANDS: Final = {
    "run": "SELECT 1 FROM run WHERE run_id = ?",
    "began": f"SELECT 1 FROM attempt {_OF_INSTANCE}",
    "once": f"SELECT 1 FROM step {_OF_INSTANCE} UNION ALL SELECT 1 {_OF_RUN} 'success' AND run_id = ?",
    "wait": f"SELECT 1 FROM wait {_OF_INSTANCE}",
    "fired": f"SELECT 1 FROM wait {_OF_INSTANCE} AND wait.state = 'fired'",
    "ended": f"SELECT 1 {_OF_RUN} 'success'",
    "version": "SELECT 1 FROM asset_version WHERE run_id = ?",
    "cancelled": f"SELECT 1 {_OF_RUN} 'cancelled'",
}
"""Fact -> the row that must be there."""

WATCHED_S: Final = 5
"""P3: within this time of the start each open wait is watched."""


def acknowledged(lines: list[str]) -> list[Fact]:
    return [
        (words[1], int(words[2])) for line in lines if len(words := line.split()) == 3 and words[0] == "ack"
    ]


@dataclass
class Verdict:
    """`lost` are the acknowledged facts that are not there, `wrong` whatever else is not as it must be."""

    lost: list[Fact] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def judged(db: Path, facts: list[Fact]) -> Verdict:
    """Of a database that nobody has opened since the cut."""
    said = Verdict()
    if not db.exists():
        said.lost = list(facts)
        return said
    with contextlib.closing(sqlite3.connect(db)) as conn:
        whole = [row[0] for row in conn.execute("PRAGMA integrity_check")]
        if whole != ["ok"]:
            said.wrong.append(f"integrity_check: {whole[:5]}")
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        for kind, run in facts:
            sql = STANDS[kind]
            if "asset_version" not in tables or not conn.execute(sql, (run,) * sql.count("?")).fetchone():
                said.lost.append((kind, run))
        if facts and "asset_version" in tables:
            said.wrong += [f"{found.id}: {found.sentence}" for found in check(conn)]
    try:
        said.wrong += asyncio.run(_recovered(db))
    except BideError as error:
        said.wrong.append(f"it does not open: {error}")
    return said


async def _recovered(db: Path) -> list[str]:
    """What is wrong after recovery: every wait that is open is watched again, and the invariants hold."""
    async with Runtime(db, declared(lambda *_: None), watchdog=False) as runtime:
        async with asyncio.timeout(60):
            while await runtime.operations.runs("made", "running"):
                await asyncio.sleep(0.02)  # runs that were under way come to their end
        wrong: list[str] = []
        try:
            async with asyncio.timeout(WATCHED_S):  # a body that was cut off before it waited comes to it now
                while runtime.armed != len(await runtime.waits()):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            wrong.append(f"{len(await runtime.waits())} waits are open, and {runtime.armed} are watched")
    with contextlib.closing(sqlite3.connect(db)) as conn:
        return wrong + [f"after recovery, {found.id}: {found.sentence}" for found in check(conn)]
