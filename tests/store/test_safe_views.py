"""S1-1: eight questions, each answered by one view, from rows alone (D21)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bide.runtime.assets import ContractSpec, Phase
from bide.runtime.assets.judged import STOPS
from bide.runtime.assets.policy import DEFAULT, USUAL, severity_of
from bide.runtime.assets.words import Edge, Level
from bide.runtime.schedules import Every
from bide.runtime.store.open import open_database
from tests.engine.declare import job
from tests.engine.scene import T0, Scene
from tests.store.evidence_rows import D1, DAY, Rows, graph


@pytest.fixture
def rows(db: Path) -> Iterator[Rows]:
    open_database(db, create=True).close()
    conn = sqlite3.connect(db, isolation_level=None)  # as any program does
    conn.execute("PRAGMA foreign_keys = ON")
    yield graph(conn)
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    conn.close()


def told(scene: Scene, sql: str) -> list[tuple[object, ...]]:
    """What a view says of a scene's database, asked beside its writer."""
    with closing(sqlite3.connect(scene.db)) as conn:
        return conn.execute(sql).fetchall()


def ask(rows: Rows, sql: str, *values: object) -> list[tuple[object, ...]]:
    return rows.conn.execute(sql, values).fetchall()


DAY_1 = "2026-06-21T00:00:00Z/2026-06-22T00:00:00Z"


def test_s1_1a_a_task_runs_again_alone_unless_something_was_made_of_what_it_made(rows: Rows) -> None:
    assert D1 == 1_782_000_000_000_000
    first = rows.run(1, 0, build="success", show="success")
    second = rows.run(2, 1, build="success", show="skipped")
    third = rows.run(3, 2, build="failed", show="upstream_failed")
    gold = rows.version("gold", 0, instance_id=first["build"], run_id=1)
    rows.version("dashboard", 0, of=(gold,), instance_id=first["show"], run_id=1)
    other = rows.version("gold", 1, instance_id=second["build"], run_id=2)
    sent = rows.version("export", 1, of=(other,))
    rows.put("delivery", asset_version_id=sent, target="partner", semantics="append_only_export", key="k1",
             state="delivered", asked_us=D1, delivered_us=D1)  # fmt: skip
    found = ask(rows, "SELECT run_id, task, alone, because FROM safe_rerun ORDER BY instance_id")
    assert found == [
        (1, "build", "no", "visible versions were made of what it made: dashboard"),
        (1, "show", "yes", "nothing was made of what it made"),
        (2, "build", "no", "what it made has left the platform: export"),
        (2, "show", "yes", "nothing was made of what it made"),
        (3, "build", "yes", "nothing was made of what it made"),
        (3, "show", "yes", "nothing was made of what it made"),
    ]
    assert third


def test_s1_1a_a_task_whose_downstream_has_begun_is_not_run_again_alone(tmp_path: Path) -> None:
    """By a real run."""
    scene = Scene(tmp_path / "bide.db")
    scene.dag("etl", job("load"), job("send", "load"))
    scene.trigger("etl")
    sql = "SELECT task, alone, because FROM safe_rerun ORDER BY instance_id"
    assert told(scene, sql) == [
        (task, "yes", "nothing was made of what it made") for task in ("load", "send")
    ]
    scene.end("load")
    assert told(scene, sql)[0] == ("load", "no", "tasks below it have begun: send")
    scene.end("send")
    scene.close()


def test_s1_1b_wrong_are_the_versions_that_an_invalidation_hit_and_suspect_those_it_has_not_reached(
    rows: Rows,
) -> None:
    policy = rows.version("policy", 0, "invalidated")
    gold = rows.version("gold", 0, "invalidated", of=(policy,))
    other = rows.version("gold", 1, of=(policy,), kind="reference_data")
    rows.version("dashboard", 5)
    wrong = rows.invalidation("policy")
    rows.hit(wrong, policy, None, "")
    rows.hit(wrong, gold, policy, "schedule_recompute")
    assert ask(rows, "SELECT asset, interval, version, action, via, severity, cause FROM safe_wrong"
                     " WHERE invalidation_id = ? ORDER BY version", wrong) == [
        ("policy", DAY_1, policy, "", None, "critical", "reference_update"),
        ("gold", DAY_1, gold, "schedule_recompute", policy, "critical", "reference_update"),
    ]  # fmt: skip
    assert ask(
        rows, "SELECT asset, version, state, action FROM safe_wrong WHERE invalidation_id IS NULL"
    ) == [("gold", other, "published", "suspect")]


