"""The pipeline: who makes what of which versions, what each asks of the others, and what leaves the house.

    source.case_db -> bronze.case_changelog -> silver.case_event --+
                                  reference.policy_threshold ------+-> gold.case_sla_daily -> regulatory_dashboard
                                                                                           -> external_regulator_export
                                                                                           -> sla_breach_alert_stream

Each DAG is a unit of its own: versions of assets set the next one going, and no task names another DAG's.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bide import (
    Asset,
    Check,
    Context,
    Contract,
    Cron,
    Dag,
    Freshness,
    OnAssets,
    Quality,
    SameInterval,
    SchemaCompat,
    Staged,
    dag,
    effect,
    gate,
    task,
)
from bide.runtime.assets.gates import no_nulls, rows, unique

SOURCE = Asset("source.case_db", node="source", owner="case-desk", grain="day")
BRONZE = Asset("bronze.case_changelog", node="raw", owner="cases", grain="day")
SILVER = Asset("silver.case_event", node="canonical", owner="cases", grain="day", criticality="high")
POLICY = Asset(
    "reference.policy_threshold", node="reference", owner="policy-desk", grain="day", criticality="high"
)
GOLD = Asset("gold.case_sla_daily", node="derived", owner="sla", grain="day", criticality="critical")
DASHBOARD = Asset("regulatory_dashboard", node="product", owner="reporting", grain="day", criticality="high")

GOLD_SCHEMA = {"case": "string", "age": "integer", "threshold": "integer", "breach": "boolean"}

Contract(
    SILVER,
    BRONZE,
    kind="interval_match",
    require=[SameInterval()],
    rationale="a day is made of its own changes",
)
Contract(
    GOLD,
    SILVER,
    kind="interval_match",
    require=[SameInterval(), Quality("critical"), Freshness(timedelta(hours=30))],
    on_failure={"quality": "block_publication", "missing": "block_execution", "stale": "warn"},
    rationale="regulated figures never show unchecked cases",
)
Contract(
    GOLD,
    POLICY,
    kind="reference_data",
    require=[SameInterval()],
    on_failure={"missing": "block_execution", "invalid": "invalidate_downstream"},
    rationale="a case is judged by the threshold that was in force on its day, never by a neighbour's",
)
Contract(
    DASHBOARD,
    GOLD,
    kind="publication",
    require=[SameInterval(), SchemaCompat("backward")],
    on_failure={"schema": "require_approval"},
    rationale="what people see is never wrong in silence",
)
Contract(
    "external_regulator_export",
    GOLD,
    kind="publication",
    require=[SameInterval(), Quality("critical")],
    on_failure={"invalid": "require_approval", "quality": "block_external_side_effect"},
    severity={"invalid": "critical"},
    rationale="what the regulator has cannot be taken back: a person decides, and a correction goes out",
)
Contract(
    "sla_breach_alert_stream",
    GOLD,
    kind="publication",
    require=[SameInterval()],
    rationale="who was told of a breach is told when it was none, and nobody is told twice",
)

gate(GOLD, rows(min=1), no_nulls("case", "breach"), unique("case"), severity="critical", owner="sla")


@gate(GOLD, severity="major", owner="sla")
def one_threshold(staged: Staged) -> Check:
    """Every case of a day is judged by the same threshold."""
    found = {row["threshold"] for row in _read(Path(staged.uri))}
    return Check(len(found) == 1, sorted(found), "one threshold")


def lifecycle(place: Path) -> list[Dag]:
    """The DAGs, with their files under `place`."""
    daily = Cron("0 2 * * *", interval="day")

    @task(outlets=[BRONZE])
    def capture(ctx: Context) -> int:
        found = _read(place / "source" / f"{_day(ctx)}.csv")
        return _stage(ctx, place, BRONZE, found)

    @task(outlets=[SILVER], inlets=[BRONZE])
    def clean(ctx: Context) -> int:
        raw = _input(ctx, SILVER, BRONZE)
        seen: dict[str, dict[str, Any]] = {row["case"]: row for row in raw}
        return _stage(
            ctx, place, SILVER, [{"case": case, "age": row["age"]} for case, row in sorted(seen.items())]
        )

    @dag(schedule=daily, catchup="all", max_active_runs=4)
    def case_events() -> None:
        capture() >> clean()

    @task(outlets=[POLICY])
    def enter(ctx: Context) -> int:
        threshold = json.loads((place / "policy" / f"{_day(ctx)}.json").read_text())["threshold"]
        return _stage(ctx, place, POLICY, [{"threshold": threshold}])

    @dag(schedule=daily, catchup="all", max_active_runs=4)
    def policy() -> None:
        enter()

    @task(outlets=[GOLD], inlets=[SILVER, POLICY])
    def classify(ctx: Context) -> int:
        [rule] = _input(ctx, GOLD, POLICY)
        limit = int(rule["threshold"])
        judged = [
            {"case": row["case"], "age": row["age"], "threshold": limit, "breach": int(row["age"]) > limit}
            for row in _input(ctx, GOLD, SILVER)
        ]
        return _stage(ctx, place, GOLD, judged, schema=GOLD_SCHEMA)

    @dag(schedule=OnAssets(SILVER & POLICY, consume="each"), max_active_runs=4)
    def sla() -> None:
        classify()

    @task(outlets=[DASHBOARD], inlets=[GOLD])
    def draw(ctx: Context) -> int:
        judged = _input(ctx, DASHBOARD, GOLD)
        breaches = len([row for row in judged if row["breach"] == "True"])
        _stage(ctx, place, DASHBOARD, [{"cases": len(judged), "breaches": breaches}])
        return breaches

    @dag(schedule=OnAssets(GOLD, consume="each"), max_active_runs=4)
    def dashboard() -> None:
        draw()

    @effect(
        "external_regulator_export",
        target="regulator",
        semantics="append_only_export",
        requires_approval=True,
        who=["steward"],
        prompt="release the report of {interval.start:%Y-%m-%d} to the regulator?",
        owner="reporting",
        criticality="critical",
        inlets=[GOLD],
    )
    def send(ctx: Context, idempotency_key: str, previous: Any = None) -> dict[str, Any]:
        judged = _input(ctx, "external_regulator_export", GOLD)
        breaches = [row["case"] for row in judged if row["breach"] == "True"]
        sent = {
            "key": idempotency_key,
            "day": _day(ctx),
            "kind": "correction" if previous else "report",
            "corrects": previous.receipt["key"] if previous else None,
            "breaches": breaches,
        }
        _append(place / "regulator" / "inbox.jsonl", [sent])
        return {"key": idempotency_key, "breaches": len(breaches)}

    @dag(schedule=OnAssets(GOLD, consume="each"), max_active_runs=4)
    def export() -> None:
        send()

    @effect(
        "sla_breach_alert_stream",
        target="case-handlers",
        semantics="notification",
        owner="sla",
        inlets=[GOLD],
    )
    def alert(ctx: Context, previous: Any = None) -> dict[str, Any]:
        now = [row["case"] for row in _input(ctx, "sla_breach_alert_stream", GOLD) if row["breach"] == "True"]
        told = previous.receipt["told"] if previous else []
        news = [{"day": _day(ctx), "case": case, "event": "breach"} for case in now if case not in told]
        news += [{"day": _day(ctx), "case": case, "event": "withdrawn"} for case in told if case not in now]
        _append(place / "alerts" / "stream.jsonl", news)
        return {"told": now}

    @dag(schedule=OnAssets(GOLD, consume="each"), max_active_runs=4)
    def alerts() -> None:
        alert()

    return [case_events, policy, sla, dashboard, export, alerts]


# --- files: a version is a file of its own, and its label is the path ----------------------------


def _day(ctx: Context) -> str:
    return f"{ctx.interval.start:%Y-%m-%d}"


def _input(ctx: Context, made: Asset | str, of: Asset) -> list[dict[str, Any]]:
    """The records of the version that this run may read: the one that was decided, and no other."""
    [version] = [each for each in ctx.asset(made).inputs if each.asset == of.name]
    return _read(Path(version.label))


def _stage(
    ctx: Context, place: Path, asset: Asset, records: Iterable[dict[str, Any]], schema: Any = None
) -> int:
    records = list(records)
    path = place / "warehouse" / asset.name / _day(ctx) / f"run-{ctx.run_id}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    ctx.asset(asset).stage(str(path), rows=len(records), schema=schema)
    return len(records)


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _append(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
