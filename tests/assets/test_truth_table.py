"""The whole truth table: kinds of edges x results x severities x actions x levels, in every phase.

Generated and exhaustive. Each row is a contract that says exactly this of a result, and a world in which
exactly that result is found; what must follow is said here once more, in small tables of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import ExactVersion, Freshness, Quality, SameInterval, SchemaCompat
from bide.runtime.assets import (
    DEFAULT,
    Asked,
    ContractSpec,
    Decision,
    Found,
    Observed,
    Phase,
    conclude,
    evaluate,
    resolve,
)
from bide.runtime.assets.contract import Rule
from bide.runtime.assets.words import Action, Edge, Level, Result, Severity
from bide.runtime.clock import HOUR
from tests.assets.judging import GOLD, SILVER, asked, contract, day, passed, seen, version

ISSUES = tuple(result for result in Result if result is not Result.MET)
SCHEMAS = ((1, {"id": "int64"}), (2, {"id": "string"}))

# What is said here once more, independently of the code: how far each action lets go on by itself,
# and what each level stops.
OF_ACTION = {
    Action.WARN: Level.NONE,
    Action.USE_PREVIOUS_VERSION: Level.NONE,
    Action.USE_LATEST_VERSION: Level.NONE,
    Action.PARTIAL_PUBLISH: Level.NONE,
    Action.QUARANTINE_OUTPUT: Level.PUBLICATION,
    Action.INVALIDATE_DOWNSTREAM: Level.PUBLICATION,
    Action.SCHEDULE_RECOMPUTE: Level.PUBLICATION,
    Action.REQUIRE_MANUAL_APPROVAL: Level.MANUAL_APPROVAL,
}
#                                executes publishes notifies leaves
WHAT_GOES_ON = {
    Level.NONE:                  (True,  True,  True,  True),
    Level.CONSUMER_NOTIFICATION: (True,  True,  False, True),
    Level.EXTERNAL_SIDE_EFFECT:  (True,  True,  True,  False),
    Level.MANUAL_APPROVAL:       (False, False, False, False),
    Level.PUBLICATION:           (True,  False, False, False),
    Level.EXECUTION:             (False, False, False, False),
}  # fmt: skip
REPLACING = (Action.USE_PREVIOUS_VERSION, Action.USE_LATEST_VERSION)


def world(edge: Edge, result: Result, *, other: bool) -> tuple[tuple[object, ...], Observed]:
    """Requirements and a world in which exactly this is found; `other`: a version that could take its place."""
    exact = edge is Edge.EXACT_VERSION
    which = ExactVersion("2") if exact else SameInterval()
    require: list[object] = [which]
    fine: dict[str, Any] = {"checks": (passed(),), "schema_id": 1}
    own = version(2, day(15), **fine)
    if result is Result.STALE or edge is Edge.FRESHNESS:
        require.append(Freshness(timedelta(minutes=30) if result is Result.STALE else timedelta(days=9)))
    if result is Result.QUALITY:
        require.append(Quality("all"))
        own = version(2, day(15), checks=(passed(ok=False),), schema_id=1)
    if result is Result.SCHEMA:
        require.append(SchemaCompat("backward_transitive"))
        own = version(2, day(15), checks=(passed(),), schema_id=2)
    if result is Result.INVALID:
        own = version(2, day(15), "invalidated", **fine)
    if result is Result.DEGRADED:
        own = version(2, day(15), "degraded", limits=("half",), **fine)
    over = [] if result is Result.MISSING else [own]
    more: dict[str, Any] = {"schemas": SCHEMAS, "exact": own if exact and over else None}
    if other and result is not Result.STALE:
        more["previous"] = version(1, day(14), **fine)
        more["latest"] = version(1, day(14), **fine) if exact else version(3, day(16), **fine)
    return tuple(require), seen(*over, **more)


@lru_cache(maxsize=1024)
def cached(edge: Edge, result: Result, *, other: bool) -> tuple[tuple[object, ...], Observed]:
    return world(edge, result, other=other)


def ask(phase: Phase, start_day: int = 15) -> Asked:
    return asked(day(start_day), phase, late_us=HOUR)


def judged(spec: ContractSpec, there: Observed, phase: Phase) -> tuple[Found, Decision]:
    found = evaluate(spec, there, ask(phase))
    return found, conclude(ask(phase), [found])


def goes_on(decisions: dict[Phase, Decision]) -> tuple[bool, bool, bool, bool]:
    """Whether it executes, is published, is told of, and leaves."""
    publishing = decisions[Phase.PUBLISHING]
    return (
        decisions[Phase.EXECUTING].allowed,
        publishing.allowed,
        publishing.notifies,
        decisions[Phase.EFFECT].allowed,
    )


def check_words(decision: Decision, found: Found) -> None:
    """The reason is a sentence that says what the decision says."""
    assert decision.reason.startswith(f"{GOLD} of 2026-06-15 may ")
    assert (" may not " not in decision.reason) or not decision.allowed
    if not decision.allowed:
        assert " may not " in decision.reason
        person = decision.level is Level.MANUAL_APPROVAL
        assert (" before a person approves: " in decision.reason) == person
    for issue in found.issues:
        assert issue.upstream == SILVER
        assert issue.requirement
        assert issue.observed
        assert issue.rationale
    if found.issues:
        worst = decision.issues[0]
        assert f"of {SILVER} it needs {worst.requirement}, and {worst.observed}" in decision.reason
        assert decision.level is worst.level


ROWS = [
    (action, level, severity)
    for action in Action
    for level in (None, *Level)
    for severity in Severity
]  # fmt: skip


@pytest.mark.parametrize("other", [True, False], ids=["another_version_is_there", "no_other_version"])
@pytest.mark.parametrize("edge", [edge for edge in Edge if edge is not Edge.INVALIDATION])
def test_s1_14_s1_16_s1_26_b37_b38_b39_every_row_of_the_truth_table(edge: Edge, other: bool) -> None:
    rows = 0
    for result, (action, level, severity) in product(ISSUES, ROWS):
        require, there = cached(edge, result, other=other)
        rule = Rule(action, level)
        spec = contract(
            edge, *require, on_failure={result: rule}, severity={result: severity}, rationale="said"
        )
        row = (edge, result, action, level, severity)
        decisions = {}
        for phase in Phase:
            found, decisions[phase] = judged(spec, there, phase)
            assert [(issue.result, issue.severity) for issue in found.issues] == [(result, severity)], row
            check_words(decisions[phase], found)
        expected, falls_back = expect(edge, result, rule, other=other)
        [issue] = decisions[Phase.EXECUTING].issues
        assert issue.level is expected, row
        assert goes_on(decisions) == WHAT_GOES_ON[expected], row
        assert issue.action is (Action.BLOCK if falls_back else action), row
        labelled = expected in WHAT_GOES_ON and (
            WHAT_GOES_ON[expected][1] or expected is Level.MANUAL_APPROVAL
        )
        if action is Action.WARN and severity is Severity.INFO:
            labelled = False
        assert bool(decisions[Phase.PUBLISHING].limits) is labelled, row
        assert decisions[Phase.PUBLISHING].retryable is retries(result, expected), row
        rows += 1
    assert rows == len(ISSUES) * len(Action) * (len(Level) + 1) * len(Severity)


def expect(edge: Edge, result: Result, rule: Rule, *, other: bool) -> tuple[Level, bool]:
    """The level of a row, and whether it is what a fallback falls back to that finds nothing."""
    if rule.action is Action.PARTIAL_PUBLISH and result not in (Result.STALE, Result.DEGRADED):
        return Level.EXECUTION, True  # in these worlds one version is the whole interval
    if rule.action in REPLACING and result is not Result.STALE and not other:
        return Level.EXECUTION, True
    if rule.level is not None:
        return rule.level, False
    if rule.action is not Action.BLOCK:
        return OF_ACTION[rule.action], False
    before_it_begins = (
        result is Result.MISSING
        or (result is Result.SCHEMA and edge is Edge.SCHEMA_COMPATIBILITY)
    )  # fmt: skip
    return (Level.EXECUTION if before_it_begins else Level.PUBLICATION), False


def retries(result: Result, level: Level) -> bool:
    """Whether what stops publication can pass by itself."""
    stops = not WHAT_GOES_ON[level][1]
    return stops and level is not Level.MANUAL_APPROVAL and result is not Result.SCHEMA


@pytest.mark.parametrize("edge", list(Edge))
def test_s1_42_when_all_is_met_everything_goes_on_in_every_phase(edge: Edge) -> None:
    exact = edge is Edge.EXACT_VERSION
    own = version(2, day(15), checks=(passed(),), schema_id=1)
    require = (
        ExactVersion("2") if exact else SameInterval(), Quality("all"), Freshness(timedelta(hours=2)),
        SchemaCompat("full_transitive"),
    )  # fmt: skip
    there = seen(own, exact=own if exact else None, schemas=SCHEMAS[:1])
    decisions = {}
    for phase in Phase:
        found, decisions[phase] = judged(contract(edge, *require), there, phase)
        assert ([each.version for each in found.use], found.issues, found.limits) == ([own], (), ())
        assert decisions[phase].reason.endswith("all that is asked of its upstreams is met")
        assert decisions[phase].level is Level.NONE
    assert goes_on(decisions) == WHAT_GOES_ON[Level.NONE]


def test_s1_8j_an_edge_of_invalidation_has_no_row_that_stops_anything() -> None:
    for result, (action, level, severity) in product(ISSUES, ROWS):
        require, there = cached(Edge.INVALIDATION, result, other=True)
        spec = contract(
            "invalidation", *require, on_failure={result: Rule(action, level)}, severity={result: severity}
        )
        for phase in Phase:
            found, decision = judged(spec, there, phase)
            assert (found.issues, decision.allowed, decision.limits) == ((), True, ())


# --- the default policy: what follows when a contract says nothing ---------------------------------

GOLDEN = Path(__file__).parent / "golden" / "default_policy.txt"


def policy_table() -> str:
    """One line a kind and result: what follows for each severity."""
    lines = [f"{'kind':22}{'result':10}{''.join(f'{severity:44}' for severity in Severity)}".rstrip()]
    for kind, result in product(Edge, ISSUES):
        cells = [DEFAULT[kind, result, severity] for severity in Severity]
        told = "".join(f"{f'{cell.action} at {cell.level}':44}" for cell in cells)
        lines.append(f"{kind:22}{result:10}{told}".rstrip())
    return "\n".join(lines) + "\n"


def test_s1_15_the_default_policy_is_a_table_that_people_review() -> None:
    assert policy_table() == GOLDEN.read_text()
    assert all(rule.rationale for rule in DEFAULT.values())
    assert len(DEFAULT) == len(Edge) * len(ISSUES) * len(Severity)


def test_s1_15_a_worse_severity_is_never_treated_more_laxly() -> None:
    levels = list(Level)
    for kind, result in product(Edge, ISSUES):
        strict = [levels.index(DEFAULT[kind, result, severity].level) for severity in Severity]
        assert strict == sorted(strict), (kind, result)


@pytest.mark.parametrize("edge", [edge for edge in Edge if edge is not Edge.INVALIDATION])
def test_s1_15_the_default_policy_holds_where_a_contract_says_nothing(edge: Edge) -> None:
    for result, severity, phase in product(ISSUES, Severity, Phase):
        require, there = cached(edge, result, other=True)
        found, decision = judged(contract(edge, *require, severity={result: severity}), there, phase)
        rule = DEFAULT[edge, result, severity]
        [issue] = found.issues
        stricter = phase is Phase.EFFECT and rule.action is Action.WARN and severity is not Severity.INFO
        if stricter:
            assert (issue.action, issue.level) == (Action.REQUIRE_MANUAL_APPROVAL, Level.MANUAL_APPROVAL)
        else:
            assert (issue.action, issue.level, issue.rationale) == (rule.action, rule.level, rule.rationale)
        check_words(decision, found)


def test_s1_52_for_effects_no_rule_is_laxer_and_some_are_stricter() -> None:
    levels, stricter = list(Level), 0
    for kind, result, severity in product(Edge, ISSUES, Severity):
        spec = contract(kind)
        inside = levels.index(resolve(spec, result, severity, Phase.PUBLISHING).level)
        outside = levels.index(resolve(spec, result, severity, Phase.EFFECT).level)
        assert outside >= inside
        stricter += outside > inside
    assert stricter


def test_s1_15_a_contracts_own_word_comes_before_the_policy() -> None:
    spec = contract("read", on_failure={Result.STALE: Rule(Action.BLOCK)}, rationale="figures of today")
    rule = resolve(spec, Result.STALE, Severity.INFO, Phase.EFFECT)
    assert (rule.level, rule.rationale) == (Level.PUBLICATION, "figures of today")


# --- several contracts -----------------------------------------------------------------------------


def some_founds() -> Iterator[Found]:
    draw = Random(7)
    edges = [edge for edge in Edge if edge is not Edge.INVALIDATION]
    for _ in range(120):
        edge, result = draw.choice(edges), draw.choice(ISSUES)
        action, level, severity = draw.choice(ROWS)
        require, there = cached(edge, result, other=draw.random() < 0.5)
        spec = contract(edge, *require, on_failure={result: Rule(action, level)}, severity={result: severity})
        yield evaluate(spec, there, ask(Phase.PUBLISHING))


FOUNDS = list(some_founds())


@given(
    st.lists(st.sampled_from(FOUNDS), max_size=6), st.randoms(use_true_random=False), st.sampled_from(Phase)
)
def test_c49_the_strictest_wins_and_order_means_nothing(
    founds: list[Found], chance: Random, phase: Phase
) -> None:
    whole = conclude(ask(phase), founds)
    mixed = chance.sample(founds, len(founds))
    assert conclude(ask(phase), mixed) == whole
    alone = [conclude(ask(phase), [each]) for each in founds]
    order = list(Level)
    assert whole.level is max((each.level for each in alone), key=order.index, default=Level.NONE)
    assert whole.allowed is all(each.allowed for each in alone)
    assert whole.notifies is (whole.allowed and all(each.notifies for each in alone))
    assert whole.leaves is all(each.leaves for each in alone)
    assert set(whole.limits) == {limit for each in founds for limit in each.limits}
    assert len(whole.issues) == sum(len(each.issues) for each in founds)


@given(st.lists(st.sampled_from(FOUNDS), max_size=4), st.sampled_from(FOUNDS), st.sampled_from(Phase))
def test_one_more_contract_never_allows_what_was_refused(
    founds: list[Found], more: Found, phase: Phase
) -> None:
    order = list(Level)
    before, after = conclude(ask(phase), founds), conclude(ask(phase), [*founds, more])
    assert order.index(after.level) >= order.index(before.level)
    assert before.allowed or not after.allowed