def test_s1_1c_stale_and_invalid_are_told_apart_by_interval(rows: Rows) -> None:
    rows.version("gold", 0, "superseded")
    rows.version("gold", 0, "published")
    rows.version("gold", 1, "stale", reason="the next is late")
    rows.version("gold", 2, "published")
    late = rows.version("gold", 2, "failed")
    bad = rows.version("silver", 3, "invalidated")
    rows.version(
        "gold",
        3,
        "degraded",
        of=(bad,),
        limits={"known_limitations": ["3.2% unknown"], "approved_by": "steward-17", "expires_us": D1},
    )
    rows.version("gold", 4, "quarantined")
    rows.version("gold", 4, "published", shadow=1)
    found = ask(rows, "SELECT (start_us - ?) / ?, state, usable, limitations, wrong_inputs FROM safe_state"
                      " WHERE asset = 'gold' ORDER BY start_us", D1, DAY)  # fmt: skip
    assert found == [
        (0, "published", "yes", None, 0),
        (1, "stale", "yes, late", None, 0),
        (2, "published", "yes", None, 0),
        (3, "degraded", "yes, with limitations", '["3.2% unknown"]', 1),
        (4, "quarantined", "no", None, 0),
    ]
    assert late


def test_s1_30_who_accepted_limitations_and_until_when_is_told(rows: Rows) -> None:
    limits = {"known_limitations": ["3.2% unknown"], "approved_by": "steward-17", "expires_us": D1}
    rows.version("gold", 0, "degraded", limits=limits)
    assert ask(rows, "SELECT limitations, accepted_by, accepted_until FROM safe_state") == [
        ('["3.2% unknown"]', "steward-17", "2026-06-21T00:00:00Z")
    ]


def test_s1_1d_whether_the_report_is_blocked_is_what_was_decided_last(rows: Rows) -> None:
    stop = [{"upstream": "gold", "level": "publication", "action": "block", "result": "quality"}]
    rows.decision("dashboard", "publication", stop, reason="a critical gate of gold has failed")
    rows.decision("gold", "execution", [{"upstream": "silver", "level": "execution"}])
    rows.decision("gold", "none", [], reason="all is met", retryable=0)
    rows.decision("gold", "publication", [{"upstream": "silver", "level": "publication"}], phase="executing")
    asked = rows.decision("export", "manual_approval", [{"upstream": "gold", "level": "manual_approval"}],
                          phase="effect")  # fmt: skip
    rows.put("approval", kind="effect", subject_id=1, decision_id=asked, prompt="send?", who=[], asked_us=D1,
             state="open")  # fmt: skip
    assert ask(rows, "SELECT asset, phase, level, blocked, reason, approval FROM safe_decision ORDER BY decision_id") == [
        ("dashboard", "publishing", "publication", "yes", "a critical gate of gold has failed", None),
        ("gold", "publishing", "none", "no", "all is met", None),
        ("gold", "executing", "publication", "no", "silver is missing", None),  # S1-17: it is computed
        ("export", "effect", "manual_approval", "yes", "silver is missing", "open"),
    ]  # fmt: skip


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("level", list(Level))
def test_s1_16_s1_18_the_view_stops_what_the_decision_stops(rows: Rows, phase: Phase, level: Level) -> None:
    rows.decision("gold", level.value, [{"upstream": "silver", "level": level.value}], phase=phase.value)
    assert ask(rows, "SELECT blocked FROM safe_decision") == [("yes" if level in STOPS[phase] else "no",)]


def test_s1_1e_yesterdays_reference_may_be_used_where_the_contract_says_so(rows: Rows) -> None:
    yesterday = rows.version("policy", 0)
    rows.version("policy", 1, "invalidated")
    used = rows.decision(
        "gold", "none", [{"upstream": "policy", "action": "use_previous_version", "level": "none"}]
    )
    sql = (
        "SELECT upstream, result, action, may, newest_version, last_done_by FROM safe_previous WHERE asset = 'gold'"
        " AND (upstream, result) IN (('policy', 'stale'), ('policy', 'missing'), ('silver', 'missing')) ORDER BY 1, 2"
    )
    assert ask(rows, sql) == [
        ("policy", "missing", "block", "no", yesterday, used),
        ("policy", "stale", "use_previous_version", "yes", yesterday, used),
        ("silver", "missing", "block", "no", None, None),
    ]


