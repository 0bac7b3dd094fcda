"""Versions that are stale, and the newest one that could be."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.words import VersionState
from bide.runtime.store.rows import _Row


class StaleRow(_Row, frozen=True):
    """The newest version of an asset of which the next is late."""

    asset_id: int
    version_id: int
    run_id: int | None
    start_us: int
    end_us: int


STALE: Final = (
    "SELECT asset_id, asset_version_id, run_id, start_us, end_us FROM asset_version WHERE state = 'stale'"
    " ORDER BY asset_version_id"
)


class NewestRow(msgspec.Struct, frozen=True, array_like=True):
    """The newest version of an asset that consumers see."""

    version_id: int
    run_id: int | None
    start_us: int
    end_us: int
    state: VersionState


def newest_version(conn: sqlite3.Connection, asset: str) -> NewestRow | None:
    """By its interval; None when consumers see none."""
    row = conn.execute(
        "SELECT asset_version_id, run_id, start_us, end_us, state FROM asset_version"
        " WHERE asset_id = (SELECT asset_id FROM asset WHERE name = ?) AND state IN ('published', 'stale', 'degraded')"
        " ORDER BY start_us DESC, end_us DESC, asset_version_id DESC LIMIT 1",
        (asset,),
    ).fetchone()
    return None if row is None else typed.convert(row, NewestRow)
