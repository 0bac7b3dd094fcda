"""What Prometheus scrapes: parsed by its own client, held against its conventions, cheap, and one registry a runtime."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from bide import Every, Runtime, dag, task
from bide.runtime.errors import UnreachableError
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.runtime.service.caller import Caller
from bide.runtime.service.scopes import scopes_of
from bide.runtime.service.tally import MOST, Tally
from bide.sensors import FileSensor
from bide.testing import sim_runtime
from tests.service.test_stats import _played, waits
from tests.store.rows import Book

UNITS = ("seconds", "bytes", "ratio")
LABELS = {
    "dag",
    "state",
    "kind",
    "pool",
    "asset",
    "phase",
    "severity",
    "outcome",
    "file",
    "le",
    "version",
    "route",
    "method",
    "status",
    "reason",
}


async def scraped(rt: Runtime, accept: str = "") -> dict[str, Any]:
    """Family name -> family, through the route."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rt.asgi_for(Caller("ann"))), base_url="http://bide"
    ) as client:
        found = await client.get("/metrics", headers={"Accept": accept})
    assert found.status_code == 200, found.text
    parse = openmetrics if "openmetrics" in found.headers["content-type"] else plain
    return {family.name: family for family in parse(found.text)}


def values(family: Any, *labels: str, of: str = "") -> dict[Any, float]:
    return {
        tuple(s.labels[label] for label in labels) if len(labels) != 1 else s.labels[labels[0]]: s.value
        for s in family.samples
        if s.name.endswith(of) and "created" not in s.name
    }


async def test_b64_s0_31_to_s0_34_runs_tasks_and_queues_are_counted() -> None:
    async with sim_runtime([], start="2026-06-15") as rt:
        rt.count()
        await rt.load([waits], {})
        await _played(rt)
        found = await scraped(rt)
        again = await scraped(rt, "application/openmetrics-text; version=1.0.0")
    assert values(found["bide_runs"], "dag", "state") == {("waits", "failed"): 1}
    assert values(found["bide_attempts"], "dag", "state") == {("waits", "success"): 5, ("waits", "failed"): 2}
    assert values(found["bide_retries"], "dag") == {"waits": 1}
    assert values(found["bide_upstream_failed"], "dag") == {"waits": 2}
    assert values(found["bide_waits_ended"], "state") == {"fired": 1}
    run = values(found["bide_run_duration_seconds"], of="_sum")
    assert list(run.values()) == [pytest.approx(45 * 60)]
    assert list(values(found["bide_attempt_slot_seconds"], of="_sum").values()) == [pytest.approx(900, abs=1)]
    assert list(values(found["bide_attempt_queued_seconds"], of="_count").values()) == [7]
    path = values(found["bide_critical_path_seconds"], "dag", "phase")
    assert {phase: round(s / 60) for (_, phase), s in path.items() if s >= 30} == {
        "backoff": 10, "deferred": 20, "running": 15,
    }  # fmt: skip
    assert set(again) >= set(found) - {"python_info", "bide_build_info"}


async def test_b64_s0_35_to_s0_38_data_backfills_and_what_is_open_are_shown() -> None:
    @dag(schedule=Every(days=1), catchup="none")
    def daily() -> None:
        FileSensor("wait", path="/nonesuch/{run_id}", timeout=timedelta(days=3))

    async with sim_runtime([daily], start="2026-06-30", pools={"api": 3}) as rt:
        request = BackfillRequest(dag="daily", from_="2026-06-01", to="2026-06-06", max_active=2)
        await rt.operations.backfills.start(request)
        await rt.clock.settle()
        found = await scraped(rt)
    assert values(found["bide_backfill_intervals"], "dag", "state") == {
        ("daily", "running"): 2, ("daily", "pending"): 3,
    }  # fmt: skip
    assert values(found["bide_open_waits"], "kind") == {"file": 3}
    assert values(found["bide_task_instances"], "state") == {"deferred": 3}
    assert values(found["bide_pool_slots"], "pool") == {"slots": 32, "api": 3}
    assert values(found["bide_pool_slots_in_use"], "pool") == {"slots": 0, "api": 0}
    assert values(found["bide_dags"], "state")["active"] == 1
    assert values(found["bide_ready"])[()] == 1


def test_late_data_and_quality_checks_are_counted() -> None:
    tally, book = Tally(), Book()
    tally.begin([], [])
    book.changes.alerts_new.append((1, "k", "asset", None, "gold", "by 06:00", 0, 0, "late", "{}"))
    book.changes.asset_checks.append((1, "rows", "major", 0, "", "", "", 0))
    book.changes.asset_states[1] = ("stale", 0, "", None, 0, 1)
    tally.committed(book.changes)
    assert (tally.alerts, tally.checks, tally.versions) == (
        {"asset": 1},
        {("major", "failed"): 1},
        {"stale": 1},
    )


