"""Incidents are records: opened, noted, linked to a plan, closed, and the same after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.assets import AssetSpec
from bide.runtime.assets.runbook import Step, walk
from bide.runtime.assets.words import Criticality
from bide.runtime.engine.messages import Command
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.store import incident_reads as store
from tests.engine.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db")
    made.declare(AssetSpec("gold", owner="analytics"))
    yield made
    made.close()


def opened(scene: Scene, **args: Any) -> int:
    said: dict[str, Any] = {"title": "wrong figures", "asset": "gold", "by": "ana", **args}
    return int(scene.command("incident_open", **said)["incident_id"])


def steps(scene: Scene, incident: int) -> list[tuple[int, str, str, str]]:
    return [(e.n, e.step, e.by, e.text) for e in store.entries(scene.store._raw, incident)]


def test_s1_54_an_incident_is_opened_noted_and_closed_on_record(scene: Scene) -> None:
    incident = opened(scene, severity="critical", text="the dashboard shows 0")
    scene.command("incident_note", incident_id=incident, step="notify", by="ana", text="called the desk")
    scene.crash()
    scene.command(
        "incident_note", incident_id=incident, step="validate", by="bo", text="counted", data={"rows": 7}
    )
    scene.command("incident_close", incident_id=incident, by="bo", text="all well again")
    assert steps(scene, incident) == [
        (1, "identify", "ana", "the dashboard shows 0"),
        (2, "notify", "ana", "called the desk"),
        (3, "validate", "bo", "counted"),
        (4, "close", "bo", "all well again"),
    ]
    [line] = store.listed(scene.store._raw, None, 10)
    assert (line.title, line.asset, line.severity, line.state, line.opened_by, line.closed_by) == (
        "wrong figures", "gold", "critical", "closed", "ana", "bo",
    )  # fmt: skip
    assert scene.said("incident") == [
        ("open", "wrong figures, by ana"),
        ("open", "notify, by ana: called the desk"),
        ("open", "validate, by bo: counted"),
        ("closed", "all well again, by bo"),
    ]
    assert store.listed(scene.store._raw, "open", 10) == []


@pytest.mark.parametrize(
    ("dimensions", "severity"),
    [
        (["visible_stale"], "major"),  # the asset is of high criticality: minor otherwise
        (["blocked", "regulatory_deadline"], "major"),
        (["visible_wrong"], "critical"),
        (["visible_stale", "needs_a_person"], "critical"),
    ],
)
def test_s1_27_the_severity_follows_from_what_is_the_matter(
    scene: Scene, dimensions: list[str], severity: str
) -> None:
    scene.declare(AssetSpec("gold", criticality=Criticality.HIGH))
    incident = opened(scene, dimensions=dimensions)
    scene.crash()
    found = store.one(scene.store._raw, incident)
    assert found is not None
    assert found.severity == severity
    assert steps(scene, incident) == [(1, "severity", "ana", ", ".join(dimensions).replace("_", " "))]
    said = {each.step: each.known for each in walk(store.facts(scene.store._raw, found))}
    assert said[Step.SEVERITY].endswith(": " + ", ".join(dimensions).replace("_", " "))


def test_s1_27_a_severity_that_is_said_stands_and_an_unknown_dimension_opens_nothing(scene: Scene) -> None:
    incident = opened(scene, dimensions=["visible_wrong"], severity="minor")
    found = store.one(scene.store._raw, incident)
    assert found is not None
    assert found.severity == "minor"
    with pytest.raises(UsageError, match="'ugly' is no dimension of a severity: use visible_wrong, "):
        opened(scene, dimensions=["ugly"])
    assert len(store.listed(scene.store._raw, None, 10)) == 1


def test_notes_of_one_batch_have_numbers_of_their_own(scene: Scene) -> None:
    incident = opened(scene)
    args = {"incident_id": incident, "step": "notify", "by": "ana"}
    scene.feed(*(Command(90 + n, "incident_note", {**args, "text": f"call {n}"}) for n in range(3)))
    assert [text for *_, text in steps(scene, incident)] == ["call 0", "call 1", "call 2"]


def test_what_is_closed_takes_no_more_notes_in_the_same_batch_or_later(scene: Scene) -> None:
    incident = opened(scene)
    close = Command(90, "incident_close", {"incident_id": incident, "by": "ana"})
    late = Command(
        91, "incident_note", {"incident_id": incident, "step": "notify", "by": "ana", "text": "late"}
    )
    scene.feed(close, late)
    with pytest.raises(RefusedError, match="is closed, by ana"):
        scene.reply(91)
    with pytest.raises(RefusedError, match="is closed, by ana: open another one"):
        scene.command("incident_note", incident_id=incident, step="notify", by="ana", text="later")
    assert [step for _, step, *_ in steps(scene, incident)] == ["close"]


def test_an_invalidation_gives_its_asset_and_severity_and_a_plan_is_linked(scene: Scene) -> None:
    conn = scene.store._raw
    [(asset_id,)] = conn.execute("SELECT asset_id FROM asset WHERE name = 'gold'").fetchall()
    conn.execute(
        "INSERT INTO invalidation (invalidation_id, asset_id, start_us, end_us, cause, severity, reason, evidence,"
        " discovered_us, by, state) VALUES (7, ?, 0, 1, 'security', 'critical', 'leak', '[]', 0, 'bo', 'spread')",
        (asset_id,),
    )
    conn.execute(
        "INSERT INTO rerun_plan (plan_id, invalidation_id, hash, spec, risk, requires_approval, state, created_us)"
        " VALUES (3, 7, 'h', '{}', 'low', 0, 'proposed', 0)"
    )
    scene.world.next_id |= {"invalidation": 8, "plan": 4}
    scene.world.assets.invalidated = True
    incident = opened(scene, asset=None, invalidation=7)
    [line] = store.listed(conn, None, 10)
    assert (line.asset, line.severity, line.invalidation_id, line.plan_id) == ("gold", "critical", 7, None)
    assert store.newest_plan(conn, 7) == 3
    scene.command("incident_link", incident_id=incident, plan_id=3, by="ana")
    assert store.listed(conn, None, 10)[0].plan_id == 3
    with pytest.raises(NotFoundError, match="no rerun plan 9"):
        scene.command("incident_link", incident_id=incident, plan_id=9, by="ana")


@pytest.mark.parametrize(
    ("args", "kind", "says"),
    [
        ({"asset": None}, UsageError, "an incident of what"),
        ({"asset": "golf"}, NotFoundError, "no asset 'golf'"),
        ({"invalidation": 5}, NotFoundError, "no invalidation 5"),
        ({"severity": "bad"}, UsageError, "'bad' is no severity"),
        ({"by": ""}, UsageError, "say who does it"),
    ],
)
def test_what_cannot_be_opened_is_refused_and_nothing_is_left(
    scene: Scene, args: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        opened(scene, **args)
    assert store.listed(scene.store._raw, None, 10) == []


def test_a_note_names_a_step_a_text_and_a_person(scene: Scene) -> None:
    incident = opened(scene)
    with pytest.raises(UsageError, match="no step of the runbook"):
        scene.command("incident_note", incident_id=incident, step="guess", by="ana", text="x")
    with pytest.raises(UsageError, match="without a text"):
        scene.command("incident_note", incident_id=incident, step=Step.NOTIFY.value, by="ana", text="")
    with pytest.raises(NotFoundError, match="no incident 99"):
        scene.command("incident_note", incident_id=99, step="notify", by="ana", text="x")
    with pytest.raises(UsageError, match="say who"):
        scene.command("incident_note", incident_id=incident, step="notify", by="", text="x")
