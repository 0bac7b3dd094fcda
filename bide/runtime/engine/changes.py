"""What one batch changes in the database: rows by table and verb, no SQL.

`decide` appends; the store writes each list with one statement, in the order of the fields below
(parents before children), all in one transaction. A row's shape is named beside its list; text
columns hold `str`, JSON included. `..._set` rows are whole: the last one for an id counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

Row = tuple[Any, ...]


class Removal(NamedTuple):
    """A slice of what retention removes: runs that are marked to go, and ids by what they are of.

    `journal_from`: the last line of the journal that goes by its age, 0 where none does.
    """

    at_us: int
    marked: list[int]
    gone: Mapping[str, list[Any]]
    journal_from: int


class Changes(msgspec.Struct, eq=False):
    """One batch of them: a list or a table each, empty until something is said.

    A struct, for it is made at every turn: msgspec makes its empty tables in C.
    """

    dags_set: list[Row] = []
    """(dag_id, name, version_id, schedule, options, paused, removed, anchor_us, watermark_us,
    next_fires_us, file): written whole, new or not"""
    backlogs: list[Row] = []
    """(backlog, dag_id): JSON, the ranges of missed firings that are still to be run"""
    versions_new: list[Row] = []
    """(version_id, dag_id, hash, spec, created_us)"""
    sources_new: list[Row] = []
    """(hash, bytes, text): the text of a file; one that is there already is left out"""
    codes_new: list[Row] = []
    """(dag_id, version_id, file, source, first_run_id, first_attempt_id, loaded_us)"""
    runs_new: list[Row] = []
    """(run_id, dag_id, version_id, state, kind, run_key, logical_us, start_us, end_us,
    scheduled_us, params, created_us, deadline_us, reason)"""
    runs_set: dict[int, Row] = {}
    """run_id -> (state, started_us, ended_us, deadline_us, reason, run_id)"""
    instances_new: list[Row] = []
    """(instance_id, run_id, task, map_index, state, since_us)"""
    instances_set: dict[int, Row] = {}
    """instance_id -> (state, attempt, failures, lost, attempt_id, since_us, due_us,
    deadline_us, reason, instance_id)"""
    expansions_set: dict[int, Row] = {}
    """instance_id of a mapped task -> (instance_id, items, made, keeps), new or not"""
    manifests: list[Row] = []
    """(instance_id, value), replaced when there is one; after `expansions_set`"""
    attempts_new: list[Row] = []
    """(attempt_id, instance_id, number, state, epoch, started_us, queued_us)"""
    attempts_set: dict[int, Row] = {}
    """attempt_id -> (state, ended_us, active_us, error, metrics, attempt_id)"""
    processes: list[Row] = []
    """(attempt_id, pid, started, boot_id)"""
    processes_gone: list[Row] = []
    """(attempt_id,): its body has ended; applied after `processes`"""
    failures: list[Row] = []
    """(instance_id, error_type, at_us), replaced when there is one"""
    outputs: list[Row] = []
    """(instance_id, value), replaced when there is one"""
    outputs_gone: list[Row] = []
    """(instance_id,): a rerun forgets the old output; applied before `outputs`"""
    closing: list[Row] = []
    """(run_id, reason): cancelled, and its tear-downs go on"""
    closing_gone: list[Row] = []
    """(run_id,): they have ended; applied after `closing`"""
    choices_gone: list[Row] = []
    """(instance_id,): what a branch chose counts no more; applied before `choices`"""
    choices: dict[int, Row] = {}
    """instance_id -> (instance_id, chosen), replaced when there is one"""
    waits_new: list[Row] = []
    """(wait_id, instance_id, attempt_id, key, kind, trigger, state, created_us, deadline_us,
    poll_us)"""
    waits_set: dict[int, Row] = {}
    """wait_id -> (attempt_id, state, deadline_us, ended_us, event, reason, wait_id)"""
    skips: list[Row] = []
    """(dag_id, from_us, until_us, reason, at_us): firings that are not run"""
    standing_set: dict[int, Row] = {}
    """standing_id -> (standing_id, dag_id, kind, trigger, poll_us, since_us, firings, fired_us, event_key):
    written whole, new or not"""
    marks: list[Row] = []
    """(standing_id, name, mark): what an event of a schedule consisted of, replaced when there is one"""
    standing_gone: list[Row] = []
    """(ended_us, standing_id): its schedule no longer has it; applied after `standing_set`"""
    steps: list[Row] = []
    """(instance_id, attempt_id, name, value)"""
    watermarks: list[Row] = []
    """(dag_id, task, value, end_us), replaced when there is one"""
    alarms_set: list[Row] = []
    """(kind, subject_id, due_us, span_us, said): armed, or moved"""
    alarms_gone: list[Row] = []
    """(kind, subject_id): fired, or its subject has ended; never one of `alarms_set`"""
    alerts_new: list[Row] = []
    """(alert_id, key, kind, run_id, subject, promise, due_us, fired_us, text, payload, severity, owners, tags); one
    whose key is there already is left out"""
    alerts_set: dict[int, Row] = {}
    """alert_id -> (state, alert_id)"""
    answered: list[Row] = []
    """(caller, key, verb, result, created_us, digest)"""
    assets_new: list[Row] = []
    """(asset_id, name, created_us)"""
    assets_set: list[Row] = []
    """(node, owner, criticality, spec, asset_id): what is declared of it"""
    contracts_over: list[Row] = []
    """(ended_us, contract_id); applied before `contracts_new`"""
    contracts_new: list[Row] = []
    """(contract_id, downstream_id, upstream_id, kind, spec, source, since_us)"""
    gates_over: list[Row] = []
    """(ended_us, gate_id); applied before `gates_new`"""
    gates_new: list[Row] = []
    """(gate_id, asset_id, name, severity, owner, spec, source, since_us)"""
    expected_set: list[Row] = []
    """(dag_id, asset_id, start_us, end_us, fires_us, due_us, said): which interval is judged next"""
    expected_gone: list[Row] = []
    """(dag_id, asset_id): nothing is promised any more"""
    asset_versions_new: list[Row] = []
    """(asset_version_id, asset_id, dag_id, run_id, instance_id, start_us, end_us, state, created_us,
    dag_version_id, attempt_id, plan_id, shadow)"""
    asset_schemas_new: list[Row] = []
    """(schema_id, asset_id, hash, schema, since_us)"""
    asset_staged: dict[int, Row] = {}
    """asset_version_id -> (label, meta, schema_id, asset_version_id): what was said when it was staged"""
    asset_states: dict[int, Row] = {}
    """asset_version_id -> (state, since_us, reason, limits, held, asset_version_id)"""
    asset_limits: list[Row] = []
    """(limitation, asset_version_id): known of a degraded one beside what is known; one that is there is left out"""
    asset_superseded: list[Row] = []
    """(since_us, reason, asset_id, start_us, end_us, asset_version_id): visible ones of the very interval before it"""
    asset_replaced: list[Row] = []
    """(since_us, reason, asset_id, asset_version_id): every visible one before it, whatever its interval"""
    asset_quiet: list[Row] = []
    """(asset_version_id,): it is published, and makes no run"""
    asset_inputs: list[Row] = []
    """(asset_version_id, input_id, kind)"""
    readings_gone: list[Row] = []
    """(instance_id,): it reads anew; applied before `readings`"""
    readings: list[Row] = []
    """(instance_id, input_id, kind)"""
    asset_read: list[Row] = []
    """(asset_version_id, instance_id): what the instance was given to read are its inputs; after `readings`"""
    decisions_new: list[Row] = []
    """(decision_id, at_us, phase, asset_id, run_id, instance_id, asset_version_id, consumer, start_us, end_us, level,
    retryable, reason, issues, observed, by)"""
    asset_checks: list[Row] = []
    """(asset_version_id, name, severity, passed, observed, expected, message, at_us), replaced when there is one"""
    approvals_new: list[Row] = []
    """(approval_id, kind, subject_id, run_id, decision_id, prompt, who, asked_us, expires_us, state, about)"""
    approvals_moved: dict[int, Row] = {}
    """approval_id -> (expires_us, approval_id)"""
    approvals_set: dict[int, Row] = {}
    """approval_id -> (state, decided_us, by, why, approval_id)"""
    deliveries_new: list[Row] = []
    """(delivery_id, asset_version_id, target, semantics, key, state, corrects, asked_us)"""
    deliveries_again: dict[int, Row] = {}
    """delivery_id -> (asset_version_id, corrects, asked_us, delivery_id): one that failed is pending once more"""
    deliveries_moved: dict[int, Row] = {}
    """delivery_id -> (state, delivery_id): another state, and all else as it was"""
    deliveries_set: dict[int, Row] = {}
    """delivery_id -> (state, delivered_us, receipt, delivery_id)"""
    invalidations_new: list[Row] = []
    """(invalidation_id, asset_id, start_us, end_us, effective_us, cause, severity, reason, evidence, discovered_us, by, state,
    asset_version_id, code, marked_id)"""
    invalidations_set: dict[int, Row] = {}
    """invalidation_id -> (state, marked_id, invalidation_id)"""
    invalidation_hits: list[Row] = []
    """(invalidation_id, asset_version_id, via_id, kind, action, was, decision, next_id), replaced when there is one"""
    invalidation_upto: list[Row] = []
    """(next_id, invalidation_id, asset_version_id): how far its consumers are judged; applied after the hits"""
    plans_new: list[Row] = []
    """(plan_id, invalidation_id, hash, spec, risk, requires_approval, state, created_us)"""
    plans_set: dict[int, Row] = {}
    """plan_id -> (state, started_us, ended_us, reason, plan_id)"""
    plan_steps_set: dict[tuple[int, int], Row] = {}
    """(plan_id, step) -> (plan_id, step, state, run_id, reason): written whole, new or not"""
    bulks_new: list[Row] = []
    """(bulk_id, verb, filter, args, targets, total, begun_us)"""
    bulks_set: dict[int, Row] = {}
    """bulk_id -> (done, refused, told, ended_us, bulk_id)"""
    incidents_new: list[Row] = []
    """(incident_id, title, asset_id, invalidation_id, plan_id, severity, state, opened_us, opened_by)"""
    incidents_set: dict[int, Row] = {}
    """incident_id -> (invalidation_id, plan_id, severity, state, closed_us, closed_by, incident_id)"""
    incident_entries: list[Row] = []
    """(incident_id, n, at_us, step, by, text, data)"""
    asset_cursors_set: dict[Row, Row] = {}
    """(dag_id, asset_id) -> (dag_id, asset_id, asset_version_id, split_us): written whole, new or not"""
    asset_cursors_gone: list[Row] = []
    """(dag_id, asset_id): applied after `asset_cursors_set`"""
    asset_pending_gone: list[Row] = []
    """(dag_id, asset_version_id, part_us, again): applied before `asset_pending_new`"""
    asset_pending_new: dict[Row, Row] = {}
    """key -> (dag_id, asset_version_id, part_us, again)"""
    run_triggers: list[Row] = []
    """(run_id, asset_version_id, part_us, again, used)"""
    asset_drops: list[Row] = []
    """(dag_id, asset_version_id, part_us, again, at_us, reason)"""
    backfills_set: dict[int, Row] = {}
    """backfill_id -> (backfill_id, dag_id, state, options, plan_hash, created_us, ended_us, reason):
    written whole, new or not"""
    intervals_new: list[Row] = []
    """(backfill_id, place, fires_us, start_us, end_us, state, run_id, reason)"""
    intervals_off: list[Row] = []
    """(reason, backfill_id): all that still are pending are cancelled; applied before `intervals_set`"""
    intervals_set: dict[tuple[int, int], Row] = {}
    """(backfill_id, place) -> (state, run_id, reason, backfill_id, place)"""
    budgets_set: dict[str, Row] = {}
    """name -> (name, since_us, spent, by_backfills), replaced when there is one"""
    lineage_set: dict[str, Row] = {}
    """sink -> (sink, seq), replaced when there is one"""
    notices_new: list[Row] = []
    """(notice_id, route, key, kind, severity, state, count, title, made_us, from_us, next_us)"""
    notices_joined: list[Row] = []
    """(count, severity, title, next_us, notice_id): alerts that were folded into it"""
    notices_alerts: list[Row] = []
    """(notice_id, alert_id)"""
    notices_set: list[Row] = []
    """(state, next_us, attempts, message, status, error, ended_us, notice_id); a message that is there stays"""
    notices_again: list[Row] = []
    """(next_us, made_us, notice_id): tried anew, as if it never had been"""
    notices_gone: list[Row] = []
    """(ended_us, error, route): all that are pending there"""
    notices_off: list[Row] = []
    """(route, target, off_us, reason): nothing is sent there any more"""
    notices_on: list[Row] = []
    """(route,): it is tried again; applied after `notices_off`"""
    notices_routed: list[Row] = []
    """(1, alert_id): alerts up to this one have been given to the routes"""
    hooks_gone: list[Row] = []
    """(): all of them, before `hooks_new` says which there are"""
    hooks_new: list[Row] = []
    """(name, spec)"""
    hook_forgotten: list[Row] = []
    """(now_us, limit): so many deliveries whose time is over, the oldest; applied before `hook_deliveries`"""
    hook_deliveries: dict[int, Row] = {}
    """delivery_id -> (delivery_id, hook, said, dag, outcome, run_id, reason, first_us, last_us, times, sent_us,
    expires_us): written whole, new or not"""
    hook_keys: dict[tuple[str, str], Row] = {}
    """(hook, key) -> (hook, key, delivery_id), replaced when there is one"""
    hook_again: list[Row] = []
    """(last_us, delivery_id): one that has made its run has come again; applied after `hook_deliveries`"""
    hook_refusals: list[Row] = []
    """(hook, kind, count, last_us): so many more"""
    tokens_new: list[Row] = []
    """(public, name, hash, scope, created_us, expires_us)"""
    tokens_over: list[Row] = []
    """(revoked_us, public); applied after `tokens_new`"""
    audit: list[Row] = []
    """(at_us, who, via, address, verb, target, args, outcome, message): one for each command"""
    pruned: list[Removal] = []
    """What retention removes, after all else: by then nothing of the batch may refer to it"""
    events: list[Row] = []
    """(seq, at_us, epoch, subject, subject_id, run_id, was, now, reason)"""

    def __bool__(self) -> bool:
        return bool(self.events) or any(_ALL(self))  # asked at every turn, and most have said something


_ALL: Final = attrgetter(*Changes.__struct_fields__)