def test_names_of_dags_are_bounded() -> None:
    tally = Tally()
    tally.begin([(1, "d0"), (2, f"d{MOST}")], [(n, f"d{n}") for n in range(MOST + 1)])
    book = Book()
    for run in (1, 2):
        book.changes.events.append((run, 0, 1, "run", run, run, "running", "success", ""))
    tally.committed(book.changes)
    assert tally.runs == {("d0", "success"): 1, ("other", "success"): 1}
    assert not tally._runs, "what is over is forgotten"


async def test_b64_names_units_and_labels_are_by_the_conventions() -> None:
    async with sim_runtime([waits], start="2026-06-15") as rt:
        rt.count()
        await _played(rt)
        body, kind = await rt._metrics().text()
        strict, _ = await rt._metrics().text("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("text/plain; version=0.0.4")
    assert strict.endswith(b"# EOF\n")
    list(openmetrics(strict.decode()))  # type: ignore[no-untyped-call]
    families = {family.name: family for family in plain(body.decode()) if family.name.startswith("bide_")}
    assert len(families) >= 30
    for name, family in families.items():
        assert re.fullmatch(r"bide(_[a-z]+)+", name), name
        assert family.documentation.endswith("."), name
        assert not name.endswith("_total"), f"{name}: the parser takes the suffix of a counter off"
        for sample in family.samples:
            assert set(sample.labels) <= LABELS, sample
            assert family.type != "counter" or sample.name.endswith("_total"), sample
        for unit in ("_second", "_ms", "_minutes", "_kilobytes", "_mb"):
            assert not name.endswith(unit), name
        if family.type == "histogram":
            assert name.endswith("_seconds"), name
    if promtool := shutil.which("promtool"):
        told = await asyncio.to_thread(
            subprocess.run, [promtool, "check", "metrics"], input=body, capture_output=True, check=False
        )
        ours = [line for line in (told.stdout + told.stderr).decode().splitlines() if line.startswith("bide")]
        assert ours == []


async def test_two_runtimes_in_one_process_do_not_clash(tmp_path: Path) -> None:
    @dag
    def small() -> None:
        @task
        async def one() -> None: ...

        one()

    before = {family.name for family in REGISTRY.collect()}
    async with Runtime(tmp_path / "a.db", [small]) as one, Runtime(tmp_path / "b.db") as two:
        one.count()
        await (await one.trigger(small)).wait()
        a, b = await asyncio.gather(scraped(one), scraped(two))
        assert values(a["bide_runs"], "dag", "state") == {("small", "success"): 1}
        assert values(b["bide_runs"], "dag", "state") == {}
        assert scopes_of(one.asgi.now().app).of("GET", "/metrics") == "read"  # type: ignore[attr-defined]
    assert {family.name for family in REGISTRY.collect()} == before


async def test_a_runtime_that_is_not_open_has_no_metrics(tmp_path: Path) -> None:
    rt = Runtime(tmp_path / "a.db")
    with pytest.raises(UnreachableError, match="not open yet"):
        rt._metrics()


async def test_b64_requests_and_what_the_doors_refuse_are_counted_by_route_and_reason() -> None:
    async with sim_runtime([], start="2026-06-15") as rt:
        known = httpx.ASGITransport(rt.asgi_for(Caller("ann", scope="run")))
        nobody = httpx.ASGITransport(rt.asgi)
        async with httpx.AsyncClient(transport=known, base_url="http://bide") as client:
            for n in range(3):
                assert (await client.get(f"/api/v1/runs/{n}")).status_code == 404
            assert (await client.get("/api/v1/dags")).status_code == 200
            assert (await client.get("/api/v1/x" + "y" * 9000)).status_code == 414
            assert (await client.post("/api/v1/database/prune", json={})).status_code == 403
            assert (await client.post("/hooks/none", content=b"{}")).status_code == 404
            assert (await client.request("BREW", "/api/v1/dags")).status_code == 405
        async with httpx.AsyncClient(transport=nobody, base_url="http://bide") as client:
            assert (await client.get("/api/v1/dags")).status_code == 401
        rt.at_the_doors.refuse("slow_reader")
        found = await scraped(rt)
    requests = values(found["bide_http_requests"], "route", "method", "status", of="_total")
    assert requests == {
        ("/api/v1/runs/{run}", "GET", "4xx"): 3,
        ("/api/v1/dags", "GET", "2xx"): 1,
        ("/hooks/{name}", "POST", "4xx"): 1,
        ("none", "GET", "4xx"): 2,
        ("none", "POST", "4xx"): 1,
        ("none", "other", "4xx"): 1,
    }
    assert values(found["bide_http_refused"], "reason", of="_total") == {
        "long_address": 1, "not_allowed": 1, "method": 1, "nobody": 1, "slow_reader": 1,
    }  # fmt: skip
    took = values(found["bide_http_request_duration_seconds"], "route", of="_count")
    assert took == {"/api/v1/runs/{run}": 3, "/api/v1/dags": 1, "/hooks/{name}": 1}


async def test_b64_where_nobody_scrapes_nothing_is_counted_or_remembered() -> None:
    async with sim_runtime([], start="2026-06-15") as rt:
        rt.asgi.now()
        assert rt._counting is None
        await scraped(rt)
        assert rt._counting is not None
