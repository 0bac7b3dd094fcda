"""The OpenAPI document is what types are made of: complete, strict, with names that stay; and the terminal can no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bide.runtime.cli.app import app as terminal
from bide.runtime.service.openapi import document
from bide.runtime.service.table import operations
from tests.cli.test_laptop import commands
from tests.service.test_routes import the_app

LOCAL: Final = {
    "check": "lints files", "completion": "writes a script for a shell", "config": "the settings of this folder",
    "config show": "the settings of this folder", "db": "on the file itself", "db backup": "on the file itself",
    "db check": "on the file itself", "db restore": "on the file itself", "dev": "is a service",
    "incident replay": "reads a bundle's file", "init": "writes files", "notify secret": "makes a random text",
    "run": "is a runtime", "serve": "is a service", "simulate": "runs files in memory", "systemd": "writes a unit",
    "systemd install": "writes a unit", "systemd print": "writes a unit", "version": "is asked of the program",
}  # fmt: skip
"""What the terminal does where it stands, and no service can do for it."""
SAME: Final = {
    "action": "actions_show", "alerts": "alerts", "alerts ack": "alert_ack", "alerts list": "alerts",
    "approvals": "approvals_listed", "approvals approve": "approvals_approve", "approvals list": "approvals_listed",
    "approvals reject": "approvals_reject", "approvals show": "approvals_show approvals_evidence",
    "assets": "assets_listed", "assets blast": "assets_blast",
    "assets cancel-plan": "plans_cancel", "assets checklist": "evidence_checklist",
    "assets contracts": "asset_graph_contracts", "assets decisions": "assets_decisions",
    "assets degrade": "assets_degrade", "assets events": "assets_events", "assets events drop": "assets_drop",
    "assets events list": "assets_events", "assets events replay": "assets_replay",
    "assets graph": "asset_graph_graph", "assets invalidate": "assets_invalidate",
    "assets invalidations": "assets_invalidations", "assets lineage": "assets_lineage", "assets list": "assets_listed",
    "assets plan": "plans_make", "assets plans": "plans_listed plans_show", "assets promises": "asset_graph_promises",
    "assets publish": "assets_publish", "assets run-plan": "plans_run plans_approve", "assets show": "assets_show",
    "assets standing": "assets_standings assets_intervals", "assets use": "assets_may_use", "audit": "audit", "backfill": "backfills_listed",
    "backfill cancel": "backfills_cancel", "backfill list": "backfills_listed", "backfill pause": "backfills_pause",
    "backfill plan": "backfills_plan", "backfill resume": "backfills_resume", "backfill start": "backfills_start",
    "backfill status": "backfills_show backfills_intervals backfills_progress", "backfill why": "backfills_show",
    "cancel": "cancel actions_runs", "dags": "dags dag",
    "dags code": "dag_views_codes dag_views_code dag_views_run_code", "dags firings": "dag_views_firings",
    "dags grid": "dag_views_grid", "dags show": "dag", "dags versions": "dag_views_versions", "db prune": "retaining_prune", "doctor": "doctor",
    "effects": "effects_listed", "effects list": "effects_listed", "effects show": "effects_show", "events": "events",
    "hooks": "hooks_listed", "hooks deliveries": "hooks_deliveries", "hooks list": "hooks_listed",
    "incident": "evidence_incidents", "incident close": "evidence_close", "incident export": "evidence_export",
    "incident list": "evidence_incidents", "incident note": "evidence_note", "incident open": "evidence_open",
    "incident plan": "evidence_plan", "incident show": "evidence_incident", "logs": "logs", "mark": "mark",
    "notify": "notices_routes", "notify list": "notices_listed", "notify retry": "notices_retry",
    "notify routes": "notices_routes", "notify test": "notices_test", "pause": "pause actions_dags", "pools": "pools_listed pools_show",
    "rerun": "rerun actions_runs", "runs": "runs", "schedule": "schedule", "show": "show stats_chain", "skip": "skip",
    "tasks": "tasks_listed",
    "stats": "stats_run stats_dag stats_dags stats_assets stats_backfills", "token": "tokens_listed",
    "token create": "tokens_create", "token list": "tokens_listed", "token revoke": "tokens_revoke", "top": "top",
    "trigger": "trigger", "ui": "tokens_create", "unpause": "unpause actions_dags", "waits": "waits", "waits extend": "wait_extend actions_waits",
    "waits fail": "wait_fail actions_waits", "waits groups": "waiting_groups",
    "waits list": "waits", "waits look": "wait_look actions_waits", "waits satisfy": "wait_satisfy actions_waits",
    "why": "why assets_why",
}  # fmt: skip
"""Command -> the operations that do the same over HTTP."""
BESIDE: Final = {
    "approvals_show",
    "assets_version",
    "assets_versions",
    "audit_shown",
    "system_pulse",
    "system_show",
    "stats_graph",
    "stats_times",
    "tasks_show",
    "wait_shown",
}
"""Operations whose answer the terminal has within another's."""
PAGES: Final = {"dag_views", "overview"}
"""Rooms whose answers are what one page of the window shows; the terminal has it with several commands."""


