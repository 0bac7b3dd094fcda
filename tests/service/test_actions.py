"""Actions on many, by every door: a dry run counts, the count is expected, the audit log has one line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bide import Runtime, dag
from bide.runtime.service.api import make_app
from bide.sensors import FileSensor

Http = httpx.AsyncClient


@dag(max_active_runs=50)
def daily_a() -> None:
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30))


@dag(max_active_runs=50)
def daily_b() -> None:
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30))


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with Runtime(tmp_path / "bide.db", [daily_a, daily_b]) as runtime:
        for day in range(1, 31):
            await runtime.trigger("daily_a", logical_date=f"2026-06-{day:02}")
        await runtime.trigger("daily_b", logical_date="2026-06-01")
        await runtime.settled()
        yield runtime


@pytest.fixture
async def http(rt: Runtime) -> AsyncIterator[Http]:
    app = httpx.ASGITransport(app=make_app(rt.operations, lambda: ""))
    async with httpx.AsyncClient(transport=app, base_url="http://bide/api/v1") as client:
        yield client


async def test_a_task_is_marked_in_all_runs_of_a_dag_that_match(http: Http, rt: Runtime) -> None:
    of = {"action": "mark", "dag": "daily_*", "task": "drop", "to": "success"}
    for wrong in ({"dag": None}, {"task": None}, {"to": "done"}, {"to": None}, {"task": "drop[2]"}):
        told = await http.post("/runs/actions", json={**of, **wrong, "dry_run": True})
        assert told.status_code == 422, told.text
    assert (await http.post("/runs/actions", json={**of, "action": "cancel"})).status_code == 422
    counted = (await http.post("/runs/actions", json={**of, "dry_run": True})).json()
    assert counted["count"] > 20  # more than one slice
    assert "task=drop to=success" in counted["where"]
    told = await http.post("/runs/actions", json={**of, "expect": 1})
    assert told.status_code == 409
    begun = await http.post("/runs/actions", json={**of, "expect": counted["count"]})
    await rt.settled()
    shown = (await http.get(f"/actions/{begun.json()['id']}")).json()
    assert (shown["state"], shown["done"], shown["refused"]) == ("done", counted["count"], 0)
    for run in counted["first"]:
        tasks = {line["task"]: line for line in (await http.get(f"/runs/{run}")).json()["tasks"]}
        assert tasks["drop"]["state"] == "success"
    assert (await http.post("/runs/actions", json={**of, "dry_run": True})).json()["count"] == 0


async def test_runs_are_counted_and_then_cancelled(http: Http, rt: Runtime) -> None:
    of = {
        "action": "cancel",
        "dag": "daily_*",
        "since": "2026-06-01",
        "until": "2026-06-26",
        "state": "running",
    }
    counted = (await http.post("/runs/actions", json={**of, "dry_run": True})).json()
    assert (counted["id"], counted["count"], counted["first"][:2]) == (None, 26, ["31", "25"])
    told = await http.post("/runs/actions", json=of)
    assert (told.status_code, "expect" in told.json()["detail"]) == (422, True)
    told = await http.post("/runs/actions", json={**of, "expect": 25})
    assert told.status_code == 409
    assert "25 runs were expected, and 26 match now" in told.json()["detail"]
    key = {"Idempotency-Key": "once"}
    begun = (await http.post("/runs/actions", json={**of, "expect": 26}, headers=key)).json()
    assert begun == {**counted, "id": "1"}
    again = await http.post("/runs/actions", json={**of, "expect": 26}, headers=key)
    assert again.json()["id"] == "1"
    await rt.settled()
    shown = (await http.get("/actions/1")).json()
    assert (shown["state"], shown["total"], shown["done"], shown["refused"]) == ("done", 26, 26, 0)
    assert len((await http.get("/runs?state=cancelled")).json()) == 26
    lines = (await http.get("/audit?verb=bulk")).json()
    assert [(line["outcome"], "daily_*" in str(line["args"])) for line in lines] == [
        ("ok", True),
        ("refused", True),
    ]
    assert (await http.get("/audit?verb=cancel")).json() == []
    assert (await http.get("/actions/9")).status_code == 404


async def test_dags_are_paused_by_their_names(http: Http, rt: Runtime) -> None:
    of = {"action": "pause", "dag": "daily_?"}
    counted = (await http.post("/dags/actions", json={**of, "dry_run": True})).json()
    assert (counted["count"], counted["first"]) == (2, ["daily_a", "daily_b"])
    assert (await http.post("/dags/actions", json={**of, "expect": 2})).is_success
    await rt.settled()
    assert (await http.post("/dags/actions", json={**of, "dry_run": True})).json()["count"] == 0
    assert (await http.post("/dags/actions", json={**of, "expect": 2})).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"action": "stop"},
        {"action": "cancel", "state": "runing"},
        {"action": "cancel", "kind": "manuel"},
        {"action": "cancel", "whole": True, "dry_run": True},
        {"action": "cancel", "since": "someday"},
        {"action": "cancel", "expect": -1},
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_told(http: Http, body: dict[str, Any]) -> None:
    assert (await http.post("/runs/actions", json=body)).status_code == 422
