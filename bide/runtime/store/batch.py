"""Writes one batch in one transaction: the SQL of every list of `Changes`, in its order.

Both writers go through `write`; it runs in whatever thread owns the connection and leaves no
transaction open on any path.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import compress
from operator import attrgetter
from typing import Final

from bide.runtime.engine.changes import Changes
from bide.runtime.store.failure import ROW_ERRORS, BatchRejected, judge, lost

Hook = Callable[[str], None]


def _insert(table: str, columns: str) -> str:
    marks = ", ".join("?" * len(columns.split(",")))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


STATEMENTS: Final[tuple[tuple[str, str], ...]] = (
    (
        "dags_set",
        _insert(
            "dag",
            "dag_id, name, version_id, schedule, options, paused, removed, anchor_us, watermark_us, next_fires_us,"
            " file",
        )
        + " ON CONFLICT (dag_id) DO UPDATE SET name = excluded.name, version_id = excluded.version_id,"
        " schedule = excluded.schedule, options = excluded.options, paused = excluded.paused,"
        " removed = excluded.removed, anchor_us = excluded.anchor_us,"
        " watermark_us = excluded.watermark_us, next_fires_us = excluded.next_fires_us, file = excluded.file",
    ),
    ("backlogs", "UPDATE dag SET backlog = ? WHERE dag_id = ?"),
    ("versions_new", _insert("dag_version", "version_id, dag_id, hash, spec, created_us")),
    ("sources_new", _insert("source", "hash, bytes, text") + " ON CONFLICT (hash) DO NOTHING"),
    (
        "codes_new",
        _insert("dag_code", "dag_id, version_id, file, source, first_run_id, first_attempt_id, loaded_us"),
    ),
    (
        "runs_new",
        _insert(
            "run",
            "run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us, scheduled_us,"
            " params, created_us, deadline_us, reason",
        ),
    ),
    (
        "runs_set",
        "UPDATE run SET state = ?, started_us = ?, ended_us = ?, deadline_us = ?, reason = ? WHERE run_id = ?",
    ),
    ("instances_new", _insert("task_instance", "instance_id, run_id, task, map_index, state, since_us")),
    (
        "instances_set",
        (
            "UPDATE task_instance SET state = ?, attempt = ?, failures = ?, lost = ?, attempt_id = ?,"
            " since_us = ?, due_us = ?, deadline_us = ?, reason = ? WHERE instance_id = ?"
        ),
    ),
    (
        "expansions_set",
        _insert("expansion", "instance_id, items, made, keeps")
        + " ON CONFLICT (instance_id) DO UPDATE SET items = excluded.items, made = excluded.made,"
        " keeps = excluded.keeps",
    ),
    (
        "manifests",
        _insert("manifest", "instance_id, value")
        + " ON CONFLICT (instance_id) DO UPDATE SET value = excluded.value",
    ),
    (
        "attempts_new",
        _insert("attempt", "attempt_id, instance_id, number, state, epoch, started_us, queued_us"),
    ),
    (
        "attempts_set",
        "UPDATE attempt SET state = ?, ended_us = ?, active_us = ?, error = ?, metrics = ? WHERE attempt_id = ?",
    ),
    ("processes", _insert("process", "attempt_id, pid, started, boot_id")),
    ("processes_gone", "DELETE FROM process WHERE attempt_id = ?"),
    (
        "failures",
        _insert("failure", "instance_id, error_type, at_us")
        + " ON CONFLICT (instance_id) DO UPDATE SET error_type = excluded.error_type, at_us = excluded.at_us",
    ),
    ("outputs_gone", "DELETE FROM output WHERE instance_id = ?"),
    (
        "outputs",
        _insert("output", "instance_id, value")
        + " ON CONFLICT (instance_id) DO UPDATE SET value = excluded.value",
    ),
    ("closing", _insert("closing", "run_id, reason")),
    ("closing_gone", "DELETE FROM closing WHERE run_id = ?"),
    ("choices_gone", "DELETE FROM choice WHERE instance_id = ?"),
    (
        "choices",
        _insert("choice", "instance_id, chosen")
        + " ON CONFLICT (instance_id) DO UPDATE SET chosen = excluded.chosen",
    ),
    (
        "waits_new",
        _insert(
            "wait",
            "wait_id, instance_id, attempt_id, key, kind, trigger, state, created_us, deadline_us, poll_us",
        ),
    ),
    (
        "waits_set",
        (
            "UPDATE wait SET attempt_id = ?, state = ?, deadline_us = ?, ended_us = ?, event = ?, reason = ?"
            " WHERE wait_id = ?"
        ),
    ),
    ("skips", _insert("skipped_firing", "dag_id, from_us, until_us, reason, at_us")),
    (
        "standing_set",
        _insert(
            "standing", "standing_id, dag_id, kind, trigger, poll_us, since_us, firings, fired_us, event_key"
        )
        + " ON CONFLICT (standing_id) DO UPDATE SET trigger = excluded.trigger, poll_us = excluded.poll_us,"
        " firings = excluded.firings, fired_us = excluded.fired_us, event_key = excluded.event_key",
    ),
    (
        "marks",
        _insert("standing_mark", "standing_id, name, mark")
        + " ON CONFLICT (standing_id, name) DO UPDATE SET mark = excluded.mark",
    ),
    ("standing_gone", "UPDATE standing SET ended_us = ? WHERE standing_id = ?"),
    ("steps", _insert("step", "instance_id, attempt_id, name, value")),
    (
        "watermarks",
        _insert("watermark", "dag_id, task, value, end_us")
        + " ON CONFLICT (dag_id, task) DO UPDATE SET value = excluded.value, end_us = excluded.end_us",
    ),
    (
        "alarms_set",
        _insert("alarm", "kind, subject_id, due_us, span_us, said")
        + " ON CONFLICT (kind, subject_id) DO UPDATE SET due_us = excluded.due_us,"
        " span_us = excluded.span_us, said = excluded.said",
    ),
    ("alarms_gone", "DELETE FROM alarm WHERE kind = ? AND subject_id = ?"),
    (
        "alerts_new",
        _insert(
            "alert",
            "alert_id, key, kind, run_id, subject, promise, due_us, fired_us, text, payload, severity, owners, tags",
        )
        + " ON CONFLICT (key) DO NOTHING",
    ),
    ("alerts_set", "UPDATE alert SET state = ? WHERE alert_id = ?"),
    ("answered", _insert("answered", "caller, key, verb, result, created_us, digest")),
    ("assets_new", _insert("asset", "asset_id, name, created_us")),
    ("assets_set", "UPDATE asset SET node = ?, owner = ?, criticality = ?, spec = ? WHERE asset_id = ?"),
    ("contracts_over", "UPDATE contract SET ended_us = ? WHERE contract_id = ?"),
    (
        "contracts_new",
        _insert("contract", "contract_id, downstream_id, upstream_id, kind, spec, source, since_us"),
    ),
    ("gates_over", "UPDATE gate SET ended_us = ? WHERE gate_id = ?"),
    ("gates_new", _insert("gate", "gate_id, asset_id, name, severity, owner, spec, source, since_us")),
    (
        "expected_set",
        _insert("expected", "dag_id, asset_id, start_us, end_us, fires_us, due_us, said")
        + " ON CONFLICT (dag_id, asset_id) DO UPDATE SET start_us = excluded.start_us, end_us = excluded.end_us,"
        " fires_us = excluded.fires_us, due_us = excluded.due_us, said = excluded.said",
    ),
    ("expected_gone", "DELETE FROM expected WHERE dag_id = ? AND asset_id = ?"),
    (
        "asset_versions_new",
        _insert(
            "asset_version",
            "asset_version_id, asset_id, dag_id, run_id, instance_id, start_us, end_us, state, created_us,"
            " dag_version_id, attempt_id, plan_id, shadow",
        ),
    ),
    ("asset_schemas_new", _insert("asset_schema", "schema_id, asset_id, hash, schema, since_us")),
    (
        "asset_staged",
        "UPDATE asset_version SET label = ?, meta = ?, schema_id = ? WHERE asset_version_id = ?",
    ),
    (
        "asset_states",
        "UPDATE asset_version SET state = ?, since_us = ?, reason = ?, limits = ?, held = ? WHERE asset_version_id = ?",
    ),
    (
        "asset_limits",
        (
            "UPDATE asset_version SET limits = json_set(coalesce(limits, '{}'), '$.known_limitations', json_insert("
            "coalesce(json_extract(limits, '$.known_limitations'), '[]'), '$[#]', ?1)) WHERE asset_version_id = ?2"
            " AND ?1 NOT IN (SELECT value FROM json_each(limits, '$.known_limitations'))"
        ),
    ),
    (
        "asset_superseded",
        (
            "UPDATE asset_version SET state = 'superseded', since_us = ?, reason = ? WHERE asset_id = ? AND start_us = ?"
            " AND end_us = ? AND asset_version_id < ? AND state IN ('published', 'stale', 'degraded')"
        ),
    ),
    (
        "asset_replaced",
        (
            "UPDATE asset_version SET state = 'superseded', since_us = ?, reason = ? WHERE asset_id = ?"
            " AND asset_version_id < ? AND state IN ('published', 'stale', 'degraded')"
        ),
    ),
    ("asset_quiet", "UPDATE asset_version SET quiet = 1 WHERE asset_version_id = ?"),
    ("asset_inputs", _insert("asset_input", "asset_version_id, input_id, kind")),
    ("readings_gone", "DELETE FROM reading WHERE instance_id = ?"),
    ("readings", _insert("reading", "instance_id, input_id, kind")),
    (
        "asset_read",
        (
            "INSERT OR IGNORE INTO asset_input (asset_version_id, input_id, kind)"
            " SELECT ?, input_id, kind FROM reading WHERE instance_id = ?"
        ),
    ),
    (
        "decisions_new",
        _insert(
            "decision",
            "decision_id, at_us, phase, asset_id, run_id, instance_id, asset_version_id, consumer, start_us, end_us, level, retryable, reason, issues, observed, by",
        ),
    ),
    (
        "asset_checks",
        _insert("asset_check", "asset_version_id, name, severity, passed, observed, expected, message, at_us")
        + " ON CONFLICT (asset_version_id, name) DO UPDATE SET severity = excluded.severity, passed = excluded.passed,"
        " observed = excluded.observed, expected = excluded.expected, message = excluded.message, at_us = excluded.at_us",
    ),
    (
        "approvals_new",
        _insert(
            "approval",
            "approval_id, kind, subject_id, run_id, decision_id, prompt, who, asked_us, expires_us, state, about",
        ),
    ),
    ("approvals_moved", "UPDATE approval SET expires_us = ? WHERE approval_id = ?"),
    ("approvals_set", "UPDATE approval SET state = ?, decided_us = ?, by = ?, why = ? WHERE approval_id = ?"),
    (
        "deliveries_new",
        _insert(
            "delivery", "delivery_id, asset_version_id, target, semantics, key, state, corrects, asked_us"
        ),
    ),
    (
        "deliveries_again",
        (
            "UPDATE delivery SET asset_version_id = ?, corrects = ?, asked_us = ?, state = 'pending',"
            " delivered_us = NULL, receipt = NULL WHERE delivery_id = ?"
        ),
    ),
    ("deliveries_moved", "UPDATE delivery SET state = ? WHERE delivery_id = ?"),
    ("deliveries_set", "UPDATE delivery SET state = ?, delivered_us = ?, receipt = ? WHERE delivery_id = ?"),
    (
        "invalidations_new",
        _insert(
            "invalidation",
            "invalidation_id, asset_id, start_us, end_us, effective_us, cause, severity, reason, evidence, discovered_us, by, state, asset_version_id, code, marked_id",
        ),
    ),
    ("invalidations_set", "UPDATE invalidation SET state = ?, marked_id = ? WHERE invalidation_id = ?"),
    (
        "invalidation_hits",
        _insert(
            "invalidation_hit",
            "invalidation_id, asset_version_id, via_id, kind, action, was, decision, next_id",
        )
        + " ON CONFLICT (invalidation_id, asset_version_id) DO UPDATE SET via_id = excluded.via_id, kind = excluded.kind,"
        " action = excluded.action, was = excluded.was, decision = excluded.decision, next_id = excluded.next_id",
    ),
    (
        "invalidation_upto",
        "UPDATE invalidation_hit SET next_id = ? WHERE invalidation_id = ? AND asset_version_id = ?",
    ),
    (
        "plans_new",
        _insert(
            "rerun_plan", "plan_id, invalidation_id, hash, spec, risk, requires_approval, state, created_us"
        ),
    ),
    (
        "plans_set",
        "UPDATE rerun_plan SET state = ?, started_us = ?, ended_us = ?, reason = ? WHERE plan_id = ?",
    ),
    (
        "plan_steps_set",
        _insert("rerun_step", "plan_id, step, state, run_id, reason")
        + " ON CONFLICT (plan_id, step) DO UPDATE SET state = excluded.state, run_id = excluded.run_id,"
        " reason = excluded.reason",
    ),
    ("bulks_new", _insert("bulk", "bulk_id, verb, filter, args, targets, total, begun_us")),
    ("bulks_set", "UPDATE bulk SET done = ?, refused = ?, told = ?, ended_us = ? WHERE bulk_id = ?"),
    (
        "incidents_new",
        _insert(
            "incident",
            "incident_id, title, asset_id, invalidation_id, plan_id, severity, state, opened_us, opened_by",
        ),
    ),
    (
        "incidents_set",
        "UPDATE incident SET invalidation_id = ?, plan_id = ?, severity = ?, state = ?, closed_us = ?, closed_by = ? WHERE incident_id = ?",
    ),
    ("incident_entries", _insert("incident_entry", "incident_id, n, at_us, step, by, text, data")),
    (
        "asset_cursors_set",
        _insert("asset_cursor", "dag_id, asset_id, asset_version_id, split_us")
        + " ON CONFLICT (dag_id, asset_id) DO UPDATE SET asset_version_id = excluded.asset_version_id,"
        " split_us = excluded.split_us",
    ),
    ("asset_cursors_gone", "DELETE FROM asset_cursor WHERE dag_id = ? AND asset_id = ?"),
    (
        "asset_pending_gone",
        "DELETE FROM asset_pending WHERE dag_id = ? AND asset_version_id = ? AND part_us = ? AND again = ?",
    ),
    ("asset_pending_new", _insert("asset_pending", "dag_id, asset_version_id, part_us, again")),
    ("run_triggers", _insert("run_trigger", "run_id, asset_version_id, part_us, again, used")),
    ("asset_drops", _insert("asset_drop", "dag_id, asset_version_id, part_us, again, at_us, reason")),
    (
        "backfills_set",
        _insert("backfill", "backfill_id, dag_id, state, options, plan_hash, created_us, ended_us, reason")
        + " ON CONFLICT (backfill_id) DO UPDATE SET state = excluded.state, ended_us = excluded.ended_us,"
        " reason = excluded.reason",
    ),
    (
        "intervals_new",
        _insert("backfill_interval", "backfill_id, place, fires_us, start_us, end_us, state, run_id, reason"),
    ),
    (
        "intervals_off",
        "UPDATE backfill_interval SET state = 'cancelled', reason = ? WHERE backfill_id = ? AND state = 'pending'",
    ),
    (
        "intervals_set",
        "UPDATE backfill_interval SET state = ?, run_id = ?, reason = ? WHERE backfill_id = ? AND place = ?",
    ),
    (
        "budgets_set",
        _insert("budget", "name, since_us, spent, by_backfills")
        + " ON CONFLICT (name) DO UPDATE SET since_us = excluded.since_us, spent = excluded.spent,"
        " by_backfills = excluded.by_backfills",
    ),
    (
        "lineage_set",
        _insert("lineage_sent", "sink, seq") + " ON CONFLICT (sink) DO UPDATE SET seq = excluded.seq",
    ),
    (
        "notices_new",
        _insert(
            "notice", "notice_id, route, key, kind, severity, state, count, title, made_us, from_us, next_us"
        ),
    ),
    (
        "notices_joined",
        "UPDATE notice SET count = ?, severity = ?, title = ?, next_us = ? WHERE notice_id = ?",
    ),
    (
        "notices_alerts",
        (
            "INSERT INTO notice_alert (notice_id, alert_id) SELECT ?1, alert_id FROM alert WHERE alert_id = ?2"
            " ON CONFLICT DO NOTHING"
        ),
    ),
    (
        "notices_set",
        (
            "UPDATE notice SET state = ?, next_us = ?, attempts = ?, message = coalesce(message, ?), status = ?, error = ?,"
            " ended_us = ? WHERE notice_id = ?"
        ),
    ),
    (
        "notices_again",
        (
            "UPDATE notice SET state = 'pending', next_us = ?, attempts = 0, made_us = ?, ended_us = NULL WHERE notice_id = ?"
        ),
    ),
    (
        "notices_gone",
        "UPDATE notice SET state = 'gone', ended_us = ?, error = ? WHERE route = ? AND state = 'pending'",
    ),
    (
        "notices_off",
        _insert("notice_off", "route, target, off_us, reason")
        + " ON CONFLICT (route) DO UPDATE SET target = excluded.target, off_us = excluded.off_us,"
        " reason = excluded.reason",
    ),
    ("notices_on", "DELETE FROM notice_off WHERE route = ?"),
    (
        "notices_routed",
        _insert("notice_routed", "one, alert_id")
        + " ON CONFLICT (one) DO UPDATE SET alert_id = excluded.alert_id",
    ),
    ("hooks_gone", "DELETE FROM hook"),
    ("hooks_new", _insert("hook", "name, spec")),
    (
        "hook_forgotten",
        (
            "DELETE FROM hook_delivery WHERE delivery_id IN"
            " (SELECT delivery_id FROM hook_delivery WHERE expires_us < ? ORDER BY expires_us LIMIT ?)"
        ),
    ),
    (
        "hook_deliveries",
        _insert(
            "hook_delivery",
            "delivery_id, hook, said, dag, outcome, run_id, reason, first_us, last_us, times, sent_us, expires_us",
        )
        + " ON CONFLICT (delivery_id) DO UPDATE SET said = excluded.said, dag = excluded.dag,"
        " outcome = excluded.outcome, run_id = excluded.run_id, reason = excluded.reason,"
        " last_us = excluded.last_us, times = excluded.times, sent_us = excluded.sent_us,"
        " expires_us = excluded.expires_us",
    ),
    (
        "hook_keys",
        _insert("hook_key", "hook, key, delivery_id")
        + " ON CONFLICT (hook, key) DO UPDATE SET delivery_id = excluded.delivery_id",
    ),
    ("hook_again", "UPDATE hook_delivery SET last_us = ?, times = times + 1 WHERE delivery_id = ?"),
    (
        "hook_refusals",
        _insert("hook_refusal", "hook, kind, count, last_us")
        + " ON CONFLICT (hook, kind) DO UPDATE SET count = count + excluded.count, last_us = excluded.last_us",
    ),
    ("tokens_new", _insert("token", "public, name, hash, scope, created_us, expires_us")),
    ("tokens_over", "UPDATE token SET revoked_us = ? WHERE public = ? AND revoked_us IS NULL"),
    ("audit", _insert("audit", "at_us, who, via, address, verb, target, args, outcome, message")),
    ("events", _insert("event", "seq, at_us, epoch, subject, subject_id, run_id, was, now, reason")),
)
"""(list of `Changes`, statement), in the order they are written: parents before children."""

_LISTS: Final = attrgetter(*(name for name, _ in STATEMENTS))
_BATCH: Final = "UPDATE meta SET value = ? WHERE key = 'batch' AND value < ?"
_MAYBE: Final = frozenset(
    {
        "choices_gone",
        "asset_limits",
        "asset_superseded",
        "asset_replaced",
        "asset_read",
        "outputs_gone",
        "processes_gone",
        "readings_gone",
        "alarms_gone",
        "alerts_new",
        "expected_gone",
        "hooks_gone",
        "hook_forgotten",
        "hook_again",
        "intervals_off",
        "notices_again",
        "notices_alerts",
        "notices_gone",
        "notices_joined",
        "notices_on",
        "notices_set",
        "sources_new",
    }
)
"""What may find nothing to do, or more than one row."""


def write(conn: sqlite3.Connection, changes: Changes, batch: int, at: Hook | None = None) -> None:
    """Write `changes` whole, as batch number `batch`, or nothing of it.

    A batch number that is not above the last one stored is refused: the same batch cannot land
    twice. An update of a row that is not there is refused as well. `at` is called with the name
    of each step before it is done, for tests that stop there.

    Raises `StoreFullError` (nothing applied, may be retried), `BatchRejected` (nothing applied,
    never will be) or `StoreLostError` (outcome unknown).
    """
    step = "begin"
    try:
        if at:
            at(step)
        conn.execute("BEGIN IMMEDIATE")
        lists = _LISTS(changes)
        for (name, sql), rows in zip(compress(STATEMENTS, lists), filter(None, lists), strict=True):
            step = name
            if at:
                at(step)
            written = rows.values() if type(rows) is dict else rows
            done = conn.executemany(sql, written).rowcount
            if done != len(rows) and name not in _MAYBE:
                raise BatchRejected(name, "no such row", f"{len(rows)} rows were to be set, {done} are there")
        if changes.pruned:
            from bide.runtime.store.removal import carry_out

            step = "pruned"
            if at:
                at(step)
            for removal in changes.pruned:
                carry_out(conn, removal)
        step = "meta"
        if at:
            at(step)
        if conn.execute(_BATCH, (batch, batch)).rowcount != 1:
            raise BatchRejected(step, "batch number", f"batch {batch} or a later one is already stored")
        step = "commit"
        if at:
            at(step)
        conn.execute("COMMIT")
    except (sqlite3.Error, MemoryError, *ROW_ERRORS) as error:
        raise judge(error, step, committing=step == "commit") from error
    finally:
        if conn.in_transaction:
            roll_back(conn)


def roll_back(conn: sqlite3.Connection) -> None:
    """End the open transaction without a trace; a rollback that fails leaves the outcome unknown."""
    try:
        conn.execute("ROLLBACK")
    except sqlite3.Error as error:
        if conn.in_transaction:
            raise lost(error) from error
