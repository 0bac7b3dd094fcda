"""Every command over HTTP, asked again with its key: the first answer, whatever has become of what it was about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from bide import Asset, Dag, OnAssets, Runtime, approval, dag, gate, task
from bide.notify import Route, Webhook
from bide.runtime.assets.declarations import declared, forget
from bide.runtime.service.api import make_app
from bide.runtime.service.caller import Caller, acting
from bide.runtime.service.table import operations
from bide.runtime.values import Secret
from bide.sensors import FileSensor

Http = httpx.AsyncClient
Case = tuple[str, str, dict[str, Any], dict[str, Any]]
KEY: Final = "Idempotency-Key"
BY: Final = {"by": "ann", "why": "seen"}
FOREVER: Final = timedelta(days=30)
SPAN: Final = {"dag": "golds", "from": "2026-06-01", "to": "2026-06-03", "every": "1d"}


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """What a test declares is its own."""
    before = set(declared())
    yield
    for source in set(declared()) - before:
        forget(source)


def declare() -> list[Dag]:
    gold, flawed = Asset("gold", grain="day"), Asset("flawed", grain="day")

    @gate(flawed, severity="critical")
    def never(staged: Any) -> bool:
        return False

    @task(outlets=[gold])
    async def make() -> None: ...

    @task(outlets=[flawed])
    async def spoil() -> None: ...

    @task
    async def use() -> None: ...

    @task
    async def breaks() -> None:
        raise ValueError("broken")

    @dag
    def golds() -> None:
        make()

    @dag
    def spoils() -> None:
        spoil()

    @dag(schedule=OnAssets(gold, consume="each"))
    def eater() -> None:
        use()

    @dag
    def failing() -> None:
        breaks()

    @dag
    def held() -> None:
        for name in ("a", "b", "c", "d", "e"):
            FileSensor(name, path=f"/nowhere/{name}", timeout=FOREVER)
        approval("first", prompt="out?", expires=FOREVER)
        approval("other", prompt="out?", expires=FOREVER)

    return [golds, spoils, eater, failing, held]


@asynccontextmanager
async def service(db: Path, dags: list[Dag], port: int) -> AsyncIterator[tuple[Runtime, Http]]:
    route = Route(
        Webhook(f"http://127.0.0.1:{port}/", Secret("env:BIDE_TEST_HOOK")), name="ops", kinds="deadline"
    )
    async with Runtime(db, dags, notify=[route]) as rt:
        app = httpx.ASGITransport(app=make_app(rt.operations, lambda: ""))
        async with httpx.AsyncClient(transport=app, base_url="http://bide/api/v1") as http:
            yield rt, http


async def world(rt: Runtime) -> str:
    """Something for every command to be about; the id of an alert."""
    ops = rt.operations
    await ops.pause("eater")
    for name in ("golds", "golds", "spoils", "spoils", "failing"):
        date = None if name == "failing" else f"2026-06-1{len(await ops.runs()) + 1}"
        await (await rt.trigger(name, logical_date=date)).wait(timeout=20)
    await rt.trigger("held")
    await rt.trigger("held")
    await ops.assets.invalidate("gold", version="1", reason="a trial", by="ann")
    await rt.settled()
    await ops.plans.make("1")
    await ops.evidence.open("a trial", invalidation="1", by="ann")
    await ops.backfills.start(_request())
    await ops.tokens.create("ci")
    await rt.settled()
    return (await ops.alerts())[0].id


def _request() -> Any:
    from bide.runtime.service.backfill_shapes import BackfillRequest

    return BackfillRequest(dag="held", from_="2026-06-01", to="2026-06-03", every="1d")


def cases(alert: str, waits: dict[str, str], approvals: list[str], plan: str, span: str) -> list[Case]:
    """(operation, path, body, another body); in an order in which each has something to do."""
    return [
        ("alert_ack", f"/alerts/{alert}/ack", {}, {}),
        ("plans_approve", "/plans/1/approve", {**BY, "hash": plan}, {**BY, "hash": plan, "why": "no"}),
        ("plans_run", "/plans/1/run", {"hash": plan}, {"hash": "x"}),
        ("trigger", "/dags/golds/runs", {"logical_date": "2026-07-01"}, {"logical_date": "2026-07-02"}),
        ("rerun", "/runs/1/rerun", {"whole": True}, {"task": "make"}),
        ("wait_look", f"/waits/{waits['a']}/look", {}, {}),
        ("wait_extend", f"/waits/{waits['a']}/extend", {"deadline": "+1h"}, {"deadline": "+2h"}),
        ("actions_waits", "/waits/actions", {"action": "extend", "task": "held.a", "deadline": "+1h", "expect": 2}, {"action": "look"}),
        ("wait_satisfy", f"/waits/{waits['a']}/satisfy", {"event": 1}, {"event": 2}),
        ("wait_fail", f"/waits/{waits['b']}/fail", {"reason": "a"}, {"reason": "b"}),
        ("mark", "/runs/6/tasks/c/mark", {"state": "success"}, {"state": "failed"}),
        ("skip", "/runs/6/tasks/d/skip", {}, {"downstream": True}),
        ("approvals_approve", f"/approvals/{approvals[0]}/approve", BY, {**BY, "why": "no"}),
        ("approvals_reject", f"/approvals/{approvals[1]}/reject", BY, {**BY, "why": "no"}),
        ("cancel", "/runs/6/cancel", {}, {}),
        ("pause", "/dags/held/pause", {}, {}),
        ("unpause", "/dags/held/unpause", {}, {}),
        ("assets_may_use", "/asset-uses", {"asset": "gold", "purpose": "a"}, {"asset": "gold", "purpose": "b"}),
        ("assets_invalidate", "/invalidations", {"version": "2", "reason": "a"}, {"version": "2", "reason": "b"}),
        ("assets_publish", "/asset-versions/3/publish", BY, {**BY, "why": "no"}),
        ("assets_degrade", "/asset-versions/4/degrade", {**BY, "limitations": ["a"]}, {**BY, "limitations": ["b"]}),
        ("assets_drop", "/dags/eater/asset-events/drop", {"all": True}, {"all": True, "reason": "b"}),
        ("assets_replay", "/dags/eater/asset-events/replay", {"from": "1"}, {"from": "2"}),
        ("backfills_start", "/backfills", {**SPAN, "hash": span}, SPAN),
        ("backfills_pause", "/backfills/1/pause", {}, {}),
        ("backfills_resume", "/backfills/1/resume", {}, {"failed": True}),
        ("backfills_cancel", "/backfills/1/cancel", {}, {"reason": "b"}),
        ("evidence_open", "/incidents", {"title": "a", "asset": "gold", "by": "ann"}, {"title": "b"}),
        ("evidence_note", "/incidents/1/notes", {"step": "identify", "text": "a", "by": "ann"}, {"step": "identify", "text": "b"}),
        ("evidence_plan", "/incidents/1/plan", {"by": "ann"}, {"by": "bob"}),
        ("evidence_close", "/incidents/1/close", {"by": "ann", "anyway": True}, {"anyway": True}),
        ("plans_make", "/plans", {"invalidation": "2"}, {"invalidation": "1"}),
        ("plans_cancel", "/plans/2/cancel", {}, {"reason": "b"}),
        ("actions_runs", "/runs/actions", {"action": "cancel", "dag": "held", "expect": 1}, {"action": "cancel"}),
        ("actions_dags", "/dags/actions", {"action": "pause", "dag": "gold*", "expect": 1}, {"action": "pause", "dag": "x"}),
        ("notices_test", "/notify/routes/ops/test", {}, {}),
        ("notices_retry", "/notices/failed/retry", {"route": "ops"}, {}),
        ("tokens_revoke", "/tokens/ci/revoke", {}, {}),
        ("retaining_prune", "/database/prune", {"keep": "30d"}, {"keep": "40d"}),
    ]  # fmt: skip


async def test_every_command_asked_again_is_answered_as_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIDE_TEST_HOOK", "whsec_" + "QUJD" * 8)
    db, dags = tmp_path / "bide.db", declare()
    async with service(db, dags, 9) as (rt, http):
        alert = await world(rt)
        ops = rt.operations
        waits = {each.task: each.id for each in await ops.waits() if each.run_id == "6" and each.task}
        approvals = [each.id for each in await ops.approvals.listed(run="6")]
        plan = (await ops.plans.show("1")).hash
        span = (await http.post("/backfills/plan", json=SPAN)).json()["hash"]
        asked = cases(alert, waits, approvals, plan, span)
        posts = {each.id for each in operations() if each.route.method == "POST" and each.route.once}
        assert {name for name, *_ in asked} == posts
        first: dict[str, httpx.Response] = {}
        for name, path, body, other in asked:
            first[name] = await http.post(path, json=body, headers={KEY: name})
            assert first[name].is_success or name == "notices_test", (name, first[name].text)
            await rt.settled()
            if other != body:
                told = await http.post(path, json=other, headers={KEY: name})
                assert (told.status_code, told.json()["code"]) == (422, "UsageError"), (name, told.text)
        before = (await http.get("/journal?limit=1")).json()
        await same_again(http, asked, first)
        assert (await http.get("/journal?limit=1")).json() == before
    async with service(db, dags, 9) as (rt, http):
        await rt.settled()
        await same_again(http, asked, first)


async def same_again(http: Http, asked: list[Case], first: dict[str, httpx.Response]) -> None:
    for name, path, body, _ in asked:
        again = await http.post(path, json=body, headers={KEY: name})
        assert (again.status_code, again.content) == (first[name].status_code, first[name].content), name
        assert again.headers["content-type"] == first[name].headers["content-type"]


async def test_a_key_is_of_its_caller_and_of_its_request(tmp_path: Path) -> None:
    async with service(tmp_path / "bide.db", declare(), 9) as (rt, http):
        said: dict[tuple[str, str], Any] = {}
        for who, via in (("ann", "http"), ("bob", "http"), ("ann", "socket"), ("ann", "terminal")):
            with acting(Caller(who, via)):  # type: ignore[arg-type]
                told = await http.post("/dags/golds/runs", json={}, headers={KEY: "k"})
                again = await http.post("/dags/golds/runs", json={}, headers={KEY: "k"})
                other = await http.post("/dags/golds/pause", headers={KEY: "k"})
            assert told.json() == again.json()
            assert (other.status_code, "another request" in other.text) == (422, True)
            said[who, via] = told.json()["run_id"]
        assert said["ann", "socket"] == said["ann", "terminal"]  # one user of this system, by two doors
        assert len(set(said.values())) == 3
        assert len(await rt.operations.runs("golds")) == 3


async def test_what_was_carried_out_when_the_process_died_is_answered_before_anything_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is committed, its whole answer is not: what the operation looks at has moved on since."""
    async with service(tmp_path / "bide.db", declare(), 9) as (rt, http):
        await world(rt)
        with monkeypatch.context() as m:
            m.setattr(type(rt.operations), "keep_answer", _nothing)
            many = {"action": "cancel", "dag": "held"}
            count = (await http.post("/runs/actions", json={**many, "dry_run": True})).json()["count"]
            body = {**many, "expect": count}
            first = await http.post("/runs/actions", json=body, headers={KEY: "many"})
            assert first.is_success, first.text
            await rt.settled()
            plan = await http.post("/plans", json={"invalidation": "1"}, headers={KEY: "plan"})
            await rt.operations.plans.cancel("1")
        assert (await http.post("/runs/actions", json=body, headers={KEY: "many"})).json() == first.json()
        again = await http.post("/plans", json={"invalidation": "1"}, headers={KEY: "plan"})
        assert (again.status_code, again.json()) == (plan.status_code, plan.json())


async def _nothing(*_: Any) -> None:
    """The process has died before this."""
