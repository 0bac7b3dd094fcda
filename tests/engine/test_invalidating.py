"""An invalidation marks what is wrong, spreads in slices over crashes, and tells the owners once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bide.runtime.assets import AssetSpec, ContractSpec, GateSpec
from bide.runtime.assets.contract import Rule
from bide.runtime.assets.gate import CheckResult
from bide.runtime.assets.words import Action, Edge, Node, Result, Severity
from bide.runtime.engine.messages import AssetCalled, Command, SpreadOn
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.store import spreading
from bide.runtime.store.impact_invariants import i5_what_is_wrong_is_reached
from tests.assets.test_spreading import DAY as SHORT
from tests.assets.test_spreading import History
from tests.assets.world_of_versions import DAY, Versions, wrong
from tests.engine.declare import job
from tests.engine.scene import Scene
from tests.engine.versions_stored import store

NewScene = Callable[..., Scene]


def staged(scene: Scene, world: Versions) -> None:
    """Have the scene hold these versions, and know what is declared of their assets."""
    names = {made.asset for made in world.made.values()} - world.catalog.assets.keys()
    known = [AssetSpec(name, owner="somebody") for name in sorted(names)]
    for spec in known:
        world.catalog.assets[spec.name] = spec
    scene.declare(*world.catalog.assets.values(), *(held.spec for held in world.catalog.contracts()))
    store(scene.store._raw, world)
    with patch.object(scene, "compare"):  # the versions came in behind its back
        scene.crash()


def states(scene: Scene) -> dict[int, str]:
    return dict(scene._rows("SELECT asset_version_id, state FROM asset_version ORDER BY 1"))


def hits(scene: Scene) -> dict[int, tuple[int | None, Any]]:
    found = scene._rows("SELECT asset_version_id, via_id, decision FROM invalidation_hit ORDER BY 1")
    return {version: (via, msgspec.json.decode(said)) for version, via, said in found}


def chain(days: int = 3) -> Versions:
    """raw -> silver -> gold, and an export of gold; gold may be used with what is said of it."""
    world = Versions(
        AssetSpec("raw", owner="ingest"),
        AssetSpec("gold", owner="figures"),
        AssetSpec("export", owner="partners", node=Node.EXTERNAL_EFFECT),
    )
    world.contract("gold", "silver", Edge.READ, on={Result.INVALID: Rule(Action.WARN)})
    for day in range(days):
        span = (day * DAY, day * DAY + DAY)
        raw = world.make("raw", span)
        silver = world.make("silver", span, raw)
        gold = world.make("gold", span, silver)
        world.make("export", span, gold)
    return world


def test_s1_33_s1_34_s1_35_an_invalidation_is_recorded_marks_what_is_wrong_and_what_was_made_of_it(
    scene: Scene,
) -> None:
    staged(scene, chain())
    answer = scene.command(
        "asset_invalidate", asset="raw", start_us=DAY, end_us=2 * DAY, reason="two files twice", cause="duplicate_ingestion",
        severity="critical", evidence=["https://tickets.example/7"], by="ada",
    )  # fmt: skip
    assert answer == {
        "invalidation_id": 1, "asset": "raw", "start_us": DAY, "end_us": 2 * DAY, "wrong": 1, "state": "spreading",
    }  # fmt: skip
    row = "cause, severity, reason, evidence, by, state, discovered_us"
    assert scene._rows(f"SELECT {row} FROM invalidation") == [
        ("duplicate_ingestion", "critical", "two files twice", '["https://tickets.example/7"]', "ada", "spread", scene.now)
    ]  # fmt: skip
    assert {n: state for n, state in states(scene).items() if state != "published"} == {
        5: "invalidated", 6: "invalidated", 7: "degraded", 8: "invalidated",
    }  # fmt: skip
    [(limits,)] = scene._rows("SELECT limits FROM asset_version WHERE asset_version_id = 7")
    said = "read of silver version 6 is wrong: duplicate_ingestion, two files twice"
    assert msgspec.json.decode(limits) == {"reason": "duplicate_ingestion", "known_limitations": [said]}
    assert [(via, one["action"]) for via, one in hits(scene).values()] == [
        (None, "invalidate_downstream"), (5, "invalidate_downstream"), (6, "warn"), (7, "require_manual_approval"),
    ]  # fmt: skip
    journal = [line for line in scene.said("version") if "invalidation 1" in line[1]]
    assert [now for now, _ in journal] == ["invalidated", "invalidated", "degraded", "invalidated"]
    assert scene.said("invalidation")[-1] == ("spread", "4 versions are affected")


def test_s1_34_s1_28_owners_are_told_once_by_severity_and_a_critical_one_that_was_seen_asks_for_an_incident(
    scene: Scene,
) -> None:
    staged(scene, chain())
    scene.command(
        "asset_invalidate", asset="raw", start_us=DAY, end_us=2 * DAY, severity="critical", reason="twice"
    )
    told = {
        subject: msgspec.json.decode(payload)
        for subject, payload in scene._rows("SELECT json_extract(payload, '$.owner'), payload FROM alert")
    }
    assert {owner: (one["severity"], one["incident"]) for owner, one in told.items()} == {
        "ingest": ("critical", True), "somebody": ("critical", True), "partners": ("critical", True),
    }  # fmt: skip
    assert told["partners"]["exports"] == 1
    [(text,)] = scene._rows('SELECT text FROM alert WHERE payload LIKE \'%"owner":"partners"%\'')
    assert text == (
        "raw was invalidated (source_correction: twice): 1 version of export (partners) is affected, critical; 1 already "
        "left the platform: open an incident; "
        "`bide assets blast --invalidation 1` lists them"
    )


def test_s1_27_what_is_only_degraded_wakes_nobody(scene: Scene) -> None:
    staged(scene, chain())
    scene.command("asset_invalidate", asset="silver", start_us=DAY, end_us=2 * DAY, severity="minor")
    owners = {owner for (owner,) in scene._rows("SELECT json_extract(payload, '$.owner') FROM alert")}
    assert owners == {"somebody", "partners"}  # not `figures`, whose gold says what is wrong with it


def test_s1_34_one_version_alone_is_named_by_its_number(scene: Scene) -> None:
    world = chain(1)
    world.make("raw", (0, DAY))
    staged(scene, world)
    assert scene.command("asset_invalidate", version=5)["asset"] == "raw"
    assert {n: state for n, state in states(scene).items() if state != "published"} == {5: "invalidated"}


@pytest.mark.parametrize(
    ("args", "error", "sentence"),
    [
        ({"asset": "rwa"}, NotFoundError, "there is no asset 'rwa': did you mean 'raw'?"),
        ({"version": 99}, NotFoundError, "there is no version 99: `bide assets show ASSET` lists them"),
        ({"version": 1, "asset": "gold"}, NotFoundError, "there is no version 1 of gold"),
        ({"asset": "raw", "cause": "bad_luck"}, UsageError, "cause is 'bad_luck', and must be one of source_correction"),
        ({"asset": "raw", "severity": "big"}, UsageError, "severity is 'big', and must be one of info, warning"),
        ({"asset": "raw", "start_us": 9 * DAY, "end_us": 10 * DAY}, RefusedError, "nothing of raw is invalidated: there is no"),
        ({"asset": "raw", "start_us": DAY, "end_us": 0}, UsageError, "an interval ends after it begins"),
        ({"asset": "raw", "end_us": DAY, "effective_us": 0}, RefusedError, "(made before 1970-01-01T00:00:00+00:00)"),
    ],
)  # fmt: skip
def test_s1_32_what_cannot_be_invalidated_is_refused_in_one_sentence_and_changes_nothing(
    scene: Scene, args: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    staged(scene, chain())
    with pytest.raises(error) as told:
        scene.command("asset_invalidate", **args)
    assert sentence in str(told.value)
    assert scene._rows("SELECT count(*) FROM invalidation") == [(0,)]
    assert set(states(scene).values()) == {"published"}


def test_s1_34_many_wrong_versions_are_marked_slice_by_slice(scene: Scene) -> None:
    staged(scene, chain(60))
    with patch.multiple(spreading, AT_ONCE=7, FRONTIER=3, USES=4):
        answer = scene.command("asset_invalidate", asset="raw", start_us=0, end_us=60 * DAY)
    assert answer["wrong"] == 7
    assert {state for n, state in states(scene).items() if n % 4 != 3} == {"invalidated"}
    assert {state for n, state in states(scene).items() if n % 4 == 3} == {"degraded"}


def test_b42_a_version_with_many_consumers_is_spread_from_in_pieces(scene: Scene) -> None:
    world = Versions()
    world.make("ref", (0, DAY))
    for n in range(50):
        world.make("out", (n * DAY, n * DAY + DAY), 1, kind=Edge.REFERENCE_DATA)
    staged(scene, world)
    with patch.multiple(spreading, FRONTIER=3, USES=7):
        scene.command("asset_invalidate", asset="ref", start_us=0, end_us=DAY, cause="reference_update")
    assert set(states(scene).values()) == {"invalidated"}
    assert len(hits(scene)) == 51


def test_s1_21_a_source_without_versions_invalidates_what_is_declared_to_be_made_of_it(scene: Scene) -> None:
    world = chain()
    world.catalog.assets["source"] = AssetSpec("source", node=Node.SOURCE, owner="outside")
    world.contract("raw", "source", Edge.INTERVAL_MATCH)
    staged(scene, world)
    scene.command("asset_invalidate", asset="source", start_us=DAY, end_us=2 * DAY)
    assert sorted(hits(scene)) == [5, 6, 7, 8]
    assert hits(scene)[5][0] == 0


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_b42_b43_spreading_over_crashes_anywhere_hits_exactly_the_blast_radius(
    new_scene: NewScene, data: st.DataObject, seed: int
) -> None:
    history = History(seed, 50, shuffled=data.draw(st.booleans()))
    world = history.world
    said = (history.near - 4 * SHORT, history.near + 4 * SHORT)
    scene = new_scene()
    staged(scene, world)
    expected = world.blast(wrong("a0", said))
    args = {"asset": "a0", "start_us": said[0], "end_us": said[1]}
    with patch.multiple(
        spreading, AT_ONCE=2, FRONTIER=data.draw(st.integers(1, 4)), USES=data.draw(st.integers(1, 9))
    ):
        if not expected.nodes:
            with pytest.raises(RefusedError):
                scene.command("asset_invalidate", **args)
            return
        scene.crash_after(data.draw(st.integers(1, 12)), Command(99, "asset_invalidate", args))
        if not scene._rows("SELECT 1 FROM invalidation"):
            scene.command("asset_invalidate", **args)
        for _ in range(data.draw(st.integers(0, 3))):
            scene.crash()
    assert {n: tuple(map(tuple, one["corrected"])) for n, (_, one) in hits(scene).items()} == {
        node.version_id: node.corrected for node in expected.nodes
    }
    assert scene._rows("SELECT state FROM invalidation") == [("spread",)]
    for node in expected.nodes:
        assert states(scene)[node.version_id] == (node.decision.to or node.state)


def test_s1_34_what_was_marked_by_one_invalidation_is_hit_by_another_and_stays_what_it_is(
    scene: Scene,
) -> None:
    staged(scene, chain())
    scene.command("asset_invalidate", asset="raw", start_us=DAY, end_us=2 * DAY)
    before = states(scene)
    scene.command("asset_invalidate", asset="silver", start_us=DAY, end_us=2 * DAY, severity="critical")
    assert states(scene) == before
    assert [
        n for (n,) in scene._rows("SELECT asset_version_id FROM invalidation_hit WHERE invalidation_id = 2")
    ] == [6, 7, 8]


def test_s1_31_a_version_that_is_degraded_twice_says_both_limitations_each_once(scene: Scene) -> None:
    staged(scene, chain())
    for cause, asset in (("duplicate_ingestion", "raw"), ("security", "silver"), ("security", "silver")):
        scene.command("asset_invalidate", asset=asset, start_us=DAY, end_us=2 * DAY, cause=cause)
    [(state, limits)] = scene._rows("SELECT state, limits FROM asset_version WHERE asset_version_id = 7")
    said = "read of silver version 6 is wrong: "
    assert (state, msgspec.json.decode(limits)["known_limitations"]) == (
        "degraded", [f"{said}duplicate_ingestion", f"{said}security"],
    )  # fmt: skip


@pytest.mark.parametrize(("said", "severity"), [({}, "critical"), ({"severity": "minor"}, "minor")])
def test_s1_27_exposed_data_is_critical_unless_a_person_says_otherwise(
    scene: Scene, said: dict[str, str], severity: str
) -> None:
    staged(scene, chain())
    scene.command("asset_invalidate", asset="raw", start_us=DAY, end_us=2 * DAY, cause="security", **said)
    scene.command("asset_invalidate", asset="raw", start_us=0, end_us=DAY, cause="duplicate_ingestion")
    assert scene._rows("SELECT severity FROM invalidation") == [(severity,), ("major",)]


def test_b42_two_invalidations_at_once_each_spread_to_their_end(scene: Scene) -> None:
    staged(scene, chain(20))
    with patch.multiple(spreading, FRONTIER=2, USES=3):
        scene.feed(
            Command(1, "asset_invalidate", {"asset": "raw", "start_us": 0, "end_us": 20 * DAY}),
            Command(2, "asset_invalidate", {"asset": "silver", "start_us": 0, "end_us": 20 * DAY}),
        )
    assert scene._rows("SELECT invalidation_id, state FROM invalidation") == [(1, "spread"), (2, "spread")]
    sizes = scene._rows("SELECT count(*) FROM invalidation_hit GROUP BY invalidation_id")
    assert sizes == [(80,), (60,)]


def test_a_contract_that_is_declared_is_the_one_that_counts(scene: Scene) -> None:
    staged(scene, chain())
    spec = ContractSpec(
        downstream="gold", upstream="silver", on_failure={Result.INVALID: Rule(Action.BLOCK)},
        severity={Result.INVALID: Severity.INFO},
    )  # fmt: skip
    scene.declare(*(AssetSpec(name) for name in ("raw", "silver", "gold")), spec)
    scene.command("asset_invalidate", asset="raw", start_us=0, end_us=DAY)
    assert (states(scene)[3], hits(scene)[3][1]["severity"]) == ("invalidated", "info")


# --- what is made meanwhile -----------------------------------------------------------------------


def made_meanwhile(scene: Scene) -> None:
    """b is being made of a when the version of a that it reads is found wrong."""
    scene.dag("up", job("load", outlets=("a",)))
    scene.dag("down", job("build", inlets=("a",), outlets=("b",)))
    scene.dag("last", job("copy", inlets=("b",), outlets=("c",)))
    scene.declare(AssetSpec("a", owner="ann"), AssetSpec("b", owner="bob"))
    scene.trigger("up", logical_us=DAY)
    scene.end("load")
    scene.trigger("down", logical_us=DAY)
    scene.command("asset_invalidate", version=1)


@pytest.mark.parametrize("crashing", [False, True])
def test_s1_34_what_was_being_made_of_a_wrong_version_is_reached_when_it_is_seen(
    scene: Scene, crashing: bool
) -> None:
    made_meanwhile(scene)
    scene.end("build")
    if crashing:
        scene.crash()
    assert states(scene) == {1: "invalidated", 2: "invalidated"}
    assert scene._rows("SELECT state FROM invalidation") == [("spread",)]
    assert {owner for (owner,) in scene._rows("SELECT json_extract(payload, '$.owner') FROM alert")} == {
        "ann",
        "bob",
    }


def test_s1_34_what_is_begun_after_an_invalidation_reads_no_wrong_version(scene: Scene) -> None:
    made_meanwhile(scene)
    scene.end("build")
    scene.advance(60)
    scene.trigger("up", logical_us=2 * DAY)
    scene.end("load")
    scene.trigger("down", logical_us=2 * DAY)
    scene.end("build")
    assert {n: state for n, state in states(scene).items() if n > 2} == {3: "published", 4: "published"}
    assert len(hits(scene)) == 2


@pytest.mark.parametrize("crashing", [False, True])
def test_s1_34_what_is_made_long_after_of_a_version_that_is_still_seen_is_reached(
    scene: Scene, crashing: bool
) -> None:
    """It asks nothing by contract, and reads what is degraded."""
    scene.declare(
        *(AssetSpec(name, owner=name) for name in "abc"),
        ContractSpec(downstream="b", upstream="a", on_failure={Result.INVALID: Rule(Action.WARN)}),
    )
    scene.dag("up", job("load", outlets=("a",)))
    scene.dag("down", job("build", inlets=("a",), outlets=("b",)))
    scene.dag("last", job("copy", inlets=("b",), outlets=("c",)))
    for dag, task in (("up", "load"), ("down", "build")):
        scene.trigger(dag, logical_us=DAY)
        scene.end(task)
    scene.command("asset_invalidate", version=1)
    scene.advance(3600)
    if crashing:
        scene.crash()
    scene.trigger("last", logical_us=DAY)
    scene.end("copy")
    assert states(scene) == {1: "invalidated", 2: "degraded", 3: "degraded"}
    assert hits(scene)[3][0] == 2


@pytest.mark.parametrize("crashing", [False, True])
def test_s1_34_what_begins_while_it_spreads_is_reached_all_the_same(scene: Scene, crashing: bool) -> None:
    """It reads a version a moment before that is reached, and is seen long after."""
    names = ["a", "b", "c", "d", "e"]
    for n, name in enumerate(names):
        scene.dag(f"of_{name}", job(name, outlets=(name,), inlets=tuple(names[max(n - 1, 0) : n])))
        scene.trigger(f"of_{name}", logical_us=DAY)
        scene.end(name)
    scene.dag("last", job("f", outlets=("f",), inlets=("e",)))
    args = {"version": 1, "reason": "wrong", "by": "ada"}
    (inputs, facts), more = scene._turn([Command(91, "asset_invalidate", args)], {})
    began = False
    while inputs or more:
        scene.now += 1_000
        if not began and states(scene)[2] == "invalidated":
            inputs, began = [Command(92, "trigger", {"dag": "last", "logical_us": DAY}), *inputs], True
        (left, facts), more = scene._turn(inputs, facts)
        inputs = sorted(left, key=lambda each: isinstance(each, SpreadOn))  # the new run is first
    assert scene.going == ["f"]
    assert set(states(scene).values()) == {"invalidated"}
    if crashing:
        scene.crash()
    scene.end("f")
    assert states(scene)[6] == "invalidated"


@pytest.mark.parametrize("verb", ["stage", "check"])
def test_s1_34_what_is_staged_of_a_wrong_version_is_held_back_and_never_published(
    scene: Scene, verb: str
) -> None:
    scene.declare(
        AssetSpec("a"), AssetSpec("b"), ContractSpec(downstream="b", upstream="a"), GateSpec("b", "rows")
    )
    scene.dag("up", job("load", outlets=("a",)))
    scene.dag("down", job("build", inlets=("a",), outlets=("b",)))
    scene.trigger("up", logical_us=DAY)
    scene.end("load")
    scene.trigger("down", logical_us=DAY)
    said: list[tuple[str, Any]] = [
        ("stage", {"label": "s3://b"}),
        ("check", [CheckResult("rows", Severity.CRITICAL, passed=True)]),
    ]
    for each, data in said[: 1 if verb == "stage" else 2]:
        scene.feed(AssetCalled(scene.attempt("build"), 1, each, "b", msgspec.json.encode(data)))
    assert states(scene)[2] in ("staged", "validated")
    scene.command("asset_invalidate", version=1)
    assert states(scene) == {1: "invalidated", 2: "quarantined"}
    scene.end("build")
    assert "published" not in states(scene).values()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            "UPDATE invalidation SET state = 'spread'; UPDATE invalidation_hit SET next_id = 0",
            "still to be judged",
        ),
        ("UPDATE invalidation SET marked_id = 3", "not all that is wrong itself is marked"),
        (
            "UPDATE asset_version SET state = 'published' WHERE asset_version_id = 6",
            "version 6 was found to be wrong",
        ),
        (
            "DELETE FROM asset_input WHERE asset_version_id = 6",
            "version 6 is affected by version 5 (invalidation 1), of",
        ),
    ],
)
def test_b42_a_damaged_record_of_an_invalidation_is_named(scene: Scene, damage: str, says: str) -> None:
    staged(scene, chain())
    scene.command("asset_invalidate", asset="raw", start_us=DAY, end_us=2 * DAY)
    assert i5_what_is_wrong_is_reached(scene.store._raw) == []
    for statement in ("SAVEPOINT before", *damage.split("; ")):
        scene.store._raw.execute(statement)
    assert any(says in one.sentence for one in i5_what_is_wrong_is_reached(scene.store._raw))
    scene.store._raw.execute("ROLLBACK TO before")
    scene.store._raw.execute("RELEASE before")
