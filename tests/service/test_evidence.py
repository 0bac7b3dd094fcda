"""The checklist, incidents and bundles through the operations, the terminal and the REST API."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide.runtime.assets import ContractSpec, Observed, Phase
from bide.runtime.assets.evaluate import evaluate_all
from bide.runtime.assets.judged import Asked, Decision, Evidence, Version
from bide.runtime.assets.rerun import Cost, RerunPlan, Span, Why, hash_of
from bide.runtime.assets.words import Edge, VersionState
from bide.runtime.cli.main import run
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.bundle import replay
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.service.session import DatabaseDoor
from bide.runtime.store.open import open_database
from bide.runtime.store.reader import AsyncReader, Reader
from bide.testing import SimClock
from tests.store.evidence_rows import D1, DAY, Rows, graph

EDGE = ContractSpec(downstream="gold", upstream="silver", kind=Edge.INTERVAL_MATCH)
NOW = D1 + 4 * DAY


def decided(rows: Rows, seen: Observed, **fields: Any) -> tuple[int, Decision]:
    """A decision as the engine records it: with all that it was made of."""
    asked = Asked(Phase.PUBLISHING, "gold", D1, D1 + DAY, D1 + 2 * DAY)
    _, decision = evaluate_all((EDGE,), {"silver": seen}, asked)
    number = rows.decision(
        "gold", decision.level.value, msgspec.to_builtins(decision.issues), reason=decision.reason,
        retryable=int(decision.retryable),
        observed=msgspec.to_builtins(Evidence(asked, (EDGE,), (seen,), D1 + 2 * DAY)), **fields,
    )  # fmt: skip
    return number, decision


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """An invalid reference, what was made of it, a decision that stopped, one that let go on, and a plan."""
    path = tmp_path / "bide.db"
    open_database(path, create=True).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA foreign_keys = ON")
        rows = graph(conn)
        tasks = rows.run(1, 0, build="success")
        policy = rows.version("policy", 0)
        silver = rows.version("silver", 0)
        gold = rows.version("gold", 0, of=(policy, silver), instance_id=tasks["build"], run_id=1)
        sent = rows.version("export", 0, of=(gold,))
        rows.put("delivery", asset_version_id=sent, target="partner", semantics="append_only_export", key="k1",
                 state="delivered", asked_us=D1, delivered_us=D1)  # fmt: skip
        there = Version(silver, "silver", D1, D1 + DAY, VersionState.PUBLISHED, D1 + DAY)
        decided(rows, Observed("silver", over=(there,), latest=there), asset_version_id=gold)
        decided(rows, Observed("silver"))
        said = {
            "asset": "policy", "start_us": D1, "end_us": D1 + DAY, "cause": "reference_update", "severity": "critical",
            "reason": "the threshold was 30, not 40", "evidence": ["https://wiki/42"], "by": "steward",
        }  # fmt: skip
        asyncio.run(DatabaseDoor(path).command("asset_invalidate", said))
        plan = RerunPlan(
            cause=Why(
                invalidation="1",
                asset="policy",
                interval=Span("a", "b"),
                cause="reference_update",
                severity="critical",
            ),
            cost=Cost(runs=1),
        )
        rows.put("rerun_plan", plan_id=1, invalidation_id=1, hash=hash_of(plan), spec=msgspec.to_builtins(plan),
                 risk="low", requires_approval=0, state="proposed", created_us=NOW)  # fmt: skip
    return path


@pytest.fixture
def ops(db: Path) -> Iterator[Operations]:
    with Reader(db) as reader:
        yield Operations(db, AtOnce(reader), DatabaseDoor(db), SimClock(NOW))


async def opened(ops: Operations) -> str:
    done = await ops.evidence.open("the threshold was wrong", invalidation="1", by="ana")
    return str(done.result["incident_id"])


async def test_s1_54_the_runbook_is_walked_from_open_to_closed(ops: Operations) -> None:
    incident = await opened(ops)
    shown = await ops.evidence.incident(incident)
    assert (shown.severity, shown.asset, shown.invalidation_id) == ("critical", "policy", "1")
    known = {step.step: step.known for step in shown.steps}
    assert known["blast_radius"] == "3 versions of 3 assets: policy, gold, export"
    assert known["failure_type"] == "source_correction (reference_update)"
    assert known["notify"] == "alerts were raised for analytics, partners, policy-team"
    assert known["consumer_visible"].startswith("yes: 3 visible versions")
    assert shown.missing == ("plan", "recompute", "validate", "publish")
    with pytest.raises(RefusedError, match="nothing answers plan, recompute"):
        await ops.evidence.close(incident, by="ana")
    await ops.evidence.plan(incident, by="ana")
    for step in ("notify", "recompute", "validate", "publish"):
        await ops.evidence.note(incident, step, f"did {step}", by="ana")
    assert (await ops.evidence.incident(incident)).missing == ()
    await ops.evidence.close(incident, "mended", by="ana")
    assert [line.state for line in await ops.evidence.incidents("closed")] == ["closed"]


async def test_an_incident_may_be_closed_anyway_and_that_is_on_record(ops: Operations) -> None:
    incident = await opened(ops)
    await ops.evidence.close(incident, "duplicate", by="ana", anyway=True)
    [note] = (await ops.evidence.incident(incident)).notes
    assert note.step == "close"
    assert "plan" in note.data["missing"]


async def test_s1_35_d21_one_bundle_makes_the_decisions_again_offline(
    ops: Operations, tmp_path: Path
) -> None:
    incident = await opened(ops)
    await ops.evidence.plan(incident, by="ana")
    bundle = tmp_path / "b.zip"
    found = await ops.evidence.export(incident)
    bundle.write_bytes(found.data)
    assert found.name == "incident-1.zip"
    with zipfile.ZipFile(bundle) as packed:
        names = packed.namelist()
        wrong = json.loads(packed.read("invalidation.json"))
        decisions = json.loads(packed.read("decisions.json"))
        packed.extract("evidence.db", tmp_path)
    assert names == [
        "README.md", "contracts.json", "decisions.json", "evidence.db", "incident.json", "invalidation.json",
        "manifest.json", "plan.json",
    ]  # fmt: skip
    assert [version["asset"] for version in wrong[0]["versions"]] == ["policy", "gold", "export"]
    assert wrong[0]["evidence"] == ["https://wiki/42"]
    assert [each["level"] for each in decisions] == ["none", "execution"]
    again = replay(bundle)
    assert again.identical, again
    assert [check.what.split(":")[0] for check in again.checks[:3]] == ["files", "decision 1", "decision 2"]
    assert (again.checks[-1].what, again.checks[-1].found) == (
        "blast radius of invalidation 1", "identical: 3 versions",
    )  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "evidence.db")) as conn:
        assert conn.execute("SELECT asset FROM safe_wrong WHERE invalidation_id = 1 ORDER BY version").fetchall() == [
            ("policy",), ("gold",), ("export",)
        ]  # fmt: skip
        assert conn.execute("SELECT count(*) FROM run").fetchone() == (1,)
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_the_same_evidence_is_the_same_json(ops: Operations, tmp_path: Path) -> None:
    incident = await opened(ops)
    files = []
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).write_bytes((await ops.evidence.export(incident)).data)
        with zipfile.ZipFile(tmp_path / name) as packed:
            files.append({each: packed.read(each) for each in packed.namelist() if each.endswith("s.json")})
    assert files[0] == files[1]


async def test_d21_what_was_changed_afterwards_is_named(ops: Operations, tmp_path: Path) -> None:
    incident = await opened(ops)
    data = (await ops.evidence.export(incident)).data
    (tmp_path / "a.zip").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    files["decisions.json"] = files["decisions.json"].replace(b'"level": "execution"', b'"level": "none"', 1)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as changed:
        for name, each in files.items():
            changed.writestr(name, each)
    found = replay(tmp_path / "b.zip")
    assert not found.identical
    wrong = {check.what.split(":")[0]: check.found for check in found.checks if not check.identical}
    assert "not as they were written: decisions.json" in wrong["files"]
    assert "decision 2" in wrong


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        replay(tmp_path / "nothing.zip")
    (tmp_path / "other.zip").write_bytes(b"hello")
    with pytest.raises(UsageError, match="is no bundle of an incident"):
        replay(tmp_path / "other.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(UsageError, match="is no bundle"):
        replay(tmp_path / "empty.zip")


async def test_an_incident_of_an_asset_alone_has_its_versions_and_inputs(
    ops: Operations, tmp_path: Path
) -> None:
    done = await ops.evidence.open("figures look odd", asset="gold", by="ana")
    found = await ops.evidence.export(str(done.result["incident_id"]))
    (tmp_path / "b.zip").write_bytes(found.data)
    assert replay(tmp_path / "b.zip").identical
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        packed.extract("evidence.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "evidence.db")) as conn:
        assert {name for (name,) in conn.execute("SELECT DISTINCT asset FROM safe_version")} == {
            "policy", "silver", "gold", "export",
        }  # fmt: skip


async def test_s1_55_the_checklist_of_an_asset_is_answered_from_the_database(ops: Operations) -> None:
    found = await ops.evidence.checklist("gold")
    answers = {line.number: line.answer for line in found.questions}
    assert answers[1] == "analytics"
    assert answers[2] == "silver, policy"
    assert answers[10] == "dashboard, export"
    assert answers[11] == "export"
    assert answers[14] == "stage_validate_replace, by cases.build"
    assert (found.answered, 5 in found.open) == (18 - len(found.open), True)
    with pytest.raises(NotFoundError, match=r"no asset 'golf'.*gold"):
        await ops.evidence.checklist("golf")


async def test_the_client_gives_what_the_operations_give(ops: Operations, db: Path) -> None:
    reader = AsyncReader(db)
    listener = Listener(db.with_name("s"))
    app = make_app(Operations(db, reader, DatabaseDoor(db), SimClock(NOW)), lambda: "", lambda: "")

    async def ask(question: Callable[[Any], Awaitable[Any]]) -> Any:
        client = ServiceClient(listener.path, db, timeout_s=20)
        return await asyncio.to_thread(lambda: asyncio.run(question(client.evidence)))  # type: ignore[arg-type]

    async with serving(listener.socket, app):
        done = await ask(lambda e: e.open("wrong figures", invalidation="1", by="ana", text="seen at 9"))
        assert done.result == {"incident_id": 1}
        await ask(lambda e: e.note("1", "notify", "called", "bo", {"calls": 2}))
        await ask(lambda e: e.plan("1", by="bo"))
        asks: list[Callable[[Any], Awaitable[Any]]] = [
            lambda e: e.checklist("gold"),
            lambda e: e.incidents(),
            lambda e: e.incidents("closed", 5),
            lambda e: e.incident("1"),
            lambda e: e.export("1"),
        ]
        for question in asks:
            assert await ask(question) == await question(ops.evidence)
        with pytest.raises(RefusedError, match="stays open"):
            await ask(lambda e: e.close("1", by="bo"))
        await ask(lambda e: e.close("1", "done", "bo", anyway=True))
        with pytest.raises(NotFoundError, match="no incident 9"):
            await ask(lambda e: e.incident("9"))
    reader.close()
    listener.close()
    assert (await ops.evidence.incident("1")).state == "closed"


# --- the terminal ----------------------------------------------------------------------------------


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = run(list(words))
    out = capsys.readouterr()
    return code, out.out + out.err


def test_s1_54_s1_55_the_terminal_walks_an_incident(
    db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--db", str(db))
    code, said = typed(capsys, "incident", "open", "wrong figures", "--invalidation", "1", "--by", "ana", *at)
    assert (code, "incident 1 is open" in said) == (0, True)
    code, said = typed(capsys, "incident", "show", "1", *at)
    assert "4 x Run the blast radius analysis" in said
    assert "3 versions of 3 assets: policy, gold, export" in said
    assert "open: plan, recompute, validate, publish" in said
    assert typed(capsys, "incident", "plan", "1", "--by", "ana", *at) == (
        0,
        "plan 1 is linked to incident 1\n",
    )
    assert typed(capsys, "incident", "close", "1", "--by", "ana", *at)[0] == 4
    for step in ("notify", "recompute", "validate", "publish"):
        assert typed(capsys, "incident", "note", "1", step, f"did {step}", "--by", "ana", *at)[0] == 0
    bundle = str(tmp_path / "i.zip")
    code, said = typed(capsys, "incident", "close", "1", "--by", "ana", "-o", bundle, *at)
    assert (code, f"the evidence of incident 1 is in {bundle}" in said) == (0, True)
    code, said = typed(capsys, "incident", "replay", bundle)
    assert (code, said.splitlines()[-1]) == (0, "incident 1: identical")
    assert typed(capsys, "incident", "export", "1", "-o", bundle, *at)[0] == 4
    code, said = typed(capsys, "incident", "--json", *at)
    assert [line["state"] for line in json.loads(said)] == ["closed"]
    code, said = typed(capsys, "assets", "checklist", "gold", *at)
    assert (code, "16 are answered" in said or "of 18 are answered; open:" in said) == (0, True)
    assert typed(capsys, "assets", "checklist", "gold", "--strict", "--json", *at)[0] == 1
