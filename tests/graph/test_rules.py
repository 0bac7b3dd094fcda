"""Trigger rules: every small combination against an independent statement of each rule."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from bide.runtime.graph.rules import Verdict, verdict
from bide.runtime.graph.spec import TriggerRule as Rule

Ends = tuple[str, ...]  # of each upstream: success, failed, skipped, or open


def final(rule: Rule, ends: Ends) -> Verdict:
    """What the rule says when every upstream has ended; stated in sets, not in counts."""
    kinds = set(ends)
    says: dict[Rule, Callable[[], Verdict]] = {
        Rule.ALL_SUCCESS: lambda: (
            Verdict.UPSTREAM_FAILED
            if "failed" in kinds
            else Verdict.SKIP
            if "skipped" in kinds
            else Verdict.RUN
        ),
        Rule.ALL_FAILED: lambda: Verdict.RUN if kinds == {"failed"} else Verdict.SKIP,
        Rule.ALL_DONE: lambda: Verdict.RUN,
        Rule.ONE_SUCCESS: lambda: (
            Verdict.RUN
            if "success" in kinds
            else Verdict.SKIP
            if kinds == {"skipped"}
            else Verdict.UPSTREAM_FAILED
        ),
        Rule.ONE_FAILED: lambda: Verdict.RUN if "failed" in kinds else Verdict.SKIP,
        Rule.NONE_FAILED: lambda: Verdict.UPSTREAM_FAILED if "failed" in kinds else Verdict.RUN,
        Rule.NONE_FAILED_MIN_ONE_SUCCESS: lambda: (
            Verdict.UPSTREAM_FAILED
            if "failed" in kinds
            else Verdict.RUN
            if "success" in kinds
            else Verdict.SKIP
        ),
        Rule.NONE_SKIPPED: lambda: Verdict.SKIP if "skipped" in kinds else Verdict.RUN,
        Rule.ALWAYS: lambda: Verdict.RUN,
    }
    return says[rule]()


def futures(ends: Ends) -> Iterator[Ends]:
    """Every way in which the open upstreams can end."""
    choices = [("success", "failed", "skipped") if end == "open" else (end,) for end in ends]
    yield from product(*choices)


def judged(rule: Rule, ends: Ends) -> Verdict:
    counts = (ends.count("success"), ends.count("failed"), ends.count("skipped"))
    return verdict(rule, len(ends), *counts)


WORLDS = [ends for n in (1, 2, 3, 4) for ends in product(("success", "failed", "skipped", "open"), repeat=n)]
STARTS_EARLY = {Rule.ONE_SUCCESS, Rule.ONE_FAILED, Rule.ALWAYS}


@pytest.mark.parametrize("rule", Rule)
def test_a_rule_decides_exactly_when_no_future_could_change_it(rule: Rule) -> None:
    """The verdict is that of every future if they agree; it waits if they differ.

    A rule that needs all upstreams to have ended (`all_done`) waits for the last of them, even
    where the answer is already certain: only failing, skipping and the `one_...` rules are early.
    """
    for ends in WORLDS:
        possible = {final(rule, future) for future in futures(ends)}
        got = judged(rule, ends)
        if len(possible) > 1 or (possible == {Verdict.RUN} and "open" in ends and rule not in STARTS_EARLY):
            assert got is Verdict.WAIT, ends
        else:
            assert got is possible.pop(), ends


@pytest.mark.parametrize("rule", Rule)
def test_a_verdict_never_changes_as_more_upstreams_end(rule: Rule) -> None:
    for ends in WORLDS:
        got = judged(rule, ends)
        if got is not Verdict.WAIT:
            assert {judged(rule, future) for future in futures(ends)} == {got}, ends


@pytest.mark.parametrize("rule", Rule)
def test_a_task_without_upstreams_runs(rule: Rule) -> None:
    assert verdict(rule, 0, 0, 0, 0) is Verdict.RUN


@pytest.mark.parametrize("rule", Rule)
def test_no_task_waits_for_ever(rule: Rule) -> None:
    assert all(judged(rule, ends) is not Verdict.WAIT for ends in WORLDS if "open" not in ends)
