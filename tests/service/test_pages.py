"""Long listings come in pages: none is shown twice or left out, whatever is made meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args, get_origin
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest

from bide import Asset, Contract, OnAssets, Runtime, dag, task
from bide.hooks import StandardWebhooks, Webhook
from bide.runtime.assets.declarations import collecting
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service import api
from bide.runtime.service.api import make_app
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.cursor import cursor, read_cursor
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.paging import items_of
from bide.runtime.service.table import operations
from bide.sensors import FileSensor

PAGED: Final = tuple(each for each in operations() if each.route.pages)
OF: Final = {
    "assets_versions": {"asset": "gold"},
    "dag_views_grid": {"dag": "etl"},
    "assets_show": {"asset": "gold"},
    "assets_events": {"dag": "after"},
    "assets_intervals": {"asset": "gold"},
    "backfills_intervals": {"backfill": "1"},
    "backfills_show": {"backfill": "1"},
    "hooks_deliveries": {"hook": "partner"},
    "dag_views_versions": {"dag": "etl"},
    "dag_views_codes": {"dag": "etl"},
    "show": {"run": "1"},
    "stats_times": {"run": "1"},
    "pools_show": {"pool": "slots"},
}
"""What a listing of something is of."""
NAMED: Final = ("dag", "asset", "hook", "place", "public", "key")
"""What items are read by that have no number: behind a name that is not there begin the names after it."""
LAST: Final = {
    "stats_times": "9999",
    "assets_events": "9999.0.0.0",
    "assets_intervals": "-9.9",
    "backfills_show": "9",
    "backfills_intervals": "9",
    "pools_show": "1.1.0.9",
}
WHOLE: Final = {
    "tasks_show.attempts": "of one thing that is shown",
    "tasks_show.downstream": "of one thing that is shown",
    "tasks_show.inputs": "of one thing that is shown",
    "tasks_show.upstream": "of one thing that is shown",
    "tasks_show.waits": "of one thing that is shown",
    "assets_version.checks": "of one version",
    "dag_views_grid.tasks": "a graph that code declares",
    "dag_views_not_loaded": "what the files of a service are",
    "overview_home.hours": "the first few of each, with how many there are",
    "overview_home.needs": "the first few of each, with how many there are",
    "overview_home.next": "the first few of each, with how many there are",
    "overview_home.pools": "the first few of each, with how many there are",
    "overview_home.running": "the first few of each, with how many there are",
    "notices_routes": "routes stand in the configuration",
    "dag.tasks": "a graph that code declares",
    "schedule.firings": "as many as were asked for",
    "schedule.catching_up": "a schedule's backlog has a bound",
    "schedule.waits_for": "the triggers of one schedule",
    "schedule.skipped": "the newest few",
    "show.alerts": "the newest hundred",
    "why.details": "sentences",
    "top.newest": "the newest few",
    "top.events": "the newest few",
    "doctor.checks": "what doctor looks at",
    "backfills_show.details": "sentences",
    "assets_blast.nodes": "one radius: a part of it says nothing",
    "assets_lineage.up": "as deep as was asked for",
    "assets_lineage.down": "as deep as was asked for",
    "assets_lineage.versions": "as deep as was asked for",
    "assets_why.details": "sentences",
    "asset_graph_graph.cycles": "what is wrong with what code declares",
    "asset_graph_graph.too_large": "what is wrong with what code declares",
    "plans_show.lines": "a plan is approved whole, by its hash",
    "actions_show.left": "the first hundred",
    "evidence_checklist.questions": "the questions of an audit",
    "evidence_incident.steps": "the steps of the runbook",
    "evidence_incident.notes": "what people wrote",
    "pools_show.holders": "the thousand that have held it longest",
    "effects_show.inputs": "what one delivery was made of",
    "effects_show.approvals": "who approved one delivery",
    "stats_run.path": "a path through a graph that code declares",
    "stats_run.attempts": "as many as were asked for",
    "stats_dag.tasks": "a graph that code declares",
    "audit_shown.moved": "what one command moved, the first of it",
    "dag_views_calendar.days": "a day each of a stretch that has a bound",
    "dag_views_firings": "as many as were asked for",
    "dag_views_run_code": "as many as were loaded while one run went on, at most 51",
    "system_show.held": "the newest few",
    "system_show.pools": "pools stand in the configuration",
    "system_show.settings": "settings stand in the configuration",
    "system_show.sources": "the busiest",
    "stats_graph.tasks": "a graph that code declares",
    "stats_chain.causes": "the first 50, and whether there are more",
    "stats_chain.read": "the first 50, and whether there are more",
    "stats_chain.made": "the first 50, and whether there are more",
    "stats_chain.sets_going": "the first 50, and whether there are more",
    "approvals_evidence.results": "at most 50, of the tasks right before it",
    "approvals_evidence.versions": "at most 50",
    "approvals_evidence.issues": "of one decision",
}
"""Lists that are answered whole, and why they cannot grow without end."""
gold, bronze = Asset("gold"), Asset("bronze", grain="day")
CONTRACTS: Final = [
    Contract(downstream=bronze, upstream=Asset(each, grain="day"), kind="interval_match")
    for each in ("silver", "iron")
]


@task(outlets=[gold])
async def step() -> None: ...


@dag
def held() -> None:
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30))


@dag
def etl() -> None:
    step()


@dag(schedule=OnAssets(gold & bronze, consume="each"))
def after() -> None:
    step.options(name="read", outlets=[])()


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    with collecting():
        partner = Webhook("partner", scheme=StandardWebhooks("env:PARTNER"), dag="etl")
    async with Runtime(
        tmp_path / "bide.db", [etl, held, after], hooks=[partner], contracts=CONTRACTS
    ) as runtime:
        for _ in range(7):
            await runtime.trigger("etl")
        await runtime.settled()
        yield runtime


def linked(answer: httpx.Response) -> str | None:
    match = re.fullmatch(r'<(/[^>]*)>; rel="next"', answer.headers.get("Link", ""))
    return match[1] if match else None


async def test_pages_go_down_to_the_oldest_and_are_stable_under_inserts(rt: Runtime) -> None:
    app = httpx.ASGITransport(app=make_app(rt.operations, lambda: ""))
    async with httpx.AsyncClient(transport=app, base_url="http://bide") as http:
        seen: list[str] = []
        at: str | None = "/api/v1/runs?limit=3&dag=etl"
        while at is not None:
            answer = await http.get(at)
            seen += [run["run_id"] for run in answer.json()]
            await rt.trigger("etl")  # newer ones move nothing
            at = linked(answer)
            assert at is None or parse_qs(urlsplit(at).query)["dag"] == ["etl"]
        assert seen == ["7", "6", "5", "4", "3", "2", "1"]
        whole = await http.get("/api/v1/runs?limit=100")
        assert linked(whole) is None
        other = cursor("alerts", "3")
        for word in (other, "", "x", "%00", "7", cursor("runs", "3") + "A"):
            assert (await http.get("/api/v1/runs", params={"cursor": word})).status_code == 422


async def test_the_client_reads_pages_through(
    rt: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST", 2)
    listener = Listener(tmp_path / "s")
    client: Any = ServiceClient(listener.path, rt.db, timeout_s=20)
    async with serving(listener.socket, make_app(rt.operations, lambda: "")):
        for limit in (1, 2, 3, 4, 7, 50):
            found = await asyncio.to_thread(asyncio.run, client.runs(limit=limit))
            assert [run.run_id for run in found] == ["7", "6", "5", "4", "3", "2", "1"][:limit]
    listener.close()


@pytest.mark.parametrize("each", PAGED, ids=lambda each: each.id)
async def test_every_paged_listing_takes_its_cursor(rt: Runtime, each: Any) -> None:
    if each.room == "backfills":
        every = BackfillRequest(dag="etl", from_="2026-06-01", to="2026-06-03", every="1d")
        await rt.operations.backfills.start(every)
    room = getattr(rt.operations, each.room) if each.room else rt.operations
    of = OF.get(each.id, {})
    call = getattr(room, each.name)
    item = msgspec.structs.fields(each.result) if each.route.parts else each.result.__args__[0]
    if each.route.parts:
        part = next(iter(each.route.parts))
        item = next(one.type for one in item if one.name == part).__args__[0]
    assert hasattr(item, each.route.pages)
    if each.id == "show":
        assert items_of(each, await call(**of, before="step")) == ()
        with pytest.raises(NotFoundError, match="a page begins behind one that it has"):
            await call(**of, before="one")
        return
    last = LAST.get(each.id, "~" if each.route.pages in NAMED else "1")
    assert list(items_of(each, await call(**of, before=last))) == []
    if last != "~":
        with pytest.raises(UsageError, match="names no item"):
            await call(**of, before="one")


def test_every_list_that_grows_is_read_in_pages() -> None:
    """The table as a whole: a new listing without pages has to say here why it needs none."""
    whole = set()
    for each in operations():
        if each.route.method != "GET":
            continue
        if get_origin(each.result) is list:
            if each in PAGED:
                assert {"limit", "before"} <= {one.name for one in each.of("query")}, each.id
            else:
                whole.add(each.id)
        else:
            for field in msgspec.structs.fields(each.result):
                inside = get_args(field.type)[:1]
                grows = get_origin(field.type) is tuple and isinstance(inside[0], msgspec.StructMeta)
                if grows and field.name not in each.route.parts:
                    whole.add(f"{each.id}.{field.name}")
    assert whole == set(WHOLE)


async def test_waits_versions_and_intervals_come_in_pages(rt: Runtime) -> None:
    every = BackfillRequest(dag="held", from_="2026-06-01", to="2026-06-06", every="1d", max_active=5)
    await rt.operations.backfills.start(every)
    await rt.settled()
    app = httpx.ASGITransport(app=make_app(rt.operations, lambda: ""))
    async with httpx.AsyncClient(transport=app, base_url="http://bide") as http:

        async def whole(path: str, field: str) -> list[str]:
            found: list[str] = []
            at: str | None = f"/api/v1{path}"
            while at is not None:
                answer = await http.get(at)
                assert answer.status_code == 200, answer.text
                assert len(answer.json()) <= 2
                found += [each[field] for each in answer.json()]
                at = linked(answer)
            return found

        assert await whole("/waits?limit=2", "id") == ["5", "4", "3", "2", "1"]
        assert await whole("/backfills/1/intervals?limit=2", "place") == ["0", "1", "2", "3", "4"]
        assert await whole("/backfills/1/intervals?limit=2&state=failed", "place") == []
        assert await whole("/asset-versions?asset=gold&limit=2", "version") == [
            "7",
            "6",
            "5",
            "4",
            "3",
            "2",
            "1",
        ]
        assert (await http.get("/api/v1/asset-versions?asset=tin")).status_code == 404
        assert (await http.get("/api/v1/backfills/9/intervals")).status_code == 404
    assert len(await rt.waits()) == 5


async def test_names_tasks_events_and_graphs_come_in_pages_that_make_up_the_whole(
    rt: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the socket a page has one or two items; what the client puts together is what the operation answers."""
    ops = rt.operations
    listener = Listener(tmp_path / "s")
    client: Any = ServiceClient(listener.path, rt.db, timeout_s=20)
    calls: list[Any] = [
        lambda of: of.dags(), lambda of: of.audit(), lambda of: of.show("1"), lambda of: of.assets.listed(),
        lambda of: of.assets.show("gold", 100), lambda of: of.assets.events("after", everything=True),
        lambda of: of.events(limit=9), lambda of: of.events(limit=1000), lambda of: of.events("0", limit=1000),
        lambda of: of.events("3", kind="task", limit=7), lambda of: of.hooks.listed(), lambda of: of.tokens.listed(),
        lambda of: of.stats.dags(), lambda of: of.asset_graph.graph(),
        lambda of: of.asset_graph.contracts(), lambda of: of.asset_graph.promises(), lambda of: of.dags(limit=2),
    ]  # fmt: skip
    for name in ("zoe", "ann", "bob"):
        await ops.tokens.create(name)
    await rt.settled()
    async with serving(listener.socket, make_app(rt.operations, lambda: "")):
        for most in (2, 3):
            monkeypatch.setattr(api, "MOST", most)
            for call in calls:
                assert await asyncio.to_thread(asyncio.run, call(client)) == await call(ops)
    listener.close()
    assert [each.name for each in await ops.tokens.listed()] == ["zoe", "ann", "bob"]
    assert len(await ops.assets.events("after", everything=True)) > 2
    assert len((await ops.asset_graph.graph()).edges) == 2
    assert len(await ops.asset_graph.contracts()) == 2


