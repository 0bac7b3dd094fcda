"""The ledger of external effects: what is pending, for a start; what there is of one interval; what a body is given."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime.assets.delivery import Delivery, Previous
from bide.runtime.assets.words import Semantics
from bide.runtime.engine.states import DeliveryState
from bide.runtime.store.rows import _Row, rows


class PendingRow(_Row, frozen=True):
    """A delivery that may be under way. `limits` is JSON."""

    delivery_id: int
    version_id: int
    instance_id: int
    run_id: int
    asset: str
    start_us: int
    end_us: int
    target: str
    semantics: Semantics
    key: str
    corrects: int | None
    limits: str | None
    wrong: int
    """1: what it is made of was invalidated since"""


class LedgerRow(_Row, frozen=True):
    """A delivery of an interval. `receipt` is JSON, None where there is none."""

    delivery_id: int
    key: str
    state: DeliveryState
    run_id: int | None
    corrects: int | None
    delivered_us: int | None
    receipt: str | None


_VERSION: Final = "delivery d JOIN asset_version v USING (asset_version_id) JOIN asset a USING (asset_id)"


def pending(conn: sqlite3.Connection) -> list[PendingRow]:
    """Those that may be under way, in the order they were begun."""
    return rows(
        conn,
        PendingRow,
        "SELECT d.delivery_id, d.asset_version_id, v.instance_id, v.run_id, a.name, v.start_us, v.end_us, d.target,"
        " d.semantics, d.key, d.corrects, v.limits, EXISTS (SELECT 1 FROM invalidation_hit h WHERE h.asset_version_id ="
        f" d.asset_version_id) FROM {_VERSION} WHERE d.state = 'pending'"
        " ORDER BY d.asset_version_id",
    )


def ledger(
    conn: sqlite3.Connection, asset: str, target: str, start_us: int, end_us: int
) -> tuple[LedgerRow, ...]:
    """What there is of an interval, oldest first."""
    return tuple(
        rows(
            conn,
            LedgerRow,
            f"SELECT d.delivery_id, d.key, d.state, v.run_id, d.corrects, d.delivered_us, d.receipt FROM {_VERSION}"
            " WHERE v.asset_id = (SELECT asset_id FROM asset WHERE name = ?) AND v.start_us = ? AND v.end_us = ?"
            " AND d.target = ? ORDER BY d.delivery_id",
            (asset, start_us, end_us, target),
        )
    )


def given(conn: sqlite3.Connection, delivery_id: int) -> Delivery:
    """A delivery as its body sees it, with the one that it takes the place of, or corrects."""
    target, key, corrects, version_id = conn.execute(
        "SELECT target, key, corrects, asset_version_id FROM delivery WHERE delivery_id = ?", (delivery_id,)
    ).fetchone()
    previous = None
    if corrects is not None:
        of, delivered, receipt, made = conn.execute(
            "SELECT key, delivered_us, receipt, asset_version_id FROM delivery WHERE delivery_id = ?",
            (corrects,),
        ).fetchone()
        said = None if receipt is None else msgspec.json.decode(receipt)
        previous = Previous(corrects, of, delivered, said, _inputs(conn, made))
    return Delivery(delivery_id, target, key, _inputs(conn, version_id), previous)


def _inputs(conn: sqlite3.Connection, version_id: int) -> tuple[int, ...]:
    sql = "SELECT input_id FROM asset_input WHERE asset_version_id = ? ORDER BY input_id"
    return tuple(each for (each,) in conn.execute(sql, (version_id,)))
