"""One contract judged: what is read, what is not met, what follows; before executing and before publishing."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import msgspec
import pytest

from bide import ExactVersion, Freshness, Latest, Quality, SameInterval, SchemaCompat
from bide.runtime.assets import (
    ContractSpec,
    Decision,
    Evidence,
    Found,
    Observed,
    Phase,
    conclude,
    evaluate,
    evaluate_all,
    inlet,
    replay,
    wanted,
)
from bide.runtime.assets.contract import Rule
from bide.runtime.assets.words import Action, Edge, Level, Result, Severity
from bide.runtime.clock import HOUR
from tests.assets.judging import GOLD, SILVER, asked, contract, day, hour, passed, seen, version


def used(found: Found) -> list[int]:
    return [each.version.version_id for each in found.use]


def results(found: Found) -> list[tuple[Result, Action, Level]]:
    return [(issue.result, issue.action, issue.level) for issue in found.issues]


def test_s1_8c_the_version_of_the_very_interval_is_read_the_newest_that_can_be_seen() -> None:
    there = seen(
        version(1, day(15), "superseded"), version(2, day(15)), version(3, day(15), "staged"), version(4, day(16))
    )  # fmt: skip
    assert used(evaluate(contract("interval_match"), there, asked())) == [2]
    assert used(evaluate(contract("read"), there, asked())) == [4]


def test_s1_42_s1_43_an_interval_that_is_missing_blocks_execution_with_a_structured_reason() -> None:
    there = seen(version(1, day(14)))
    use, decision = evaluate_all([contract("interval_match")], {SILVER: there}, asked())
    assert use == ()
    assert not decision.allowed
    assert (decision.level, decision.retryable) == (Level.EXECUTION, True)
    assert decision.reason == (
        "gold.sla_daily of 2026-06-15 may not be made: of silver.case_event it needs the same interval, 2026-06-15, "
        "and there is no version of it"
    )


def test_s1_17_a_failed_gate_lets_compute_and_not_publish() -> None:
    there = seen(version(2, day(15), checks=(passed(ok=False),)))
    asks = contract("interval_match", SameInterval(), Quality("critical"))
    began = conclude(asked(), [evaluate(asks, there, asked())])
    assert began.allowed
    assert began.level is Level.PUBLICATION
    question = asked(phase=Phase.PUBLISHING)
    read = msgspec.structs.replace(there, read=there.over)
    ended = conclude(question, [evaluate(asks, read, question)])
    assert not ended.allowed
    assert ended.issues[0].observed == "rows failed (critical) in version 2 of 2026-06-15"


def test_s1_14c_use_previous_reads_the_last_valid_version_and_says_so() -> None:
    asks = contract("interval_match", on_failure={Result.MISSING: Rule(Action.USE_PREVIOUS_VERSION)})
    before = version(7, day(14))
    found = evaluate(asks, seen(previous=before, latest=before), asked())
    assert used(found) == [7]
    assert results(found) == [(Result.MISSING, Action.USE_PREVIOUS_VERSION, Level.NONE)]
    assert found.limits == (
        "silver.case_event: there is no version of it; version 7 of 2026-06-14 is used instead",
    )
    nothing = evaluate(asks, seen(), asked())
    assert results(nothing) == [(Result.MISSING, Action.BLOCK, Level.EXECUTION)]


def test_s1_14c_a_previous_version_that_failed_its_gates_takes_nobodys_place() -> None:
    asks = contract(
        "interval_match",
        Quality("critical"),
        on_failure={Result.QUALITY: Rule(Action.USE_PREVIOUS_VERSION)},
    )
    bad, before = version(8, day(15), checks=(passed(ok=False),)), version(7, day(14), checks=(passed(),))
    found = evaluate(asks, seen(bad, previous=before), asked())
    assert (used(found), found.issues[0].level) == ([7], Level.NONE)
    worse = msgspec.structs.replace(before, checks=(passed(ok=False),))
    found = evaluate(asks, seen(bad, previous=worse), asked())
    assert found.issues[0].level is Level.EXECUTION


def test_s1_31_a_previous_version_hands_on_its_own_limitations() -> None:
    asks = contract("interval_match", on_failure={Result.MISSING: Rule(Action.USE_PREVIOUS_VERSION)})
    weak = version(7, day(14), "degraded", limits=("half of the regions",))
    found = evaluate(asks, seen(previous=weak, latest=weak), asked())
    assert [issue.result for issue in found.issues] == [Result.MISSING, Result.DEGRADED]
    assert found.limits[1].endswith("version 7 of 2026-06-14 is degraded: half of the regions")


def test_s1_14f_partial_publish_says_how_complete_it_is() -> None:
    asks = contract("interval_match", on_failure={Result.MISSING: Rule(Action.PARTIAL_PUBLISH)})
    hours = [version(n, hour(15, n)) for n in range(24) if n != 7]
    found = evaluate(asks, seen(*hours), asked())
    assert len(found.use) == 23
    assert found.limits[0].startswith("silver.case_event: complete to 95.8 %: there is 95.8 % of it")


def test_s1_56_what_was_read_is_judged_before_publishing_not_what_came_meanwhile() -> None:
    asks = contract("interval_match")
    question = asked(phase=Phase.PUBLISHING)
    old, new = version(2, day(15), "invalidated"), version(3, day(15))
    found = evaluate(asks, seen(old, new, read=(old,)), question)
    assert results(found) == [(Result.INVALID, Action.BLOCK, Level.PUBLICATION)]
    assert used(found) == [2]
    superseded = version(2, day(15), "superseded")
    found = evaluate(asks, seen(superseded, new, read=(superseded,)), question)
    assert (used(found), found.issues) == ([2], ())


def test_s1_31_what_was_made_of_the_version_before_stays_labelled_when_the_right_one_comes() -> None:
    asks = contract("interval_match", on_failure={Result.MISSING: Rule(Action.USE_PREVIOUS_VERSION)})
    question = asked(phase=Phase.PUBLISHING)
    before = version(7, day(14))
    found = evaluate(asks, seen(version(8, day(15)), previous=before, read=(before,)), question)
    assert used(found) == [7]
    assert results(found) == [(Result.MISSING, Action.WARN, Level.NONE)]
    assert found.limits
    gone = version(7, day(14), "invalidated")
    found = evaluate(asks, seen(version(8, day(15)), read=(gone,)), question)
    assert results(found) == [(Result.INVALID, Action.BLOCK, Level.PUBLICATION)]


def test_s1_8d_freshness_is_of_the_producer_so_a_backfill_of_an_old_day_is_not_stale() -> None:
    asks = contract("interval_match", SameInterval(), Freshness(timedelta(hours=2)))
    old, newest = version(1, day(2)), version(9, day(20))
    question = msgspec.structs.replace(asked(day(2)), now_us=day(20)[1] + HOUR)
    assert evaluate(asks, seen(old, latest=newest), question).issues == ()
    late = msgspec.structs.replace(question, now_us=day(20)[1] + 3 * HOUR)
    found = evaluate(asks, seen(old, latest=newest), late)
    assert results(found) == [(Result.STALE, Action.WARN, Level.NONE)]
    assert found.limits == ("silver.case_event: version 9 of 2026-06-20, the newest, ended 3:00:00 ago",)


def test_s1_30_a_degraded_version_hands_its_limitations_on_until_they_expire() -> None:
    weak = version(5, day(15), "degraded", limits=("3.2 % of the parties are unknown",))
    found = evaluate(contract("interval_match"), seen(weak), asked())
    assert found.limits[0].endswith("version 5 of 2026-06-15 is degraded: 3.2 % of the parties are unknown")
    over = msgspec.structs.replace(weak, expires_us=asked().now_us)
    assert results(evaluate(contract("interval_match"), seen(over), asked())) == [
        (Result.INVALID, Action.BLOCK, Level.PUBLICATION)
    ]


def test_s1_29_the_five_degraded_modes_go_on_and_say_with_what() -> None:
    """Of each: what may go on, and the limitation that the output is published with."""
    publishing = asked(phase=Phase.PUBLISHING)

    def published(spec: ContractSpec, there: Observed) -> tuple[Decision, str]:
        decision = conclude(publishing, [evaluate(spec, there, publishing)])
        assert decision.allowed
        [limit] = decision.limits
        return decision, limit

    reference = version(3, day(1))  # (a) the version before of a reference
    previous = contract("interval_match", on_failure={Result.INVALID: Rule(Action.USE_PREVIOUS_VERSION)})
    _, said = published(
        previous, seen(version(4, day(15), "invalidated"), previous=reference, latest=reference)
    )
    assert said.endswith("version 3 of 2026-06-01 is used instead")
    partial = contract(
        "interval_match", Quality("critical"), on_failure={Result.QUALITY: Rule(Action.PARTIAL_PUBLISH)}
    )
    regions = [version(n, hour(15, n), checks=(passed(ok=n != 3),)) for n in range(24)]
    _, said = published(
        partial, seen(*regions)
    )  # (b), (d) without the part that failed, and how complete that is
    assert "complete to 95.8 %: rows failed (critical) in version 3" in said
    fresh = contract("interval_match", SameInterval(), Freshness(timedelta(minutes=5)))
    _, said = published(fresh, seen(version(5, day(15))))  # (c) with a warning that it is old
    assert said.endswith("the newest, ended 1:00:00 ago")
    inside = contract(
        "interval_match",
        Quality("all"),
        on_failure={Result.QUALITY: Rule(Action.BLOCK, Level.EXTERNAL_SIDE_EFFECT)},
    )
    decision, said = published(inside, seen(version(6, day(15), checks=(passed(ok=False),))))
    assert not decision.leaves  # (e) inside alone
    assert decision.notifies
    assert "rows failed" in said


def test_s1_10_an_edge_of_backfills_asks_nothing_in_other_runs() -> None:
    asks = contract("interval_match", during="backfill")
    assert evaluate(asks, seen(), asked()) == Found()
    assert evaluate(asks, seen(), asked(backfill=True)).issues[0].result is Result.MISSING


def test_s1_8j_an_edge_of_invalidation_asks_nothing_and_is_lineage() -> None:
    found = evaluate(contract("invalidation"), seen(version(3, day(15), "degraded")), asked())
    assert (used(found), found.issues) == ([3], ())
    assert evaluate(contract("invalidation"), seen(), asked()) == Found()


def test_s1_8b_an_exact_version_is_read_when_it_was_superseded_and_not_when_it_was_invalidated() -> None:
    asks = contract("exact_version", ExactVersion("P2026_07_01"))
    assert wanted(asks, asked()).exact == "P2026_07_01"
    for state, result in (("superseded", None), ("invalidated", Result.INVALID), ("staged", Result.MISSING)):
        found = evaluate(asks, seen(exact=version(4, day(1), state, label="P2026_07_01")), asked())
        assert [issue.result for issue in found.issues] == ([result] if result else [])
    assert evaluate(asks, seen(), asked()).issues[0].observed == "there is no such version"


def test_s1_1g_a_breaking_schema_needs_a_person_unless_the_consumer_lives_with_it_already() -> None:
    asks = contract("interval_match", SchemaCompat("backward_transitive"))
    schemas = ((1, {"id": "int64"}), (2, {"id": "string"}))
    there = seen(version(9, day(15), schema_id=2), schemas=schemas)
    _, decision = evaluate_all([asks], {SILVER: there}, asked())
    assert (decision.level, decision.retryable, decision.allowed) == (Level.MANUAL_APPROVAL, False, False)
    assert decision.issues[0].observed == "version 9 of 2026-06-15: id was int64 and is string"
    assert evaluate(asks, msgspec.structs.replace(there, accepted=(2,)), asked()).issues == ()
    assert evaluate(asks, seen(version(9, day(15), schema_id=1), schemas=schemas), asked()).issues == ()


def test_s1_52_what_is_only_labelled_inside_needs_a_person_before_it_leaves() -> None:
    weak = seen(version(5, day(15), "degraded", limits=("half",)))
    inside = conclude(asked(), [evaluate(contract("interval_match"), weak, asked(phase=Phase.PUBLISHING))])
    question = asked(phase=Phase.EFFECT)
    outside = conclude(question, [evaluate(contract("interval_match"), weak, question)])
    assert (inside.allowed, outside.allowed, outside.level) == (True, False, Level.MANUAL_APPROVAL)


def test_s1_25_a_plan_reads_its_own_validated_versions_first() -> None:
    own, shown = version(9, day(15), "validated", plan_id=4), version(10, day(15))
    assert used(evaluate(contract("interval_match"), seen(shown, own), asked(plan_id=4))) == [9]
    assert used(evaluate(contract("interval_match"), seen(shown, own), asked())) == [10]


def test_an_upstream_that_nobody_knows_is_missing_and_says_so() -> None:
    _, decision = evaluate_all([contract("interval_match")], {}, asked())
    assert decision.issues[0].observed.startswith("nothing is known of it")


def test_an_inlet_without_a_contract_is_lineage_and_never_an_issue() -> None:
    found = inlet(GOLD, seen(version(1, day(14)), version(2, day(15)), version(3, day(16))), asked())
    assert [(each.version.version_id, each.kind) for each in found.use] == [(2, Edge.READ)]
    assert used(inlet(GOLD, seen(version(1, day(14))), asked())) == [1]
    assert inlet(GOLD, seen(), asked()) == Found()


def test_s1_18_d21_a_decision_is_made_again_of_its_evidence_alone() -> None:
    asks = contract(
        "interval_match", SameInterval(timedelta(days=-1)), Quality(("rows",)), Freshness(timedelta(minutes=5)),
        on_failure={Result.STALE: Rule(Action.BLOCK, Level.CONSUMER_NOTIFICATION)},
        severity={Result.QUALITY: Severity.MINOR},
    )  # fmt: skip
    there = seen(
        version(3, day(14), checks=(passed(ok=False),), limits=("x",)), schemas=((1, {"a": "int64"}),)
    )
    _, decision = evaluate_all([asks], {SILVER: there}, asked())
    evidence = Evidence(asked(), (asks,), (there,), asked().now_us)
    again = msgspec.json.decode(msgspec.json.encode(evidence), type=Evidence)
    assert replay(again) == decision
    assert len(decision.issues) == 2


def test_c49_the_order_of_contracts_means_nothing_and_the_strictest_wins() -> None:
    missing = evaluate(contract("interval_match"), seen(), asked())
    warned = evaluate(
        contract("interval_match", on_failure={Result.MISSING: Rule(Action.WARN)}),
        Observed("b"), asked(),
    )  # fmt: skip
    approval = evaluate(
        contract("interval_match", on_failure={Result.MISSING: Rule(Action.REQUIRE_MANUAL_APPROVAL)}),
        Observed("c"), asked(),
    )  # fmt: skip
    decisions = {conclude(asked(), order) for order in permutations([missing, warned, approval])}
    assert len(decisions) == 1
    assert decisions.pop().level is Level.EXECUTION


@pytest.mark.parametrize("which", [SameInterval(), Latest()])
def test_offsets_of_whole_days_are_days_of_the_calendar(which: SameInterval | Latest) -> None:
    """The 29th of March 2026 has 23 hours in Berlin; the day before it has 24, from midnight to midnight."""
    start = 1774738800_000_000  # 2026-03-29 00:00 in Berlin
    question = msgspec.structs.replace(asked((start, start + 23 * HOUR)), tz="Europe/Berlin")
    moved = wanted(contract("interval_match", SameInterval(timedelta(days=-1))), question)
    assert (moved.end_us, moved.end_us - moved.start_us) == (start, 24 * HOUR)
    assert wanted(contract("interval_match", which), question).start_us == start
