"""Long listings come in pages: none is shown twice or left out, whatever is made meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bide import Asset, Runtime, dag, task
from bide.runtime.errors import UsageError
from bide.runtime.service import api
from bide.runtime.service.api import make_app
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.cursor import cursor, read_cursor
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.table import operations
from bide.sensors import FileSensor

PAGED: Final = tuple(each for each in operations() if each.route.pages)
OF: Final = {"assets_versions": {"asset": "gold"}, "backfills_intervals": {"backfill": "1"}}
"""What a listing of something is of."""
gold = Asset("gold")


@task(outlets=[gold])
async def step() -> None: ...


@dag
def held() -> None:
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30))


@dag
def etl() -> None:
    step()


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with Runtime(tmp_path / "bide.db", [etl, held]) as runtime:
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
    assert await getattr(room, each.name)(**of, before="1") == []
    with pytest.raises(UsageError, match="names no item"):
        await getattr(room, each.name)(**of, before="one")
    assert each.route.pages in each.result.__args__[0].__struct_fields__


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


def test_which_listings_are_read_in_pages() -> None:
    assert {each.id for each in PAGED} >= {
        "runs", "alerts", "backfills_listed", "approvals_listed", "effects_listed", "plans_listed",
        "assets_invalidations", "assets_decisions", "evidence_incidents", "waits", "assets_versions", "backfills_intervals",
    }  # fmt: skip


def test_a_cursor_is_of_its_listing_alone() -> None:
    assert read_cursor("runs", cursor("runs", "12")) == "12"
    with pytest.raises(UsageError, match="none of this listing"):
        read_cursor("alerts", cursor("runs", "12"))