async def test_the_journal_is_read_back_and_on_by_its_links(rt: Runtime) -> None:
    app = httpx.ASGITransport(app=make_app(rt.operations, lambda: ""))
    async with httpx.AsyncClient(transport=app, base_url="http://bide") as http:
        await rt.settled()
        every = [line.id for line in await rt.operations.events(limit=10_000)]
        back: list[str] = []
        at: str | None = "/api/v1/journal?limit=40"
        while at is not None:
            answer = await http.get(at)
            back = [line["id"] for line in answer.json()] + back
            at = linked(answer)
        on: list[str] = []
        at = "/api/v1/journal?limit=40&since=0"
        while at is not None:
            answer = await http.get(at)
            on += [line["id"] for line in answer.json()]
            at = linked(answer)
        assert back == on == every
        answer = await http.get(f"/api/v1/journal?since=3&cursor={cursor('events', '9')}")
        assert answer.status_code == 422
        assert "leave one of them out" in answer.json()["detail"]


def test_which_listings_are_read_in_pages() -> None:
    assert {each.id for each in PAGED} >= {
        "runs", "alerts", "backfills_listed", "approvals_listed", "effects_listed", "plans_listed",
        "assets_invalidations", "assets_decisions", "evidence_incidents", "waits", "assets_versions", "backfills_intervals",
    }  # fmt: skip


def test_a_cursor_is_of_its_listing_alone() -> None:
    assert read_cursor("runs", cursor("runs", "12")) == "12"
    with pytest.raises(UsageError, match="none of this listing"):
        read_cursor("alerts", cursor("runs", "12"))
