"""Deliveries of hooks in the database: what `decide` asks before a run is made, and what is listed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from bide.runtime.hooks.delivery import ACCEPTED, Seen
from bide.runtime.store.rows import _Row, listed


def seen(conn: sqlite3.Connection, hook: str, keys: Iterable[str]) -> Seen | None:
    """The delivery known by one of the keys; one that made a run before any other."""
    found = None
    for key in keys:
        row = conn.execute(
            "SELECT d.delivery_id, d.outcome, d.run_id, d.dag, d.times, d.first_us FROM hook_key k"
            " JOIN hook_delivery d USING (delivery_id) WHERE k.hook = ? AND k.key = ?",
            (hook, key),
        ).fetchone()
        if row is not None and (found is None or row[1] == ACCEPTED):
            found = Seen(*row)
    return found


def hooks(conn: sqlite3.Connection) -> tuple[tuple[str, str], ...]:
    """(name, spec as JSON), as they were last loaded."""
    return tuple(conn.execute("SELECT name, spec FROM hook ORDER BY name"))


# --- for people and programs -----------------------------------------------------------------------


class Summary(_Row, frozen=True, kw_only=True):
    """What was delivered to a hook and is still known, and what nobody known had signed."""

    hook: str
    accepted: int = 0
    ignored: int = 0
    refused: int = 0
    last_us: int | None = None
    last_outcome: str | None = None
    rejected: int = 0
    rejected_us: int | None = None
    rejected_for: str | None = None


class DeliveryRead(_Row, frozen=True):
    delivery_id: int
    hook: str
    said: str
    outcome: str
    dag: str
    run_id: int | None
    reason: str
    first_us: int
    last_us: int
    times: int
    sent_us: int | None


_MOST_COUNTED: Final = 10_000
"""Deliveries of a hook that a listing counts: the newest."""


def summaries(conn: sqlite3.Connection) -> list[Summary]:
    """Of every hook that anything is known of, by name."""
    found: list[Summary] = []
    for name in names(conn):
        counts = dict(
            conn.execute(
                "SELECT outcome, count(*) FROM (SELECT outcome FROM hook_delivery WHERE hook = ?1"
                " ORDER BY delivery_id DESC LIMIT ?2) GROUP BY outcome",
                (name, _MOST_COUNTED),
            ).fetchall()
        )
        last = conn.execute(
            "SELECT last_us, outcome FROM hook_delivery WHERE hook = ? ORDER BY delivery_id DESC LIMIT 1",
            (name,),
        ).fetchone()
        rejected = conn.execute(
            "SELECT sum(count), max(last_us), (SELECT kind FROM hook_refusal WHERE hook = ?1 ORDER BY last_us DESC"
            " LIMIT 1) FROM hook_refusal WHERE hook = ?1",
            (name,),
        ).fetchone()
        found.append(
            Summary(
                hook=name,
                accepted=counts.get("accepted", 0),
                ignored=counts.get("ignored", 0),
                refused=counts.get("refused", 0),
                last_us=last[0] if last else None,
                last_outcome=last[1] if last else None,
                rejected=rejected[0] or 0,
                rejected_us=rejected[1],
                rejected_for=rejected[2],
            )
        )
    return found


def names(conn: sqlite3.Connection) -> list[str]:
    """Of hooks that are declared, or of which something is known."""
    sql = (  # from one name to the next in the index, however many deliveries a hook has
        "WITH RECURSIVE delivered (hook) AS (SELECT min(hook) FROM hook_delivery UNION ALL"
        " SELECT (SELECT min(hook) FROM hook_delivery d WHERE d.hook > delivered.hook) FROM delivered"
        " WHERE delivered.hook IS NOT NULL) SELECT name FROM hook UNION SELECT hook FROM hook_refusal"
        " UNION SELECT hook FROM delivered WHERE hook IS NOT NULL ORDER BY 1"
    )
    return [name for (name,) in conn.execute(sql)]


def deliveries(
    conn: sqlite3.Connection, hook: str, outcome: str | None, limit: int, before: int = 2**63 - 1
) -> list[DeliveryRead]:
    """The newest first."""
    return listed(
        conn,
        DeliveryRead,
        "SELECT delivery_id, hook, said, outcome, dag, run_id, reason, first_us, last_us, times, sent_us"
        " FROM hook_delivery WHERE hook = ?1 AND (?2 IS NULL OR outcome = ?2) AND delivery_id < ?4"
        " ORDER BY delivery_id DESC LIMIT ?3",
        (hook, outcome, limit, before),
    )
