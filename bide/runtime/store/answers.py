"""What `decide` may ask of the database, by name: each question is a row of one table, with who answers it.

A question is a key: its name, and what it is of, in the order in which the answering function takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bide.runtime.store import (
    approval_reads,
    bulk_reads,
    delivery_rows,
    facts,
    hook_rows,
    incident_reads,
    load,
    mapped,
    notice_rows,
    plan_rows,
    revisions,
    safe_use,
    spreading,
    stale,
    who_reads,
)

if TYPE_CHECKING:
    import sqlite3


def answer_to(conn: sqlite3.Connection, key: tuple[Any, ...]) -> Any:
    """What the database says to one question, for instance `("run_by_key", dag_id, run_key)`."""
    name, *of = key
    if name not in _ANSWERS:
        raise AssertionError(f"decide asked for {key!r}, which nobody knows how to answer")
    return _ANSWERS[name](conn, *of)


def _hook_seen(conn: sqlite3.Connection, hook: str, *keys: str) -> Any:
    return hook_rows.seen(conn, hook, keys)


def _bulk_targets(conn: sqlite3.Connection, action: str, of: str, whole: bool) -> Any:
    return bulk_reads.targets(conn, action, of, whole, bulk_reads.MOST + 1)


def _prunable(conn: sqlite3.Connection, policy: str, cursor: str) -> Any:
    from bide.runtime.store.retention import asked  # large, and asked once a day

    return asked(conn, policy, cursor)


_ANSWERS: Final[Mapping[str, Callable[..., Any]]] = {
    # runs and what is in them
    "run": load.load_run,
    "run_at": facts.end_state,
    "run_by_key": facts.run_by_key,
    "run_within": facts.run_within,
    "run_in_the_way": facts.run_in_the_way,
    "runs_between": facts.runs_between,
    "runs_over": facts.runs_over,
    "past": facts.run_before,
    "children": mapped.children,
    "child": mapped.child,
    "version": facts.version_id,
    "backfill": facts.backfill,
    # assets: versions, and whether they may be read
    "asset_version": safe_use.version,
    "asset_after": facts.versions_after,
    "asset_newest": stale.newest_version,
    "asset_over": facts.versions_over,
    "asset_since": facts.versions_since,
    "seen": safe_use.observed,
    "approved": safe_use.approved,
    "beside": safe_use.beside,
    "schema": safe_use.schema_id,
    "ledger": delivery_rows.ledger,
    # what was found wrong, and what is done about it
    "wrong": spreading.wrong,
    "late": spreading.hit_inputs,
    "spread": spreading.slice_of,
    "plan": plan_rows.plan,
    "plan_of_hash": plan_rows.plan_of_hash,
    "incident": incident_reads.incident_row,
    "invalidation_of_incident": incident_reads.invalidation_row,
    "plan_of_incident": incident_reads.plan_state,
    # people, alerts and the outside
    "approval": approval_reads.how_it_stands,
    "alert": facts.alert_state,
    "alerts_new": facts.new_alerts,
    "notices_to_retry": notice_rows.to_retry,
    "hook_seen": _hook_seen,
    "token": who_reads.live_token,
    # commands: said before, said of many, said of what stands otherwise by now
    "answered": facts.answered,
    "revision": revisions.revision,
    "bulk": bulk_reads.slice_of,
    "bulk_targets": _bulk_targets,
    "prunable": _prunable,
}
