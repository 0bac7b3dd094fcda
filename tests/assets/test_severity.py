"""Severity from its seven dimensions, and the three rules that hang on it: every combination."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from bide.runtime.assets.severity import Impairment, classify, follows
from bide.runtime.assets.words import Action, Criticality, Level, Severity

ORDER = list(Severity)
FLAGS = (
    "visible_wrong", "visible_stale", "blocked", "effect_done", "sensitive_exposed", "regulatory_deadline",
    "corrects_itself",
)  # fmt: skip
ALL = [
    Impairment(**dict(zip(FLAGS, flags, strict=True)), criticality=criticality)
    for flags in product((False, True), repeat=len(FLAGS))
    for criticality in Criticality
]


@pytest.mark.parametrize("flag", FLAGS)
def test_s1_27_more_of_what_is_bad_never_makes_it_milder(flag: str) -> None:
    for what in ALL:
        bad = flag != "corrects_itself"
        worse = msgspec.structs.replace(what, **{flag: bad})
        better = msgspec.structs.replace(what, **{flag: not bad})
        assert ORDER.index(classify(worse)) >= ORDER.index(classify(better)), what


def test_s1_27_what_hangs_on_it_never_makes_it_milder() -> None:
    order = list(Criticality)
    for what in ALL:
        for more in order[order.index(what.criticality) :]:
            worse = msgspec.structs.replace(what, criticality=more)
            assert ORDER.index(classify(worse)) >= ORDER.index(classify(what)), what


@pytest.mark.parametrize(
    ("what", "severity"),
    [
        (Impairment(), "info"),  # optional metric missing
        (Impairment(visible_stale=True, criticality=Criticality.LOW), "warning"),  # reference an hour old
        (Impairment(visible_stale=True), "minor"),  # a dashboard lags
        (Impairment(blocked=True, criticality=Criticality.HIGH), "major"),  # the SLA table is delayed
        (Impairment(visible_wrong=True, regulatory_deadline=True), "critical"),  # published with invalid data
        (Impairment(sensitive_exposed=True, criticality=Criticality.LOW), "critical"),
        (Impairment(effect_done=True), "major"),
        (Impairment(blocked=True, corrects_itself=False), "major"),
        (Impairment(corrects_itself=False), "info"),
    ],
)
def test_s1_26_the_five_severities_are_those_of_the_spec(what: Impairment, severity: str) -> None:
    assert classify(what) == severity


def test_s1_28_the_three_rules() -> None:
    critical = follows(Severity.CRITICAL, published=True)
    assert (critical.action, critical.incident, critical.impact) == (Action.INVALIDATE_DOWNSTREAM, True, True)
    major = follows(Severity.MAJOR, published=False)
    assert (major.action, major.level, major.retry) == (Action.BLOCK, Level.PUBLICATION, True)
    warning = follows(Severity.WARNING, published=False, previous_ok=True)
    assert (warning.action, warning.level) == (Action.USE_PREVIOUS_VERSION, Level.NONE)


def test_s1_28_every_case_has_a_rule_and_the_worse_is_never_the_laxer() -> None:
    levels = list(Level)
    for published, previous_ok in product((False, True), repeat=2):
        rules = [follows(each, published=published, previous_ok=previous_ok) for each in Severity]
        assert all(rule.rationale for rule in rules)
        strict = [levels.index(rule.level) for rule in rules]
        assert strict == sorted(strict)
        assert [rule.incident for rule in rules] == [False] * 4 + [published]
