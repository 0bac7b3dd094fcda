"""The ledger of external effects as people and programs read it."""

from __future__ import annotations

import sqlite3
from typing import Final

from bide.runtime.engine.states import ApprovalState, DeliveryState
from bide.runtime.store.rows import _Row, listed


class EffectRead(_Row, frozen=True):
    """A delivery with the version it is, and who made it. `receipt` is JSON."""

    delivery_id: int
    effect: str
    target: str
    semantics: str
    state: DeliveryState
    start_us: int
    end_us: int
    key: str
    version_id: int
    corrects: int | None
    corrected_by: int | None
    run_id: int | None
    dag: str | None
    task: str | None
    asked_us: int
    delivered_us: int | None
    receipt: str | None
    reason: str


class InputRead(_Row, frozen=True):
    asset: str
    version_id: int
    start_us: int
    end_us: int
    state: str


class ApprovalRead(_Row, frozen=True):
    approval_id: int
    state: ApprovalState
    by: str
    why: str
    decided_us: int | None


_DELIVERY: Final = (
    "SELECT d.delivery_id, a.name, d.target, d.semantics, d.state, v.start_us, v.end_us, d.key, v.asset_version_id,"
    " d.corrects, (SELECT max(c.delivery_id) FROM delivery c WHERE c.corrects = d.delivery_id AND c.state NOT IN"
    " ('failed', 'pending')), v.run_id, g.name, i.task, d.asked_us, d.delivered_us, d.receipt, v.reason"
    " FROM delivery d JOIN asset_version v USING (asset_version_id) JOIN asset a USING (asset_id)"
    " LEFT JOIN dag g ON g.dag_id = v.dag_id LEFT JOIN task_instance i ON i.instance_id = v.instance_id"
)


def deliveries(
    conn: sqlite3.Connection, effect: str | None, state: str | None, limit: int, before: int = 2**63 - 1
) -> list[EffectRead]:
    """Of one effect or of all, in one state or in any; the newest first."""
    return listed(
        conn,
        EffectRead,
        f"{_DELIVERY} WHERE (?1 IS NULL OR a.name = ?1) AND (?2 IS NULL OR d.state = ?2) AND d.delivery_id < ?4"
        " ORDER BY 1 DESC LIMIT ?3",
        (effect, state, limit, before),
    )


def delivery(conn: sqlite3.Connection, delivery_id: int) -> EffectRead | None:
    found = listed(conn, EffectRead, f"{_DELIVERY} WHERE d.delivery_id = ?", (delivery_id,))
    return found[0] if found else None


def inputs(conn: sqlite3.Connection, version_id: int) -> list[InputRead]:
    """What a delivery was made of, as it stands now."""
    return listed(
        conn,
        InputRead,
        "SELECT a.name, v.asset_version_id, v.start_us, v.end_us, v.state FROM asset_input i JOIN asset_version v"
        " ON v.asset_version_id = i.input_id JOIN asset a USING (asset_id) WHERE i.asset_version_id = ?"
        " ORDER BY a.name, v.start_us, v.asset_version_id",
        (version_id,),
    )


def approvals(conn: sqlite3.Connection, key: str) -> list[ApprovalRead]:
    """Who was asked for exactly this delivery."""
    return listed(
        conn,
        ApprovalRead,
        "SELECT approval_id, state, by, why, decided_us FROM approval WHERE kind = 'effect' AND about = ? ORDER BY 1",
        (key,),
    )


def effects(conn: sqlite3.Connection) -> list[str]:
    """The names of what was ever delivered."""
    sql = "SELECT DISTINCT a.name FROM delivery JOIN asset_version USING (asset_version_id) JOIN asset a USING (asset_id) ORDER BY 1"
    return [name for (name,) in conn.execute(sql)]