def test_s1_15_the_policy_that_the_views_know_is_the_one_that_decides(rows: Rows) -> None:
    found = {(edge, result, severity): (bool(usual), action) for edge, result, severity, usual, action in ask(
        rows, "SELECT edge, result, severity, usual, action FROM safe_policy")}  # fmt: skip
    assert {key: action for key, (_, action) in found.items()} == {
        (kind.value, result.value, severity.value): rule.action.value
        for (kind, result, severity), rule in DEFAULT.items()
    }
    for kind in Edge:
        plain = ContractSpec(downstream="a", upstream="b", kind=kind)
        for result in USUAL:
            assert found[kind.value, result.value, severity_of(plain, result).value][0]


def test_s1_1f_a_backfill_and_a_plan_name_the_live_versions_that_they_replace(rows: Rows) -> None:
    live = [rows.version("gold", day) for day in range(3)]
    rows.version("dashboard", 1)
    rows.put("backfill", backfill_id=1, dag_id=1, state="running", options={"tasks": ["build"]}, plan_hash="h",
             created_us=D1)  # fmt: skip
    for place, state in enumerate(("success", "running", "pending", "pending")):
        at = D1 + place * DAY
        rows.put("backfill_interval", backfill_id=1, place=place, fires_us=at + DAY, start_us=at, end_us=at + DAY,
                 state=state)  # fmt: skip
    plan = rows.put("rerun_plan", hash="h", spec={"steps": [{"makes": [{"asset": "gold", "replaces": [live[0]]}]}]},
                    risk="low", requires_approval=1, state="proposed", created_us=D1)  # fmt: skip
    assert ask(rows, "SELECT by_what, id, asset, replaces, output FROM safe_overwrites ORDER BY 1, 4") == [
        ("backfill", 1, "gold", live[1], "immutable_partition"),
        ("backfill", 1, "gold", live[2], "immutable_partition"),
        ("plan", plan, "gold", live[0], "immutable_partition"),
    ]


def test_s1_1f_what_a_real_backfill_will_overwrite(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "bide.db")
    scene.dag("etl", job("make", outlets=("orders",)), schedule=Every(timedelta(hours=1)))
    scene.trigger("etl", logical_us=T0)
    scene.end("make")
    sql = "SELECT by_what, asset, replaces, is_now FROM safe_overwrites"
    assert told(scene, sql) == []
    scene.backfill("etl", 2, overwrite="overwrite")
    assert told(scene, sql) == [("backfill", "orders", 1, "published")]
    scene.close()


def test_s1_1g_a_change_of_schema_is_told_with_who_asks_for_what(rows: Rows) -> None:
    for n, schema in enumerate(
        ({"id": "int", "sla": "int", "old": "text"}, {"id": "bigint", "sla": "int", "new": "text"})
    ):
        rows.put("asset_schema", asset_id=rows.ids["silver"], hash=str(n), schema=schema, since_us=D1 + n)
    no = rows.decision(
        "gold", "manual_approval", [{"upstream": "silver", "result": "schema", "level": "manual_approval"}]
    )
    assert ask(rows, "SELECT asset, removed, added, changed, consumer, asks, action, said_no_by FROM safe_schema") == [
        ("silver", "old", "new", "id int to bigint", "gold", "backward", "policy of the kind", no)
    ]  # fmt: skip


def test_s1_1g_schemas_may_list_their_fields(rows: Rows) -> None:
    for n, kind in enumerate(("int", "text")):
        rows.put("asset_schema", asset_id=rows.ids["policy"], hash=str(n), since_us=D1,
                 schema={"fields": [{"name": "a", "type": kind}]})  # fmt: skip
    assert ask(rows, "SELECT changed, removed, added, asks FROM safe_schema") == [
        ("a int to text", None, None, None)
    ]


