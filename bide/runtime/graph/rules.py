"""Trigger rules: whether a task may start, from how many of its upstreams ended how.

The meaning is that of the field (Airflow), with one difference: what a rule says never depends
on the order in which upstreams end. So `all_success` with one upstream skipped waits for the
others before it skips, because one of them may still fail; a failure decides at once.
A verdict other than `WAIT` is therefore final: it stays the same as more upstreams end.
"""

from __future__ import annotations

from enum import StrEnum

from bide.runtime.graph.spec import TriggerRule


class Verdict(StrEnum):
    WAIT = "wait"
    RUN = "run"
    SKIP = "skip"
    UPSTREAM_FAILED = "upstream_failed"


def verdict(rule: TriggerRule, total: int, success: int, failed: int, skipped: int) -> Verdict:
    """What becomes of a task with `total` direct upstreams, of which so many have ended so.

    `failed` counts every end that is neither success nor skipped: failed, upstream_failed,
    cancelled. A task without upstreams runs, whatever its rule.

    >>> verdict(TriggerRule.ALL_SUCCESS, total=3, success=1, failed=1, skipped=0)
    <Verdict.UPSTREAM_FAILED: 'upstream_failed'>
    """
    done = success + failed + skipped == total
    if total == 0:
        return Verdict.RUN
    match rule:
        case TriggerRule.ALL_SUCCESS:
            if failed:
                return Verdict.UPSTREAM_FAILED
            if done:
                return Verdict.SKIP if skipped else Verdict.RUN
        case TriggerRule.ALL_FAILED:
            if success or skipped:
                return Verdict.SKIP
            if done:
                return Verdict.RUN
        case TriggerRule.ALL_DONE:
            if done:
                return Verdict.RUN
        case TriggerRule.ONE_SUCCESS:
            if success:
                return Verdict.RUN
            if done:
                return Verdict.UPSTREAM_FAILED if failed else Verdict.SKIP
        case TriggerRule.ONE_FAILED:
            if failed:
                return Verdict.RUN
            if done:
                return Verdict.SKIP
        case TriggerRule.NONE_FAILED:
            if failed:
                return Verdict.UPSTREAM_FAILED
            if done:
                return Verdict.RUN
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            if failed:
                return Verdict.UPSTREAM_FAILED
            if done:
                return Verdict.RUN if success else Verdict.SKIP
        case TriggerRule.NONE_SKIPPED:
            if skipped:
                return Verdict.SKIP
            if done:
                return Verdict.RUN
        case TriggerRule.ALWAYS:
            return Verdict.RUN
    return Verdict.WAIT
