"""What a scrape asks of the database: few rows, each along an index of what is unfinished."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime.store.queries import sql_of
from bide.runtime.store.rows import in_one

MOST: Final = 1000
"""Assets, and DAGs with a backfill, that a scrape tells of."""


class AssetSeen(msgspec.Struct, frozen=True, array_like=True):
    """How far an asset's visible data goes, and the rows of its newest version; `late`: promises broken."""

    asset: str
    end_us: int | None
    rows: float | None


class Stored(msgspec.Struct, frozen=True):
    """Counts of what is unfinished, by state or kind."""

    runs: dict[str, int]
    instances: dict[str, int]
    waits: dict[str, int]
    alerts: int
    intervals: dict[tuple[str, str], int]
    assets: tuple[AssetSeen, ...]


def stored(conn: sqlite3.Connection) -> Stored:
    runs = conn.execute("SELECT state, count(*) FROM run WHERE ended_us IS NULL GROUP BY state")
    intervals = conn.execute(
        "SELECT d.name, p.state, count(*) FROM backfill b JOIN dag d USING (dag_id)"
        " JOIN backfill_interval p USING (backfill_id) WHERE b.ended_us IS NULL GROUP BY d.name, p.state LIMIT ?",
        (6 * MOST,),
    )
    assets = in_one(
        conn,
        AssetSeen,
        "SELECT a.name, v.end_us, iif(json_type(v.meta, '$.rows') IN ('integer', 'real', 'true', 'false'), json_extract(v.meta, '$.rows'), NULL) FROM asset a"
        " LEFT JOIN asset_version v ON v.asset_version_id = (SELECT n.asset_version_id FROM asset_version n"
        "   WHERE n.asset_id = a.asset_id AND n.state IN ('published', 'stale', 'degraded')"
        "   ORDER BY n.end_us DESC, n.asset_version_id DESC LIMIT 1) ORDER BY a.asset_id LIMIT ?",
        (MOST,),
    )
    return Stored(
        runs=dict(runs.fetchall()),
        instances=dict(conn.execute(sql_of("task_counts")).fetchall()),
        waits=dict(conn.execute(sql_of("wait_counts")).fetchall()),
        alerts=conn.execute("SELECT count(*) FROM alert WHERE state = 'new'").fetchone()[0],
        intervals={(dag, state): count for dag, state, count in intervals.fetchall()},
        assets=tuple(assets),
    )
