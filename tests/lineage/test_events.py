"""What lineage says of runs and versions, held against the published schemas (S1-37, S1-38, S1-58)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import ValidationError
from openlineage.client.serde import Serde

from bide.runtime.lineage.events import event_of
from bide.runtime.store import lineage_reads as reads
from bide.runtime.store.open import open_database
from tests.engine.declare import job
from tests.engine.scene import T0, Scene
from tests.lineage.published import check
from tests.store.evidence_rows import Rows, graph


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db")
    yield made
    made.close()


def events(conn: sqlite3.Connection, after: int = 0) -> list[dict[str, Any]]:
    """What is sent of the journal, each held against its schemas."""
    told, _ = reads.after(conn, after, 1000, reads.Known())
    made = [event_of(each, "test") for each in told]
    found = [msgspec.json.decode(Serde.to_json(each)) for each in made if each is not None]
    for each in found:
        check(each)
    return found


def said(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    return [(each["job"]["name"], each["eventType"]) for each in events(conn) if "job" in each]


def test_s1_37_runs_and_attempts_start_and_complete(scene: Scene) -> None:
    scene.dag("etl", job("load", outlets=("orders",)), job("send", "load"))
    scene.trigger("etl", logical_us=T0)
    scene.end("load", "send")
    assert said(scene.store._raw) == [
        ("etl", "START"),
        ("etl.load", "START"),
        ("etl.load", "COMPLETE"),
        ("etl.send", "START"),
        ("etl.send", "COMPLETE"),
        ("etl", "COMPLETE"),
    ]


def test_s1_37_an_attempt_knows_its_run_its_interval_and_what_it_made(scene: Scene) -> None:
    scene.dag("etl", job("load", outlets=("orders",), doc="Loads.", owner="sales"))
    scene.trigger("etl", logical_us=T0)
    scene.end("load")
    run, start, complete, over = events(scene.store._raw)
    assert start["run"]["runId"] == complete["run"]["runId"] != run["run"]["runId"] == over["run"]["runId"]
    facets = complete["run"]["facets"]
    assert facets["parent"]["run"]["runId"] == run["run"]["runId"]
    assert (facets["parent"]["job"]["namespace"], facets["parent"]["job"]["name"]) == ("test", "etl")
    assert facets["nominalTime"]["nominalStartTime"] == "2026-01-01T00:00:00Z"
    assert {key: facets["bide_run"][key] for key in ("run_id", "attempt_id", "attempt", "kind")} == {
        "run_id": "1", "attempt_id": "1", "attempt": 1, "kind": "manual",
    }  # fmt: skip
    assert complete["job"]["facets"]["ownership"]["owners"] == [{"name": "sales"}]
    assert complete["job"]["facets"]["documentation"]["description"] == "Loads."
    assert start["outputs"] == []
    [made] = complete["outputs"]
    assert (made["namespace"], made["name"], made["facets"]["version"]["datasetVersion"]) == (
        "test",
        "orders",
        "1",
    )
    assert over["outputs"] == complete["outputs"]


def test_s1_37_what_fails_is_lost_or_cancelled_is_told_as_that(scene: Scene) -> None:
    scene.dag("etl", job("load", retries=1))
    scene.trigger("etl")
    scene.fails("load", "no route")
    failed = next(each for each in events(scene.store._raw) if each["eventType"] == "FAIL")
    assert failed["run"]["facets"]["errorMessage"]["message"] == "no route"
    scene.crash()
    assert [kind for name, kind in said(scene.store._raw) if name == "etl.load"] == [
        "START", "FAIL", "START", "ABORT", "START",
    ]  # fmt: skip
    scene.command("cancel", run_id=1)
    scene.stopped("load")
    assert said(scene.store._raw)[-2:] == [("etl.load", "ABORT"), ("etl", "ABORT")]
    ids = [each["run"]["runId"] for each in events(scene.store._raw) if each["job"]["name"] == "etl.load"]
    assert (len(set(ids)), len(ids)) == (3, 6)  # an attempt is a run of its own


def test_a_run_that_is_taken_up_again_is_another_run_to_the_outside_and_ids_are_the_same_each_time(
    scene: Scene,
) -> None:
    scene.dag("etl", job("load"))
    scene.trigger("etl")
    scene.fails("load", final=True)
    scene.command("rerun", run_id=1)
    scene.end("load")
    told = events(scene.store._raw)
    runs = [(each["eventType"], each["run"]["runId"]) for each in told if each["job"]["name"] == "etl"]
    assert [kind for kind, _ in runs] == ["START", "FAIL", "START", "COMPLETE"]
    assert runs[0][1] == runs[1][1] != runs[2][1] == runs[3][1]
    assert events(scene.store._raw) == told


def test_a_sensors_wait_is_no_lineage_and_a_run_that_never_began_is_not_told(scene: Scene) -> None:
    from tests.engine.declare import sensor

    scene.dag("etl", sensor("wait"), job("load", "wait"), max_active_runs=1)
    scene.trigger("etl")
    scene.trigger("etl", new=True)
    scene.command("cancel", run_id=2)
    assert said(scene.store._raw) == [("etl", "START")]


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    open_database(tmp_path / "bide.db", create=True).close()
    conn = sqlite3.connect(tmp_path / "bide.db", isolation_level=None)
    yield graph(conn)
    conn.close()


def ended(rows: Rows, instance: int, run: int) -> int:
    """A line that says an attempt has succeeded."""
    attempt = rows.put(
        "attempt", instance_id=instance, number=1, state="success", epoch=1, started_us=1_782_000_000_000_000
    )
    rows.put("event", at_us=1_782_000_000_000_001, epoch=1, subject="run", subject_id=run, run_id=run, was="queued",
             now="running", reason="")  # fmt: skip
    rows.put("event", at_us=1_782_000_000_000_002, epoch=1, subject="attempt", subject_id=attempt, run_id=run,
             was="running", now="success", reason="")  # fmt: skip
    return attempt


def test_s1_36_s1_38_datasets_are_versions_with_interval_gates_rows_and_schema(rows: Rows) -> None:
    tasks = rows.run(1, 0, build="success")
    attempt = ended(rows, tasks["build"], 1)
    silver = rows.version("silver", 0, meta={"rows": 7})
    policy = rows.version("policy", -1)
    schema = rows.put(
        "asset_schema", asset_id=rows.ids["gold"], hash="h", schema={"id": "int", "n": "text"}, since_us=1
    )
    gold = rows.version(
        "gold", 0, "degraded", of=(silver,), instance_id=tasks["build"], run_id=1, attempt_id=attempt,
        meta={"rows": 42}, schema_id=schema,
    )  # fmt: skip
    rows.put("asset_input", asset_version_id=gold, input_id=policy, kind="reference_data")
    rows.put("reading", instance_id=tasks["build"], input_id=silver, kind="interval_match")
    rows.put("asset_check", asset_version_id=silver, name="unique", severity="critical", passed=1, at_us=1)
    rows.put("asset_check", asset_version_id=gold, name="rows", severity="minor", passed=0, at_us=1, observed="42",
             expected="[100, null]", message="too few")  # fmt: skip
    told = events(rows.conn)[-1]
    first, second = told["inputs"]
    assert (first["name"], first["facets"]["version"]["datasetVersion"]) == ("silver", str(silver))
    assert first["facets"]["bide_interval"]["start"] == "2026-06-21T00:00:00Z"
    assert first["facets"]["bide_interval"]["edge"] == "interval_match"
    [assertion] = first["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["assertion"], assertion["success"], assertion["severity"]) == ("unique", True, "error")
    assert first["inputFacets"]["inputStatistics"]["rowCount"] == 7
    assert "inputFacets" not in second or "inputStatistics" not in second["inputFacets"]
    assert (second["name"], second["facets"]["bide_interval"]["end"]) == ("policy", "2026-06-21T00:00:00Z")
    assert second["facets"]["bide_interval"]["edge"] == "reference_data"
    [made] = told["outputs"]
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 42
    assert made["facets"]["ownership"]["owners"] == [{"name": "analytics"}]
    assert [(f["name"], f["type"]) for f in made["facets"]["schema"]["fields"]] == [
        ("id", "int"),
        ("n", "text"),
    ]
    assert made["facets"]["bide_gates"]["gates"] == [
        {"name": "rows", "severity": "minor", "passed": False, "message": "too few", "observed": "42",
         "expected": "[100, null]"}
    ]  # fmt: skip


def test_s1_58_a_version_that_moves_is_told_as_a_dataset(rows: Rows) -> None:
    gold = rows.version("gold", 0, "invalidated")
    rows.put("event", at_us=1_782_000_000_000_000, epoch=1, subject="version", subject_id=gold, was="published",
             now="invalidated", reason="the threshold was 30, not 40")  # fmt: skip
    for was, now in (("", "building"), ("building", "staged"), ("", "published")):  # nothing that others see
        rows.put("event", at_us=1, epoch=1, subject="version", subject_id=gold, was=was, now=now, reason="")
    [told] = events(rows.conn)
    assert told["dataset"]["name"] == "gold"
    state = told["dataset"]["facets"]["bide_state"]
    assert (state["was"], state["now"], state["reason"]) == (
        "published", "invalidated", "the threshold was 30, not 40",
    )  # fmt: skip


def test_what_the_schemas_do_not_allow_is_found(scene: Scene) -> None:
    """The checker of these tests is no formality."""
    scene.dag("etl", job("load", outlets=("orders",)))
    scene.trigger("etl")
    scene.end("load")
    told = events(scene.store._raw)[-1]
    breaks: tuple[Callable[[Any], object], ...] = (
        lambda e: e["run"].update(runId="seven"),
        lambda e: e.pop("producer"),
        lambda e: e["run"]["facets"]["nominalTime"].pop("nominalStartTime"),
        lambda e: e["run"]["facets"]["bide_run"].update(extra=1),
        lambda e: e["outputs"][0]["facets"]["version"].update(datasetVersion=7),
        lambda e: e.update(eventType="WON"),
    )
    for break_it in breaks:
        broken = msgspec.json.decode(msgspec.json.encode(told))
        break_it(broken)
        with pytest.raises(ValidationError):
            check(broken)
