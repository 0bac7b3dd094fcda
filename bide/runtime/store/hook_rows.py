"""What the database knows of deliveries: asked by `decide` before a run is made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from bide.runtime.hooks.delivery import ACCEPTED, Seen


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
