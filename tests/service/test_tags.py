"""ETag, If-None-Match, If-Match: an edit that was meant for what somebody saw is not done to something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bide import Asset, Runtime, approval, dag, task
from bide.runtime.service.api import make_app
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.runtime.service.table import operations
from bide.sensors import FileSensor

gold = Asset("gold", grain="day")


@task(outlets=[gold])
async def step() -> None: ...


@dag
def etl() -> None:
    step()


@dag
def held() -> None:
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30))
    approval("release", prompt="out?", expires=timedelta(days=30))


Http = httpx.AsyncClient


def asking(rt: Runtime) -> Http:
    app = httpx.ASGITransport(app=make_app(rt.operations, lambda: ""))
    return httpx.AsyncClient(transport=app, base_url="http://bide/api/v1")


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with Runtime(tmp_path / "bide.db", [etl, held]) as rt:
        await (await rt.trigger("etl", logical_date="2026-06-15")).wait(timeout=20)
        await rt.trigger("held")
        await (await rt.trigger("etl", logical_date="2026-06-16")).wait(timeout=20)
        await rt.settled()
        ops = rt.operations
        await ops.assets.invalidate(gold, version="1", reason="a trial", by="ann")
        await rt.settled()
        await ops.plans.make("1")
        await ops.evidence.open("a trial", invalidation="1", by="ann")
        await ops.backfills.start(
            BackfillRequest(dag="held", from_="2026-06-01", to="2026-06-03", every="1d")
        )
        await rt.settled()
        yield rt


@pytest.fixture
async def http(rt: Runtime) -> AsyncIterator[Http]:
    async with asking(rt) as client:
        yield client


EDITS: list[tuple[str, str, Any, str, Any]] = [
    ("/dags/etl", "/dags/etl/pause", {}, "/dags/etl/unpause", {}),
    ("/runs/2", "/runs/2/tasks/drop/mark", {"state": "success"}, "/runs/2/cancel", {}),
    ("/waits/1", "/waits/1/extend", {"deadline": "+1h"}, "/waits/1/fail", {}),
    (
        "/approvals/1",
        "/approvals/1/approve",
        {"by": "ann", "why": "a"},
        "/approvals/1/reject",
        {"by": "bob", "why": "b"},
    ),
    ("/backfills/1", "/backfills/1/pause", {}, "/backfills/1/cancel", {}),
    ("/plans/1", "/plans/1/cancel", {}, "/plans/1/cancel", {}),
    (
        "/asset-versions/2",
        "/invalidations",
        {"version": "2", "reason": "a", "by": "ann"},
        "/invalidations",
        {"version": "2", "reason": "b", "by": "bob"},
    ),
    (
        "/asset-versions/2",
        "/asset-versions/2/degrade",
        {"limitations": ["a"], "by": "ann", "why": "a"},
        "/invalidations",
        {"version": "2", "reason": "b", "by": "bob"},
    ),
    (
        "/incidents/1",
        "/incidents/1/notes",
        {"step": "identify", "text": "seen", "by": "ann"},
        "/incidents/1/close",
        {"by": "bob", "anyway": True},
    ),
]


async def calm(http: Http, at: str) -> httpx.Response:
    """An answer that is still true when it is asked for again: a wait's tells of its looks too, which go on meanwhile."""
    for _ in range(20):
        first = await http.get(at)
        again = await http.get(at, headers={"If-None-Match": f'"x", W/{first.headers["ETag"]}'})
        if again.status_code == 304:
            return first
        assert again.headers["ETag"] != first.headers["ETag"]
    raise AssertionError(f"{at} is another each time it is asked for")