def test_every_command_has_its_operation_over_http_or_is_of_this_machine() -> None:
    assert {*SAME, *LOCAL} == set(commands(terminal))
    assert not set(SAME) & set(LOCAL)
    asked = {name for said in SAME.values() for name in said.split()}
    assert asked | BESIDE == {each.id for each in operations() if each.room not in PAGES or each.id in asked}


def parts(of: Any) -> Iterator[dict[str, Any]]:
    if isinstance(of, dict):
        yield of
    for each in of.values() if isinstance(of, dict) else of if isinstance(of, list) else ():
        yield from parts(each)


async def test_every_answer_has_a_schema_and_every_route_a_name_that_stays(tmp_path: Path) -> None:
    found = document(await the_app(tmp_path / "bide.db"))
    named = []
    for path, verbs in found["paths"].items():
        for verb, at in verbs.items():
            named.append(at["operationId"])
            assert len(at["summary"].split()) > 2, (verb, path, "says what it does")
            for status, answer in at["responses"].items():
                if status != "304" and "$ref" not in answer:
                    assert answer["content"], (verb, path, status)
                    assert all(one.get("schema") for one in answer["content"].values()), (verb, path, status)
    assert len(set(named)) == len(named)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in named), named
    assert {"hooks_deliver", "events_deliver", "events_live", "metrics", "livez"} <= set(named)
    assert all(name.isidentifier() for name in found["components"]["schemas"])


async def test_answers_say_all_their_fields_their_instants_and_their_words(tmp_path: Path) -> None:
    found = document(await the_app(tmp_path / "bide.db"))
    schemas = found["components"]["schemas"]
    for name in ("RunLine", "TaskLine", "AssetShown", "Delivered", "DagLine", "AlertLine", "EventLine"):
        assert set(schemas[name]["required"]) == set(schemas[name]["properties"]), name
    assert not schemas["TriggerBody"]["required"]  # what is sent may leave out what has a default
    run = schemas["RunLine"]["properties"]
    assert run["created_at"]["format"] == "date-time"
    assert run["state"]["enum"] == ["expanding", "queued", "running", "success", "failed", "cancelled"]
    assert run["run_id"]["pattern"]
    said = [
        (name, field)
        for name, one in schemas.items()
        for field, schema in one.get("properties", {}).items()
        if field.endswith("_at") and not any(part.get("format") == "date-time" for part in parts(schema))
    ]
    assert said == []


async def test_references_lead_somewhere(tmp_path: Path) -> None:
    found = document(await the_app(tmp_path / "bide.db"))
    for one in parts(found):
        if isinstance(target := one.get("$ref"), str):
            kind, name = target.removeprefix("#/components/").split("/")
            assert name in found["components"][kind]
