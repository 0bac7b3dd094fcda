"""Rerun plans as rows: those that run, for a start; and one of them, for a command."""

from __future__ import annotations

import sqlite3
from typing import Final

from bide.runtime.engine.states import PlanState, StepState
from bide.runtime.store.rows import _Row, columns, rows


class PlanRow(_Row, frozen=True):
    """A plan; `spec` is JSON."""

    plan_id: int
    invalidation_id: int | None
    hash: str
    spec: str
    requires_approval: int
    state: PlanState
    started_us: int | None
    reason: str


class StepRow(_Row, frozen=True):
    """A step of a plan, by its place in it."""

    plan_id: int
    step: int
    state: StepState
    run_id: int | None


_PLAN: Final = columns(PlanRow)
_STEP: Final = columns(StepRow)


def running(conn: sqlite3.Connection) -> list[PlanRow]:
    return rows(conn, PlanRow, f"SELECT {_PLAN} FROM rerun_plan WHERE state = 'running' ORDER BY plan_id")


def running_steps(conn: sqlite3.Connection) -> list[StepRow]:
    """All steps of the plans that run."""
    return rows(
        conn,
        StepRow,
        f"SELECT {_STEP} FROM rerun_step WHERE plan_id IN (SELECT plan_id FROM rerun_plan WHERE state = 'running')"
        " ORDER BY plan_id, step",
    )


def plan(conn: sqlite3.Connection, plan_id: int) -> PlanRow | None:
    found = rows(conn, PlanRow, f"SELECT {_PLAN} FROM rerun_plan WHERE plan_id = ?", (plan_id,))
    return found[0] if found else None


def plan_of_hash(conn: sqlite3.Connection, invalidation_id: int, digest: str) -> PlanRow | None:
    """The newest plan of an invalidation that does exactly this."""
    found = rows(
        conn,
        PlanRow,
        f"SELECT {_PLAN} FROM rerun_plan WHERE invalidation_id = ? AND hash = ? ORDER BY plan_id DESC LIMIT 1",
        (invalidation_id, digest),
    )
    return found[0] if found else None
