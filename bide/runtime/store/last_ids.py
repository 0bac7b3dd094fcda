"""The numbers that were given last: the engine gives the next ones, and never one twice."""

from __future__ import annotations

import sqlite3

import msgspec


class LastIds(msgspec.Struct, frozen=True):
    """The highest id given so far, 0 when there is none; the next one is the engine's to give."""

    dag: int
    version: int
    run: int
    instance: int
    attempt: int
    wait: int
    event: int
    asset: int = 0
    asset_version: int = 0
    backfill: int = 0
    contract: int = 0
    gate: int = 0
    schema: int = 0
    decision: int = 0
    approval: int = 0
    delivery: int = 0
    invalidation: int = 0
    plan: int = 0
    incident: int = 0
    notice: int = 0
    bulk: int = 0


def last_ids(conn: sqlite3.Connection) -> LastIds:
    found = conn.execute(
        "SELECT (SELECT max(dag_id) FROM dag), (SELECT max(version_id) FROM dag_version),"
        " (SELECT max(run_id) FROM run), (SELECT max(instance_id) FROM task_instance),"
        " (SELECT max(attempt_id) FROM attempt),"
        " max(coalesce((SELECT max(wait_id) FROM wait), 0), coalesce((SELECT max(standing_id) FROM standing), 0)),"
        " (SELECT max(seq) FROM event), (SELECT max(asset_id) FROM asset),"
        " (SELECT max(asset_version_id) FROM asset_version), (SELECT max(backfill_id) FROM backfill),"
        " (SELECT max(contract_id) FROM contract), (SELECT max(gate_id) FROM gate),"
        " (SELECT max(schema_id) FROM asset_schema), (SELECT max(decision_id) FROM decision),"
        " (SELECT max(approval_id) FROM approval), (SELECT max(delivery_id) FROM delivery),"
        " (SELECT max(invalidation_id) FROM invalidation), (SELECT max(plan_id) FROM rerun_plan),"
        " (SELECT max(incident_id) FROM incident), (SELECT max(notice_id) FROM notice),"
        " (SELECT max(bulk_id) FROM bulk)"
    ).fetchone()
    given = dict(conn.execute("SELECT name, id FROM last_id"))  # of rows that were removed since
    names = LastIds.__struct_fields__
    return LastIds(*(max(value or 0, given.get(name, 0)) for name, value in zip(names, found, strict=True)))


def keep_last_ids(conn: sqlite3.Connection, ids: LastIds) -> None:
    """Write down what was given so far, before rows that may be the last of their kind are removed."""
    conn.executemany(
        "INSERT INTO last_id VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET id = max(id, excluded.id)",
        [(name, getattr(ids, name)) for name in LastIds.__struct_fields__ if getattr(ids, name)],
    )