def test_s1_1h_s1_34e_whom_to_tell_the_worst_first(rows: Rows) -> None:
    policy, gold = rows.version("policy", 0, "invalidated"), rows.version("gold", 0, "invalidated")
    shown = rows.version("dashboard", 0)
    wrong = rows.invalidation("policy")
    for version in (policy, gold, shown):
        rows.hit(wrong, version, None if version == policy else policy, "schedule_recompute")
    rows.put(
        "asset_check",
        asset_version_id=gold,
        name="rows",
        severity="major",
        passed=0,
        at_us=D1,
        message="0 rows",
    )
    rows.put("gate", asset_id=rows.ids["gold"], name="rows", severity="major", owner="quality", spec={}, source="",
             since_us=D1)  # fmt: skip
    assert ask(rows, "SELECT whom, as_what, severity, what FROM safe_notify") == [
        ("policy-team", "owner of policy", "critical", "invalidated: the threshold was 30, not 40"),
        ("analytics", "owner of gold", "critical", "invalidated: the threshold was 30, not 40"),
        ("nobody is named: say owner= of dashboard", "owner of dashboard", "critical",
         "invalidated: the threshold was 30, not 40"),
        ("analysts", "owner of the contract of gold", "critical",
         "reads policy, invalidated: the threshold was 30, not 40"),
        ("quality", "owner of the gate rows", "major", "the gate rows has failed: 0 rows"),
    ]  # fmt: skip


def test_s0_35_late_data_is_counted(rows: Rows) -> None:
    rows.put("alert", alert_id=1, key="asset:1", kind="asset", subject="gold", promise="by 04:00 UTC", due_us=D1,
             fired_us=D1, text="late", payload={"interval_start": "a", "interval_end": "b"})  # fmt: skip
    rows.version("gold", 0, "superseded")
    rows.version("gold", 0)
    rows.version("gold", 1, "stale")
    sql = "SELECT late_intervals, stale_versions, made_again FROM safe_late WHERE asset = 'gold'"
    assert ask(rows, sql) == [(1, 1, 1)]
    assert ask(rows, "SELECT whom, severity, what FROM safe_notify") == [
        ("analytics", "minor", "late: promised by 04:00 UTC")
    ]


def test_s0_37_freshness_is_of_the_newest_visible_data(rows: Rows) -> None:
    version = rows.version("gold", 1)
    rows.version("gold", 0)
    rows.version("gold", 5, "failed")
    rows.put("expected", dag_id=1, asset_id=rows.ids["gold"], start_us=D1, end_us=D1 + DAY, fires_us=D1,
             due_us=D1 + DAY, said="by 00:00")  # fmt: skip
    [(found, age, due)] = ask(
        rows, "SELECT version, age_s, next_due FROM safe_freshness WHERE asset = 'gold'"
    )
    assert (found, due) == (version, "2026-06-22T00:00:00Z")
    now = ask(rows, "SELECT CAST(strftime('%s', 'now') AS INTEGER)")[0][0]
    assert isinstance(age, int)
    assert isinstance(now, int)
    assert abs(now - age - (D1 + 2 * DAY) // 1_000_000) <= 2
    assert ask(rows, "SELECT version FROM safe_freshness WHERE asset = 'silver'") == [(None,)]


def test_s0_38_rows_and_checks_of_each_version(rows: Rows) -> None:
    rows.version("gold", 0, meta={"rows": 100})
    version = rows.version("gold", 1, meta={"rows": 7})
    for name, passed in (("rows", 0), ("unique", 1)):
        rows.put(
            "asset_check", asset_version_id=version, name=name, severity="critical", passed=passed, at_us=D1
        )
    assert ask(
        rows, "SELECT rows, rows_before, passed, failed, failed_checks FROM safe_quality ORDER BY version"
    ) == [
        (100, None, 0, 0, None),
        (7, 100, 1, 1, "rows (critical)"),
    ]


def test_d21_every_view_answers_on_an_empty_database(db: Path) -> None:
    open_database(db, create=True).close()
    conn = sqlite3.connect(db)
    views = [name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")]
    assert len(views) >= 13
    for view in views:
        assert len(conn.execute(f"SELECT * FROM {view}").fetchall()) == (300 if view == "safe_policy" else 0)
    conn.close()


def test_d21_the_views_answer_on_a_copy_that_plain_sqlite_opened(rows: Rows, tmp_path: Path) -> None:
    rows.version("gold", 0)
    copy = sqlite3.connect(tmp_path / "copy.db")
    rows.conn.backup(copy)
    assert copy.execute("SELECT asset, usable FROM safe_state").fetchall() == [("gold", "yes")]
    copy.close()
