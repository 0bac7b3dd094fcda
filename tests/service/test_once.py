"""Idempotency-Key: what is asked twice is done once, and another request under the same key is told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from bide import Asset, Runtime, dag, task
from bide.runtime.service.api import make_app
from bide.runtime.service.openapi import document
from bide.runtime.service.table import operations

Http = httpx.AsyncClient
BACKFILL: Final = {"dag": "etl", "from": "2026-06-01", "to": "2026-06-03", "every": "1d"}
KEY: Final = "Idempotency-Key"
gold = Asset("gold", grain="day")


@task(outlets=[gold])
async def step() -> None: ...


@dag
def etl() -> None:
    step()


def asking(rt: Runtime) -> Http:
    app = httpx.ASGITransport(app=make_app(rt.operations, lambda: ""))
    return httpx.AsyncClient(transport=app, base_url="http://bide/api/v1")


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with Runtime(tmp_path / "bide.db", [etl]) as runtime:
        await (await runtime.trigger("etl", logical_date="2026-06-15")).wait(timeout=20)
        yield runtime


@pytest.mark.parametrize(
    ("path", "body", "other"),
    [
        ("/dags/etl/runs", {"logical_date": "2026-06-16"}, {"logical_date": "2026-06-17"}),
        ("/runs/1/rerun", {"whole": True}, {"task": "step"}),
        (
            "/invalidations",
            {"version": "1", "reason": "a", "by": "b"},
            {"version": "1", "reason": "c", "by": "b"},
        ),
        (
            "/incidents",
            {"title": "a", "asset": "gold", "by": "c"},
            {"title": "b", "asset": "gold", "by": "c"},
        ),
        ("/dags/etl/pause", {}, None),
        ("/backfills", BACKFILL, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_same_key_is_carried_out_once(rt: Runtime, path: str, body: Any, other: Any) -> None:
    async with asking(rt) as http:
        first = await http.post(path, json=body, headers={KEY: "k-1"})
        assert first.is_success, first.text
        await rt.settled()
        again = await http.post(path, json=body, headers={KEY: "k-1"})
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        if other is not None:
            told = await http.post(path, json=other, headers={KEY: "k-1"})
            assert told.status_code == 422
            assert "another request" in told.json()["detail"]
        assert (await http.post(path, json=body, headers={KEY: ""})).status_code == 422
        assert (await http.post(path, json=body, headers={KEY: "x" * 256})).status_code == 422


async def test_a_key_outlives_the_runtime_and_a_refusal_takes_none(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    async with Runtime(db, [etl]) as rt, asking(rt) as http:
        assert (await http.post("/runs/7/cancel", headers={KEY: "c"})).status_code == 404
        assert (await http.post("/dags/etl/runs", json={}, headers={KEY: "t"})).json() == {"run_id": "1"}
        assert (await http.post("/dags/etl/runs", json={"new": True}, headers={KEY: "t"})).status_code == 422
        await rt.settled()
    async with Runtime(db, [etl]) as rt, asking(rt) as http:
        assert (await http.post("/dags/etl/runs", json={}, headers={KEY: "t"})).json() == {"run_id": "1"}
        assert (await http.post("/dags/etl/runs", json={"new": True}, headers={KEY: "t"})).status_code == 422
        assert len(await rt.operations.runs()) == 1


async def test_a_key_is_of_each_command_that_a_request_becomes(rt: Runtime) -> None:
    """A prune is a command a slice: the answer of the first one is not that of all, which is kept as a whole."""
    async with asking(rt) as http:
        began = time.perf_counter()
        first = await http.post("/database/prune", json={"keep": "1d"}, headers={KEY: "p"})
        assert (first.status_code, first.json()["done"]) == (200, True), first.text
        again = await http.post("/database/prune", json={"keep": "1d"}, headers={KEY: "p"})
        assert again.json() == first.json()
        assert time.perf_counter() - began < 1
    assert [each.message for each in await rt.operations.audit(verb="prune")] == [""]


async def test_every_post_takes_a_key_but_those_whose_answer_is_kept_nowhere(rt: Runtime) -> None:
    said = document(make_app(rt.operations, lambda: ""))
    for each in operations():
        if each.route.method == "GET":
            continue
        at = said["paths"][each.path.replace(":path}", "}")][each.route.method.lower()]
        assert (KEY in {one["name"] for one in at["parameters"]}) == each.route.once
    assert {each.id for each in operations() if not each.route.once} == {"tokens_create", "backfills_plan"}
    async with asking(rt) as http:
        told = await http.post("/tokens", json={"name": "ci"}, headers={KEY: "k"})
        asked = await http.post("/backfills/plan", json=BACKFILL, headers={KEY: "k"})
    assert (told.status_code, "kept nowhere" in told.text) == (422, True)
    assert (asked.status_code, "changes nothing" in asked.text) == (422, True)


@pytest.mark.parametrize("why", ["full", "stopping"])
async def test_p13_what_is_refused_for_now_says_when_to_ask_again_and_takes_no_key(
    rt: Runtime, why: str
) -> None:
    """A full disk and a service that stops are its own affair (503), not a conflict with what was asked (409)."""
    detail = "not done: no room on the disk" if why == "full" else "the runtime is stopping"
    body, key = {"logical_date": "2026-06-17"}, {KEY: "later"}
    async with asking(rt) as http:
        if why == "full":
            rt._engine.full = "no room on the disk"
        else:
            rt._draining = True
        for headers in ({}, key):
            answer = await http.post("/dags/etl/runs", json=body, headers=headers)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert (problem["title"], problem["code"], problem["status"]) == ("Not now", "NotNowError", 503)
            assert problem["detail"].startswith(detail)
        rt._engine.full, rt._draining = "", False
        made = await http.post("/dags/etl/runs", json=body, headers=key)
        assert made.status_code == 201, made.text
        assert (await http.post("/dags/etl/runs", json=body)).status_code == 409, "a conflict is one still"
