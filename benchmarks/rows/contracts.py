"""A run with n edges: its contracts evaluated, and what has to be known for that loaded from the database."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from statistics import median

from benchmarks.measure import scratch
from bide import Freshness, Quality, SameInterval, SchemaCompat
from bide.runtime.assets import Asked, ContractSpec, Phase, evaluate_all, wanted
from bide.runtime.assets.contract import Rule
from bide.runtime.assets.wish import Wish
from bide.runtime.assets.words import Action, Edge, Result
from bide.runtime.clock import DAY, HOUR
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.safe_use import observed

DAYS = 365
NOW = (DAYS + 1) * DAY + HOUR
ROUNDS = 9


def contracts(n: int) -> list[ContractSpec]:
    """Each asks for its interval, its gates, its age and its schema; of every tenth the interval is missing."""
    return [
        ContractSpec(
            downstream="gold", upstream=f"silver/{i}", kind=Edge.INTERVAL_MATCH,
            require=(
                SameInterval(timedelta(days=-1 if i % 2 else 0)), Quality("critical"),
                Freshness(timedelta(days=3)), SchemaCompat("backward_transitive"),
            ),
            on_failure={Result.MISSING: Rule(Action.USE_PREVIOUS_VERSION)},
        )
        for i in range(n)
    ]  # fmt: skip


async def evaluated(n: int) -> dict[str, float]:
    asked = Asked(Phase.EXECUTING, "gold", DAYS * DAY, (DAYS + 1) * DAY, NOW)
    specs = contracts(n)
    with scratch() as folder:
        db = folder / "bide.db"
        _fill(db, n)
        wishes = [
            Wish(w.upstream, w.start_us, w.end_us, w.exact, downstream="gold")
            for w in (wanted(spec, asked) for spec in specs)
        ]
        with closing(sqlite3.connect(db)) as conn:
            loaded = [_timed(lambda: [observed(conn, wish) for wish in wishes]) for _ in range(3)]
            seen = {wish.upstream: observed(conn, wish) for wish in wishes}
    took = [_timed(lambda: evaluate_all(specs, seen, asked)) for _ in range(ROUNDS)]
    use, decision = evaluate_all(specs, seen, asked)
    assert len(use) == n, len(use)
    assert len(decision.issues) == sum(i % 10 == 0 for i in range(n)), len(decision.issues)
    return {"evaluate_ms": median(took), "load_ms": median(loaded)}


async def bare(n: int) -> dict[str, float]:
    """The least: of each upstream the newest version, by its index, and one comparison of its interval."""
    with scratch() as folder:
        db = folder / "bide.db"
        _fill(db, n)
        with closing(sqlite3.connect(db)) as conn:

            def look() -> list[tuple[int, int, int]]:
                return [
                    conn.execute(
                        "SELECT asset_version_id, start_us, end_us FROM asset_version WHERE asset_id = ?"
                        " ORDER BY asset_version_id DESC LIMIT 1",
                        (i + 1,),
                    ).fetchone()
                    for i in range(n)
                ]

            load = median(_timed(look) for _ in range(3))
            found = look()
    compare = median(
        _timed(lambda: [each[1] <= DAYS * DAY < each[2] for each in found]) for _ in range(ROUNDS)
    )
    return {"evaluate_ms": compare, "load_ms": load}


def _timed(fn: object) -> float:
    assert callable(fn)
    began = time.perf_counter()
    fn()
    return (time.perf_counter() - began) * 1000


def _fill(db: Path, n: int) -> None:
    """n assets of 31 days each, with a gate and a schema; every tenth lacks the days that are asked for."""
    InlineWriter.open_here(db, create=True).close_here()
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("INSERT INTO asset (asset_id, name, created_us) VALUES (?, 'gold', 0)", (n + 1,))
        for i in range(n):
            conn.execute(
                "INSERT INTO asset (asset_id, name, created_us) VALUES (?, ?, 0)", (i + 1, f"silver/{i}")
            )
            conn.execute(
                "INSERT INTO asset_schema VALUES (?, ?, 'h', '{\"id\": \"int64\"}', 0)", (i + 1, i + 1)
            )
            conn.execute(
                "INSERT INTO gate VALUES (?, ?, 'rows', 'critical', '', '{}', '', 0, NULL)", (i + 1, i + 1)
            )
            for day in range(DAYS + 1):
                if i % 10 == 0 and day >= DAYS - 1:
                    continue
                number = i * (DAYS + 1) + day + 1
                conn.execute(
                    "INSERT INTO asset_version (asset_version_id, asset_id, start_us, end_us, state, created_us, schema_id)"
                    " VALUES (?, ?, ?, ?, 'published', ?, ?)",
                    (number, i + 1, day * DAY, (day + 1) * DAY, (day + 1) * DAY, i + 1),
                )
                conn.execute(
                    "INSERT INTO asset_check VALUES (?, 'rows', 'critical', 1, NULL, NULL, '', 0)", (number,)
                )
