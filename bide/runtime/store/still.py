"""What a row must be to go: asked when retention finds it, and once more in the transaction that removes it.

Between the two lies a batch. What the same batch decides (a backfill that is taken up again, a DAG that is loaded as
it once was, a version that is let out after all) is written before anything is removed, and keeps what it needs.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from bide.runtime.store.references import referring

SEEN: Final = "('published', 'stale', 'degraded')"
TOLD: Final = "('published', 'stale', 'degraded', 'superseded', 'invalidated')"
"""States of a version that consumers were told of."""
UNSETTLED: Final = "('building', 'staged', 'validated')"
UNSENT: Final = "('pending', 'sending')"
"""States of a notice that is still to reach somebody."""
UNFINISHED_PLAN: Final = "('proposed', 'approved', 'running')"

_OPEN_INCIDENT: Final = (
    "EXISTS (SELECT 1 FROM incident c WHERE c.state = 'open' AND (c.invalidation_id = n.invalidation_id"
    " OR c.plan_id IN (SELECT plan_id FROM rerun_plan q WHERE q.invalidation_id = n.invalidation_id)))"
)
_SPREAD: Final = (
    f"n.state = 'spread' AND NOT {_OPEN_INCIDENT} AND NOT EXISTS (SELECT 1 FROM rerun_plan q"
    f" WHERE q.invalidation_id = n.invalidation_id AND q.state IN {UNFINISHED_PLAN})"
)
"""An invalidation, and its hits: it is spread, and nobody is at work on it."""


class Kind:
    """Rows of one kind: where they are found, by which columns they are named, and when they may go."""

    __slots__ = ("key", "rows", "when")

    def __init__(self, rows: str, key: str, when: str) -> None:
        self.rows = rows
        self.key = key
        self.when = when


KINDS: Final = {
    "versions": Kind(
        "asset_version v",
        "v.asset_version_id",
        "v.held = 0 AND v.run_id IS NULL"
        f" AND v.state NOT IN {SEEN} AND (v.shadow = 1 OR v.state NOT IN {UNSETTLED}"
        " AND EXISTS (SELECT 1 FROM asset_version n WHERE n.asset_id = v.asset_id AND n.start_us = v.start_us"
        " AND n.end_us = v.end_us AND n.shadow = 0 AND n.asset_version_id > v.asset_version_id"
        f" AND n.state NOT IN {UNSETTLED}))"
        f" AND (v.quiet = 1 OR v.state NOT IN {TOLD} OR EXISTS (SELECT 1 FROM asset_version n WHERE"
        f" n.asset_id = v.asset_id AND n.asset_version_id > v.asset_version_id AND n.quiet = 0 AND n.state IN {TOLD}))"
        " AND NOT EXISTS (SELECT 1 FROM asset_cursor c WHERE c.asset_id = v.asset_id"
        " AND c.asset_version_id <= v.asset_version_id)"
        " AND NOT EXISTS (SELECT 1 FROM approval p WHERE p.kind = 'degraded' AND p.subject_id = v.asset_version_id"
        " AND p.state = 'open')"
        " AND NOT EXISTS (SELECT 1 FROM decision d JOIN approval p USING (decision_id)"
        " WHERE d.asset_version_id = v.asset_version_id AND p.state = 'open')",
    ),  # not seen, not the newest of its interval, nor the newest that was told of, had by every consumer, of a run that is gone, and nobody is asked
    "plans": Kind(
        "rerun_plan q",
        "q.plan_id",
        f"q.state NOT IN {UNFINISHED_PLAN}"
        " AND NOT EXISTS (SELECT 1 FROM incident c WHERE c.plan_id = q.plan_id)"
        " AND NOT EXISTS (SELECT 1 FROM asset_version v WHERE v.plan_id = q.plan_id AND v.held > 0)"
        " AND NOT EXISTS (SELECT 1 FROM approval p WHERE p.kind = 'plan' AND p.subject_id = q.plan_id AND p.state = 'open')",
    ),
    "hits": Kind(
        "invalidation_hit h CROSS JOIN invalidation n USING (invalidation_id) CROSS JOIN asset_version v"
        " ON v.asset_version_id = h.asset_version_id",
        "h.invalidation_id, h.asset_version_id",
        f"v.state NOT IN {SEEN} AND h.next_id IS NULL AND {_SPREAD}"
        " AND (v.state = 'superseded' OR EXISTS (SELECT 1 FROM asset_version w WHERE w.asset_id = v.asset_id"
        " AND w.start_us = v.start_us AND w.end_us = v.end_us AND w.asset_version_id > v.asset_version_id AND w.shadow = 0"
        f" AND w.state IN {TOLD})) AND NOT EXISTS (SELECT 1 FROM reading r WHERE r.input_id = v.asset_version_id)",
    ),  # it is spread, its interval has been made again since, and nothing may be made of it any more
    "invalidations": Kind(
        "invalidation n",
        "n.invalidation_id",
        f"{_SPREAD} AND n.invalidation_id < (SELECT max(invalidation_id) FROM invalidation)"
        " AND NOT EXISTS (SELECT 1 FROM invalidation_hit h WHERE h.invalidation_id = n.invalidation_id)"
        " AND NOT EXISTS (SELECT 1 FROM rerun_plan q WHERE q.invalidation_id = n.invalidation_id)"
        " AND NOT EXISTS (SELECT 1 FROM incident c WHERE c.invalidation_id = n.invalidation_id)",
    ),
    "intervals": Kind(
        "backfill_interval i CROSS JOIN backfill b USING (backfill_id)",
        "i.backfill_id, i.place",
        "b.ended_us IS NOT NULL AND i.run_id IS NULL",
    ),
    "backfills": Kind("backfill", "backfill_id", "ended_us IS NOT NULL"),
    "codes": Kind(
        "dag_version",
        "version_id",
        "NOT EXISTS (SELECT 1 FROM dag d WHERE d.version_id = dag_version.version_id)",
    ),
    "notices": Kind("notice", "notice_id", f"state NOT IN {UNSENT}"),
    "alerts": Kind(
        "alert",
        "alert_id",
        "run_id IS NULL AND state <> 'taken' AND NOT EXISTS (SELECT 1 FROM notice_alert m JOIN notice n"
        f" USING (notice_id) WHERE m.alert_id = alert.alert_id AND n.state IN {UNSENT})",
    ),
    "deliveries": Kind("hook_delivery", "delivery_id", "expires_us < :now"),
}
_SETTLED_HERE: Final = frozenset({"asset_check", "asset_drop", "decision"})


def may_go(conn: sqlite3.Connection, what: str) -> str:
    """The condition of a kind; of versions with all that might refer to one, but what goes with it."""
    refused = (
        f"NOT EXISTS (SELECT 1 FROM {child} x WHERE x.{column} = v.{to})"
        for child, column, to in referring(conn, "asset_version")
        if child not in _SETTLED_HERE and (child, column) != ("asset_input", "asset_version_id")
    )
    return " AND ".join([KINDS[what].when, *(refused if what == "versions" else ())])


def still(conn: sqlite3.Connection, what: str, ids: list[Any], now: int) -> list[Any]:
    """Those of these rows that may go now."""
    if not ids or what not in KINDS:
        return ids
    kind = KINDS[what]
    several = "," in kind.key
    named = "json_extract(value, '$[0]'), json_extract(value, '$[1]')" if several else "value"
    rows = conn.execute(
        f"SELECT {kind.key} FROM {kind.rows} WHERE ({kind.key}) IN (SELECT {named} FROM json_each(:ids))"
        f" AND {may_go(conn, what)}",
        {"ids": msgspec.json.encode(ids).decode(), "now": now},
    ).fetchall()
    return [list(row) if several else row[0] for row in rows]
