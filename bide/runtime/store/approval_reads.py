"""Approvals: those that are open, for a start; and how one stands."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from bide.runtime.engine.states import ApprovalKind
from bide.runtime.store.rows import _Row, rows


class ApprovalRow(_Row, frozen=True):
    """One that nobody has decided; `who` is JSON."""

    approval_id: int
    kind: ApprovalKind
    subject_id: int
    run_id: int | None
    prompt: str
    who: str
    asked_us: int
    expires_us: int | None
    about: str


OPEN: Final = f"SELECT {', '.join(ApprovalRow.__struct_fields__)} FROM approval WHERE state = 'open' ORDER BY approval_id"


def open_approvals(conn: sqlite3.Connection) -> list[ApprovalRow]:
    """Those that nobody has decided, in the order they were asked."""
    return rows(conn, ApprovalRow, OPEN)


class ApprovalOver(msgspec.Struct, frozen=True, array_like=True):
    """How an approval stands."""

    state: str
    by: str
    why: str


def how_it_stands(conn: sqlite3.Connection, approval_id: int) -> ApprovalOver | None:
    """How an approval stands; None when there is none of that number."""
    row = conn.execute("SELECT state, by, why FROM approval WHERE approval_id = ?", (approval_id,)).fetchone()
    return ApprovalOver(*row) if row else None
