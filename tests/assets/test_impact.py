"""The nine considerations of a blast radius, each by its table."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bide.runtime.assets import AssetSpec, BlastRadius, ExactVersion, Latest
from bide.runtime.assets.contract import Requirement, Rule
from bide.runtime.assets.impact import Made, Use
from bide.runtime.assets.words import (
    Action,
    Cause,
    Criticality,
    Edge,
    Level,
    Node,
    Output,
    Result,
    Severity,
    VersionState,
)
from bide.runtime.spans import Span
from tests.assets.world_of_versions import DAY, HOUR, Versions, wrong

INVALID, DEGRADED = VersionState.INVALIDATED, VersionState.DEGRADED
STOP, WARN, ASK = Action.INVALIDATE_DOWNSTREAM, Action.WARN, Action.REQUIRE_MANUAL_APPROVAL


def day(n: int, count: int = 1) -> Span:
    return n * DAY, (n + count) * DAY


def affected(radius: BlastRadius) -> dict[int, tuple[Span, ...]]:
    return {node.version_id: node.corrected for node in radius.nodes if node.via is not None}


# --- (a) the kind of the edge --------------------------------------------------------------------

RECORDS = (
    Edge.READ,
    Edge.EXACT_VERSION,
    Edge.INTERVAL_MATCH,
    Edge.REFERENCE_DATA,
    Edge.PUBLICATION,
    Edge.INVALIDATION,
)


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("kind", Edge)
def test_s1_19_the_kind_of_an_edge_says_which_causes_go_over_it(kind: Edge, cause: Cause) -> None:
    world = Versions()
    world.make("up", day(1))
    world.make("down", day(1), 1, kind=kind)
    found = {node.version_id: node.action for node in world.blast(wrong("up", day(1), cause)).nodes}
    others = {
        (Edge.QUALITY_GATE, Cause.LATE_QUALITY_FAILURE): STOP,
        (Edge.SCHEMA_COMPATIBILITY, Cause.SCHEMA_INTERPRETATION): STOP,
        (Edge.FRESHNESS, Cause.MISSING_PARTITION): WARN,
        (Edge.CONTROL_EVENT, Cause.MISSING_PARTITION): WARN,
    }
    expected = STOP if kind in RECORDS else others.get((kind, cause))
    if expected is None and kind is Edge.QUALITY_GATE:
        expected = WARN
    assert found.get(2) == expected


@pytest.mark.parametrize("node", [Node.QUALITY_GATE, Node.CONTROL_EVENT, Node.HUMAN_DECISION])
def test_s1_19_a_statement_that_was_wrong_takes_with_it_who_went_on_for_it(node: Node) -> None:
    world = Versions(AssetSpec("said", node=node))
    world.make("said", day(1))
    world.make("down", day(1), 1, kind=Edge.CONTROL_EVENT)
    assert [each.action for each in world.blast(wrong("said", day(1))).nodes] == [STOP, STOP]


@pytest.mark.parametrize(
    ("rule", "action", "level", "to", "below"),
    [
        (None, STOP, Level.PUBLICATION, INVALID, STOP),
        (Rule(Action.BLOCK), Action.BLOCK, Level.PUBLICATION, INVALID, STOP),
        (Rule(Action.BLOCK, Level.EXECUTION), Action.BLOCK, Level.EXECUTION, INVALID, STOP),
        (Rule(Action.QUARANTINE_OUTPUT), Action.QUARANTINE_OUTPUT, Level.PUBLICATION, INVALID, STOP),
        (Rule(ASK), ASK, Level.MANUAL_APPROVAL, INVALID, STOP),
        (Rule(Action.SCHEDULE_RECOMPUTE), Action.SCHEDULE_RECOMPUTE, Level.PUBLICATION, VersionState.STALE, STOP),
        (Rule(WARN), WARN, Level.NONE, DEGRADED, WARN),
        (Rule(Action.PARTIAL_PUBLISH), Action.PARTIAL_PUBLISH, Level.NONE, DEGRADED, WARN),
        (Rule(Action.USE_PREVIOUS_VERSION), Action.USE_PREVIOUS_VERSION, Level.NONE, DEGRADED, WARN),
        (Rule(Action.USE_LATEST_VERSION), Action.USE_LATEST_VERSION, Level.NONE, DEGRADED, WARN),
    ],
)  # fmt: skip
def test_s1_34_a_contract_says_what_an_invalid_input_does_and_what_that_is_to_those_below(
    rule: Rule | None, action: Action, level: Level, to: VersionState, below: Action
) -> None:
    world = Versions()
    world.contract("down", "up", on=None if rule is None else {Result.INVALID: rule})
    world.make("up", day(1))
    world.make("down", day(1), 1, kind=Edge.INTERVAL_MATCH)
    world.make("last", day(1), 2)
    _, down, last = world.blast(wrong("up", day(1))).nodes
    assert (down.action, down.decision.level, down.decision.to) == (action, level, to)
    assert last.action is below


# --- (b) the interval ----------------------------------------------------------------------------

WEEK = (0, 7 * DAY)
MONTH = (0, 30 * DAY)
NOON = DAY + 12 * HOUR


@pytest.mark.parametrize(
    ("up", "down", "kind", "require", "offset", "said", "expected"),
    [
        # the same interval: cut to what is wrong of it
        (day(1), day(1), Edge.INTERVAL_MATCH, (), 0, (NOON, NOON + HOUR), ((NOON, NOON + HOUR),)),
        # the day before: moved by the offset
        (day(1), day(2), Edge.INTERVAL_MATCH, (), -DAY, (NOON, NOON + HOUR), ((NOON + DAY, NOON + DAY + HOUR),)),
        # an aggregate of finer versions is wrong as a whole
        (day(1), MONTH, Edge.INTERVAL_MATCH, (), 0, (NOON, NOON + HOUR), (MONTH,)),
        # of a coarser one: only the days that are wrong of it
        (MONTH, day(1), Edge.INTERVAL_MATCH, (), 0, (NOON, NOON + HOUR), ((NOON, NOON + HOUR),)),
        (MONTH, day(2), Edge.INTERVAL_MATCH, (), 0, (NOON, NOON + HOUR), None),
        (MONTH, day(2), Edge.READ, (), 0, (NOON, NOON + HOUR), None),
        # a week that reaches into two months, wrong in one of them
        (day(28, 7), MONTH, Edge.INTERVAL_MATCH, (), 0, day(29), (MONTH,)),
        (day(28, 7), MONTH, Edge.INTERVAL_MATCH, (), 0, day(31), None),
        # the newest of a reference, or a version by its name: all of it went into all of the other
        (day(1), day(9), Edge.REFERENCE_DATA, (), 0, (NOON, NOON + HOUR), (day(9),)),
        (MONTH, day(9), Edge.REFERENCE_DATA, (), 0, (NOON, NOON + HOUR), (day(9),)),
        (MONTH, day(9), Edge.READ, (Latest(),), 0, (NOON, NOON + HOUR), (day(9),)),
        (MONTH, day(9), Edge.READ, (ExactVersion("1"),), 0, (NOON, NOON + HOUR), (day(9),)),
        # the version before was used in its place
        (day(1), day(2), Edge.INTERVAL_MATCH, (), 0, (NOON, NOON + HOUR), (day(2),)),
        # instants
        ((NOON, NOON), day(1), Edge.READ, (), 0, day(1), (day(1),)),
        (day(1), (NOON, NOON), Edge.READ, (), 0, (NOON, NOON + HOUR), ((NOON, NOON),)),
        (day(1), (NOON, NOON), Edge.READ, (), 0, (NOON + HOUR, NOON + 2 * HOUR), None),
    ],
)  # fmt: skip
def test_s1_19_s1_21_d8_the_part_of_a_version_that_is_wrong_follows_from_the_intervals(
    up: Span, down: Span, kind: Edge, require: tuple[Requirement, ...], offset: int, said: Span,
    expected: tuple[Span, ...] | None,
) -> None:  # fmt: skip
    world = Versions()
    if require or offset:
        world.contract("down", "up", kind, *require, offset=offset)
    world.make("up", up)
    world.make("down", down, 1, kind=kind)
    assert affected(world.blast(wrong("up", said))).get(2) == expected


def test_s1_21_a_month_made_of_one_wrong_hour_takes_every_day_that_is_made_of_the_month() -> None:
    world = Versions()
    world.make("raw", (NOON, NOON + HOUR))
    world.make("month", MONTH, 1, kind=Edge.INTERVAL_MATCH)
    for n in range(30):
        world.make("share", day(n), 2, kind=Edge.INTERVAL_MATCH)
    found = affected(world.blast(wrong("raw", (NOON, NOON + HOUR))))
    assert found == {2: (MONTH,), **{n + 3: (day(n),) for n in range(30)}}


@pytest.mark.parametrize("output", [Output.CURRENT_PROJECTION, Output.SEARCH_INDEX, Output.CACHE])
def test_s1_19_what_adds_up_holds_what_is_wrong_in_every_later_version_that_was_made_of_it(
    output: Output,
) -> None:
    world = Versions(AssetSpec("state", output=output))
    world.make("log", day(1))
    world.make("state", day(1), 1, kind=Edge.INTERVAL_MATCH)
    world.make("state", day(2), 2, kind=Edge.INTERVAL_MATCH)
    world.make("report", day(9), 3, kind=Edge.INTERVAL_MATCH)
    found = affected(world.blast(wrong("log", (NOON, NOON + HOUR))))
    assert found == {2: (day(1),), 3: (day(2),), 4: (day(9),)}


# --- (c) the version -----------------------------------------------------------------------------


def test_s1_34_b42_only_what_was_made_of_that_version_is_affected() -> None:
    world = Versions()
    world.make("up", day(1))
    world.make("up", day(1))
    world.make("of the first", day(1), 1)
    world.make("of the second", day(1), 2)
    assert list(affected(world.blast(wrong("up", day(1), version_id=2)))) == [4]
    assert list(affected(world.blast(wrong("up", day(1))))) == [3, 4]


# --- (d) the schema ------------------------------------------------------------------------------


def test_s1_19_a_schema_that_has_broken_since_makes_it_worse_by_a_step() -> None:
    world = Versions()
    world.make("up", day(1))
    world.make("down", day(1), 1)
    assert world.blast(wrong("up", day(1))).nodes[1].decision.severity is Severity.MAJOR
    world.broke = frozenset({1})
    decision = world.blast(wrong("up", day(1))).nodes[1].decision
    assert decision.severity is Severity.CRITICAL
    assert decision.reason == "read of up version 1, whose schema has changed since and is not compatible"


# --- (e) the transform version ---------------------------------------------------------------------


def test_s1_19_a_bug_of_one_code_version_takes_what_that_code_has_made() -> None:
    world = Versions()
    for n, code in enumerate(("aa11", "aa11", "bb22")):
        world.make("up", day(n), code=code)
        world.make("down", day(n), n * 2 + 1)
    root = wrong("up", day(0, 9), Cause.TRANSFORM_BUG, code="aa")
    assert sorted(affected(world.blast(root))) == [2, 4]


# --- (f) when the correction takes effect ----------------------------------------------------------


def test_s1_19_what_was_made_once_it_was_right_is_not_affected() -> None:
    world = Versions()
    world.make("up", day(1))
    world.make("down", day(1), 1)
    world.make("up", day(1))
    world.make("down", day(1), 3)
    root = wrong("up", day(1), effective_us=3)
    assert [node.version_id for node in world.blast(root).nodes] == [1, 2]


def test_s1_21_a_source_without_versions_reaches_the_versions_of_what_is_declared_below_it() -> None:
    world = Versions()
    world.contract("bronze", "source.case_db")
    for n in range(3):
        world.make("bronze", day(n))
    late = Made(9, "bronze", *day(1), VersionState.PUBLISHED, 9)
    world.make("silver", day(1), 2)
    below = [
        Use(0, Edge.INTERVAL_MATCH, made) for made in (*world.made.values(), late) if made.asset == "bronze"
    ]
    root = wrong("source.case_db", (NOON, NOON + HOUR), effective_us=8)
    radius = world.blast(root, below)
    assert affected(radius) == {2: ((NOON, NOON + HOUR),), 4: ((NOON, NOON + HOUR),)}
    assert (radius.nodes[0].via, radius.roots) == (0, ())


# --- (g, h) criticality and severity ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("criticality", "said", "severity"),
    [
        (Criticality.LOW, None, Severity.WARNING),
        (Criticality.NORMAL, None, Severity.MINOR),
        (Criticality.HIGH, None, Severity.MAJOR),
        (Criticality.CRITICAL, None, Severity.CRITICAL),
        (Criticality.CRITICAL, Severity.INFO, Severity.INFO),
        (Criticality.LOW, Severity.CRITICAL, Severity.CRITICAL),
    ],
)
def test_s1_19_s1_26_severity_follows_the_consumers_criticality_unless_its_contract_says_one(
    criticality: Criticality, said: Severity | None, severity: Severity
) -> None:
    world = Versions(AssetSpec("down", criticality=criticality))
    world.contract("down", "up", severity=None if said is None else {Result.INVALID: said})
    world.make("up", day(1))
    world.make("down", day(1), 1)
    found = world.blast(wrong("up", day(1), severity=Severity.MINOR)).nodes[1]
    assert found.decision.severity is severity


# --- (i) the publication status --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "impacted", "to", "severity"),
    [
        (VersionState.PUBLISHED, True, INVALID, Severity.CRITICAL),
        (VersionState.STALE, True, INVALID, Severity.CRITICAL),
        (VersionState.DEGRADED, True, INVALID, Severity.CRITICAL),
        (VersionState.SUPERSEDED, True, None, Severity.MINOR),
        (VersionState.INVALIDATED, True, None, Severity.MAJOR),
        (VersionState.BUILDING, True, None, Severity.MAJOR),
        (VersionState.STAGED, True, VersionState.QUARANTINED, Severity.MAJOR),
        (VersionState.VALIDATED, True, VersionState.QUARANTINED, Severity.MAJOR),
        (VersionState.UNKNOWN, False, None, None),
        (VersionState.QUARANTINED, False, None, None),
        (VersionState.FAILED, False, None, None),
    ],
)
def test_s1_19_s1_28_what_nobody_has_seen_is_held_back_or_left_and_what_was_superseded_stays(
    state: VersionState, impacted: bool, to: VersionState | None, severity: Severity | None
) -> None:
    world = Versions()
    world.make("up", day(1))
    world.make("down", day(1), 1, state=state)
    found = world.blast(wrong("up", day(1), severity=Severity.CRITICAL)).nodes[1:]
    said = [(node.decision.to, node.decision.severity) for node in found]
    assert said == ([(to, severity)] if impacted else [])


def test_s1_19_a_shadow_version_is_nobodys() -> None:
    world = Versions()
    world.make("up", day(1))
    world.make("down", day(1), 1, shadow=True)
    assert affected(world.blast(wrong("up", day(1)))) == {}


def test_s1_21_s1_52_an_export_already_sent_counts_even_of_a_version_that_was_superseded() -> None:
    world = Versions(AssetSpec("export", node=Node.EXTERNAL_EFFECT, output=Output.EXPORT))
    world.make("up", day(1))
    world.make("report", day(1), 1, state=VersionState.SUPERSEDED)
    world.make("export", day(1), 2)
    [sent] = world.blast(wrong("up", day(1))).effects
    assert (sent.action, sent.decision.level) == (ASK, Level.MANUAL_APPROVAL)
    assert sent.decision.severity is Severity.CRITICAL
    assert sent.decision.reason.endswith("it has left, a correction has to follow")


# --- the example of the seed -----------------------------------------------------------------------


def test_s1_20_s1_21_a_corrected_day_of_the_source_reaches_projection_day_month_dashboard_and_the_export() -> (
    None
):
    june, fifteenth = (0, 30 * DAY), day(14)
    world = Versions(
        AssetSpec("source.case_db", node=Node.SOURCE),
        AssetSpec("bronze.cdc", node=Node.RAW),
        AssetSpec("silver.case", node=Node.CANONICAL, output=Output.CURRENT_PROJECTION),
        AssetSpec("gold.sla_daily"),
        AssetSpec("gold.regulatory", criticality=Criticality.CRITICAL),
        AssetSpec("dashboard.current", node=Node.PRODUCT, output=Output.CURRENT_PROJECTION),
        AssetSpec("partner.export", node=Node.EXTERNAL_EFFECT, output=Output.EXPORT),
        AssetSpec("ops.freshness"),
    )
    world.contract("bronze.cdc", "source.case_db")
    bronze, sla, before = [], [], None
    for n in range(30):
        bronze.append(world.make("bronze.cdc", day(n)))
        before = world.make(
            "silver.case", day(n), bronze[-1], *([before] if before else []), kind=Edge.INTERVAL_MATCH
        )
        sla.append(world.make("gold.sla_daily", day(n), bronze[-1], kind=Edge.INTERVAL_MATCH))
        world.make("partner.export", day(n), sla[-1])
        world.make("ops.freshness", day(n), bronze[-1], kind=Edge.FRESHNESS)
    world.make("gold.regulatory", june, *sla, kind=Edge.INTERVAL_MATCH)
    assert before is not None
    world.make("dashboard.current", day(30), before)
    below = [
        Use(0, Edge.INTERVAL_MATCH, world.made[n]) for n in bronze if world.made[n].start_us == fifteenth[0]
    ]
    nodes = world.blast(wrong("source.case_db", fifteenth, severity=Severity.MAJOR), below).nodes
    found = {
        name: [node.start_us // DAY + 1 for node in nodes if node.asset == name]
        for name in world.catalog.assets
    }
    assert found == {
        "source.case_db": [],
        "bronze.cdc": [15],
        "silver.case": list(range(15, 31)),  # each later one holds the day as well
        "gold.sla_daily": [15],
        "gold.regulatory": [1],
        "dashboard.current": [31],
        "partner.export": [15],
        "ops.freshness": [],
    }
    worst = {node.asset: node.decision.severity for node in nodes}
    assert (worst["gold.regulatory"], worst["partner.export"]) == (Severity.CRITICAL, Severity.CRITICAL)
    assert next(node for node in nodes if node.asset == "partner.export").action is ASK


def test_s1_19_the_day_before_of_a_calendar_whose_clocks_change_is_moved_as_its_contract_moves_it() -> None:
    """2026-03-29 has 23 hours in Berlin: the noon of the 28th is the noon of the 29th's input, not of 13:00."""
    first, second, third = (
        round(datetime(2026, 3, n, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * 1_000_000
        for n in (28, 29, 30)
    )
    noon = first + 12 * HOUR
    world = Versions(AssetSpec("down", tz="Europe/Berlin"))
    world.contract("down", "up", offset=-DAY)
    world.make("up", (first, second))
    world.make("down", (second, third), 1, kind=Edge.INTERVAL_MATCH)
    assert affected(world.blast(wrong("up", (first, second)))) == {2: ((second, third),)}
    assert affected(world.blast(wrong("up", (noon, noon + HOUR)))) == {
        2: ((second + 11 * HOUR, second + 12 * HOUR),)
    }
