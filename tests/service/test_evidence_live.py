"""From a gate that fails to a bundle that proves it: the whole way, by a real runtime."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bide import Asset, Context, Contract, Cron, Dag, Quality, Runtime, SameInterval, dag, gate, task
from bide.runtime.assets.declarations import declared, forget
from bide.runtime.service.bundle import replay
from tests.lineage.published import check

DAY = "2026-06-15T00:00:00Z/2026-06-16T00:00:00Z"


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """What a test declares is its own."""
    before = set(declared())
    yield
    for source in set(declared()) - before:
        forget(source)


def cases() -> Dag:
    silver = Asset("silver", owner="cases", grain="day")
    gold = Asset("gold", owner="analytics", grain="day")
    Contract(gold, silver, kind="interval_match", require=[SameInterval(), Quality("critical")])

    @gate(silver, severity="critical")
    def enough(staged: Any) -> bool:
        return bool(staged.rows > 5)

    @gate(gold, severity="minor")
    def many(staged: Any) -> bool:
        return bool(staged.rows > 50)

    @task(outlets=[silver])
    async def clean(ctx: Context) -> None:
        await ctx.asset(silver).stage("lake/silver", rows=7, schema={"id": "int"})

    @task(inlets=[silver], outlets=[gold])
    async def build(ctx: Context) -> None:
        await ctx.asset(gold).stage("lake/gold", rows=9, schema={"id": "int"})

    @dag(schedule=Cron("0 1 * * *", interval="day"), start="2100-01-01")
    def figures() -> None:
        clean() >> build()

    return figures


async def test_s1_35_s1_36_s1_58_what_really_happened_is_told_and_proven(tmp_path: Path) -> None:
    lines, db, bundle = tmp_path / "lineage.jsonl", tmp_path / "bide.db", tmp_path / "b.zip"
    said = {"transport": {"type": "file", "log_file_path": str(lines)}}
    async with Runtime(db, [cases()], openlineage=said) as rt:
        run = await rt.wait(await rt.trigger("figures", logical_date="2026-06-15"))
        assert run.state == "success"
        await rt.settled()
        with closing(sqlite3.connect(db)) as conn:
            sql = "SELECT asset, usable, limitations FROM safe_state ORDER BY asset"
            assert conn.execute(sql).fetchall() == [
                ("gold", "yes, with limitations", '["its gate many (minor) failed"]'), ("silver", "yes", None),
            ]  # fmt: skip
            quality = "SELECT asset, rows, passed, failed, failed_checks FROM safe_quality ORDER BY version"
            assert conn.execute(quality).fetchall() == [
                ("silver", 7, 1, 0, None),
                ("gold", 9, 0, 1, "many (minor)"),
            ]
        start, day = 1_781_481_600_000_000, 86_400_000_000
        wrong = {
            "asset": "silver",
            "start_us": start,
            "end_us": start + day,
            "by": "bo",
            "severity": "critical",
        }
        await rt.command("asset_invalidate", wrong)
        await rt.settled()
        await rt.evidence.open("silver is wrong", invalidation="1", by="ana")
        known = {step.step: step.known for step in (await rt.evidence.incident("1")).steps}
        assert known["blast_radius"] == "2 versions of 2 assets: silver, gold"
        assert known["notify"] == "alerts were raised for analytics, cases"
        bundle.write_bytes((await rt.evidence.export("1")).data)
        answers = {line.number: line.answer for line in (await rt.evidence.checklist("gold")).questions}
        assert answers[15] is None  # it is invalid: consumers see no version
    again = replay(bundle)
    assert again.identical, again
    assert [each.what.split(" ")[0] for each in again.checks] == [
        "files", "decision", "decision", "evidence.db", "blast",
    ]  # fmt: skip
    events = [json.loads(line) for line in lines.read_text().splitlines()]
    for event in events:
        check(event)
    [made] = [e for e in events if e.get("eventType") == "COMPLETE" and e["job"]["name"] == "figures.build"]
    [read] = made["inputs"]
    assert (read["facets"]["version"]["datasetVersion"], read["facets"]["bide_interval"]["edge"]) == (
        "1", "interval_match",
    )  # fmt: skip
    assert read["inputFacets"]["dataQualityAssertions"]["assertions"][0]["success"] is True
    [gold] = made["outputs"]
    assert gold["facets"]["bide_gates"]["gates"][0]["passed"] is False
    moves = [
        (e["dataset"]["name"], e["dataset"]["facets"]["bide_state"]["now"]) for e in events if "dataset" in e
    ]
    assert moves == [
        ("silver", "published"), ("gold", "degraded"), ("silver", "invalidated"), ("gold", "invalidated"),
    ]  # fmt: skip