@pytest.mark.parametrize(("at", "edit", "body", "other", "its"), EDITS, ids=lambda each: str(each)[:24])
async def test_an_edit_of_what_has_changed_is_refused(
    rt: Runtime, http: Http, at: str, edit: str, body: Any, other: str, its: Any
) -> None:
    first = await calm(http, at)
    seen = {"If-Match": first.headers["ETag"]}
    done = await http.post(edit, json=body, headers=seen)
    assert done.is_success, done.text
    now = await http.get(at)
    if now.status_code == 200:
        assert now.headers["ETag"] != first.headers["ETag"]
        stale = await http.get(at, headers={"If-None-Match": first.headers["ETag"]})
        assert stale.status_code == 200
    await rt.settled()
    before = (await http.get("/journal?limit=1")).json()
    told = await http.post(other, json=its, headers=seen)
    if at == "/plans/1":
        assert told.status_code in (409, 412)  # it is over: that is said first
        return
    assert (told.status_code, told.json()["code"]) == (412, "ChangedError"), told.text
    assert told.json()["title"] == "Precondition failed"
    assert (await http.get("/journal?limit=1")).json() == before
    if now.status_code == 200 and at != "/approvals/1":
        both = f"{seen['If-Match']}, {now.headers['ETag']}"
        assert (await http.post(other, json=its, headers={"If-Match": both})).is_success


async def test_what_is_over_is_over_before_tags_are_compared(http: Http) -> None:
    tag = {"If-Match": '"1-0123456789abcdef"'}
    assert (await http.post("/runs/99/cancel", headers=tag)).status_code == 404
    assert (await http.post("/runs/1/cancel", headers=tag)).status_code == 412
    assert (await http.post("/runs/1/cancel", headers={"If-Match": "*"})).status_code == 409


async def test_a_tag_that_is_none_or_goes_nowhere_is_told(http: Http) -> None:
    tag = (await http.get("/dags/etl")).headers["ETag"]
    assert (await http.post("/dags/etl/pause", headers={"If-Match": "17"})).status_code == 422
    assert (await http.post("/dags/etl/pause", headers={"If-Match": f"W/{tag}"})).status_code == 412
    assert (await http.get("/dags/etl", headers={"If-None-Match": "17"})).status_code == 422
    assert (await http.get("/dags/etl", headers={"If-None-Match": ""})).status_code == 422
    told = await http.post("/dags/etl/runs", json={}, headers={"If-Match": tag})
    assert (told.status_code, "takes no If-Match" in told.text) == (422, True)
    only = await http.post("/approvals/only/approve", json={"by": "a", "why": "b"}, headers={"If-Match": tag})
    assert only.status_code == 422
    assert (await http.post("/dags/etl/pause", headers={"If-Match": tag})).is_success
    assert (await http.get("/assets/gold", headers={"If-None-Match": "*"})).status_code == 304


async def test_of_many_edits_with_one_tag_one_is_done(http: Http) -> None:
    tag = (await http.get("/dags/etl")).headers["ETag"]
    tries = [http.post(f"/dags/etl/{'un' * (n % 2)}pause", headers={"If-Match": tag}) for n in range(6)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*tries))
    assert statuses == [200, 412, 412, 412, 412, 412]


NO_EDITS = {
    "trigger": "it makes a run, and leaves the DAG as it is",
    "evidence_open": "it makes an incident of an invalidation, which has no tag",
}


def test_every_edit_of_what_has_a_tag_takes_if_match() -> None:
    known = {each.route.tagged for each in operations() if each.route.method == "GET"} - {"", "asset"}
    assert {"dag", "run", "wait", "approval", "backfill", "plan", "incident", "version"} == known
    for each in operations():
        if each.route.method == "GET" or each.id in NO_EDITS or each.id.startswith("actions_"):
            continue  # `expect` is what an action on many is compared with
        named = [one.name for one in each.parameters if one.name in known and one.where == "path"]
        named = named or [one.name for one in each.parameters if one.name in known and one.name == "version"]
        assert each.route.tagged == "".join(named[:1]), each.id


async def test_the_document_says_which_routes_have_tags(http: Http) -> None:
    said = (await http.get("/openapi.json")).json()["paths"]
    for each in operations():
        at = said[each.path.replace(":path}", "}")][each.route.method.lower()]
        names = {one["name"] for one in at["parameters"]}
        asked = each.route.method == "GET"
        assert ("If-None-Match" in names, "304" in at["responses"]) == (
            bool(each.route.tagged) and asked,
        ) * 2
        assert ("If-Match" in names, "412" in at["responses"]) == (bool(each.route.tagged) and not asked,) * 2
