"""Whether contracts let something go on, and on which versions: pure, from what was asked and observed.

`evaluate` judges one contract, `conclude` makes one decision of all of them, whatever their order, `replay`
makes it again of its evidence. Asked before executing, before publishing, before an effect, and by a
consumer for its purpose (S1-42, S1-56).

Before publishing the versions that were read are judged: data that has come meanwhile was not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.judged import (
    STOPS,
    Asked,
    Decision,
    Evidence,
    Found,
    Issue,
    Observed,
    Phase,
    Used,
    Version,
)
from bide.runtime.assets.policy import resolve, severity_of
from bide.runtime.assets.reading import Pool, Which, span_of, which_of
from bide.runtime.assets.requirements import Finding, of_versions, percent, trusted, unmet
from bide.runtime.assets.telling import interval_words, version_words
from bide.runtime.assets.words import Action, Edge, Level, Result, Severity, strictest

NOTHING: Final = Found()
_REPLACES: Final = (Action.USE_PREVIOUS_VERSION, Action.USE_LATEST_VERSION)
_WHOLE: Final = (Result.STALE, Result.DEGRADED)
"""Results of which no part is better than the rest: what there is is published, and labelled."""
_GOES_OUT: Final = frozenset(
    {Level.NONE, Level.CONSUMER_NOTIFICATION, Level.EXTERNAL_SIDE_EFFECT, Level.MANUAL_APPROVAL}
)
"""Levels with which an output can be seen, at once or after a person's word: what is wrong is said on it."""


def evaluate(contract: ContractSpec, seen: Observed, asked: Asked) -> Found:
    """The versions that are read under a contract, what is not met, and what the output inherits.

    A contract of backfills alone says nothing in other runs; an edge of invalidation asks nothing.
    """
    if contract.during == "backfill" and not asked.backfill:
        return NOTHING
    which = which_of(contract, asked)
    found = _Look(contract, which, seen, asked).found()
    if asked.phase is not Phase.PUBLISHING or seen.read is None:
        return found
    read = {each.version_id for each in seen.read}
    if {each.version.version_id for each in found.use} == read:
        return found
    return _Look(contract, which, seen, asked, only_read=True).found()


def inlet(downstream: str, seen: Observed, asked: Asked) -> Found:
    """What a task reads that no contract says anything of: its interval's versions, else the newest. Never an issue."""
    spec = ContractSpec(downstream=downstream, upstream=seen.upstream, kind=Edge.INTERVAL_MATCH)
    which = which_of(spec, asked)
    pool = Pool(seen, asked, span_of(which, asked))
    chosen = pool.choose(which, None)
    newest = pool.latest(frozenset())
    if not chosen and newest is not None:
        chosen = (newest,)
    return Found(tuple(Used(each, Edge.READ) for each in chosen))


class _Look:
    """One contract looked at once: what is read now, and the issues so far."""

    def __init__(
        self, contract: ContractSpec, which: Which, seen: Observed, asked: Asked, *, only_read: bool = False
    ) -> None:
        self.contract, self.which, self.seen, self.asked = contract, which, seen, asked
        self.only_read = only_read
        self.pool = Pool(seen, asked, span_of(which, asked), only_read=only_read)
        self.used: tuple[Version, ...] = self.pool.choose(which, seen.exact)
        self.issues: list[Issue] = []
        self.limits: list[str] = []

    def found(self) -> Found:
        findings = unmet(self.contract, self.which, self.seen, self.asked, self.pool, self.used)
        if self.contract.kind is not Edge.INVALIDATION:
            replaced = False
            for finding in findings:
                gone = finding.faulty and not finding.faulty & self._ids()
                if replaced and (gone or finding.result is Result.DEGRADED):
                    continue  # what was wrong with it is not read, or is inherited below
                before = self.used
                self._judge(finding, again=replaced)
                replaced = replaced or self.used is not before
            if replaced:
                self._inherit()
        if not self.used and findings and findings[0].result is Result.INVALID and not self._begun_not():
            self.used = self.pool.choose(self.which, self.seen.exact, spoilt=True)  # what there is to look at
        if not self.used and self.only_read:
            self.used = tuple(self.pool.versions.values())
        return Found(
            tuple(Used(each, self.contract.kind) for each in self.used),
            tuple(self.issues),
            tuple(dict.fromkeys(self.limits)),
        )

    def _inherit(self) -> None:
        """What is read in the place of something else may have limitations of its own."""
        for finding in of_versions(self.contract, self.seen, self.used):
            if finding.result is Result.DEGRADED:
                self._judge(finding, again=True)

    def _judge(self, finding: Finding, *, again: bool) -> None:
        severity = severity_of(self.contract, finding.result, finding.severity)
        rule = resolve(self.contract, finding.result, severity, self.asked.phase)
        action, level, rationale = rule.action, rule.level, rule.rationale
        observed = finding.observed
        left = observed
        if self._fell_back(finding):
            action, level = Action.WARN, Level.NONE
            rationale = "it was made of another version, as its contract allows"
        elif action in _REPLACES and finding.result is not Result.STALE and not again:
            other = self._other(action, finding)
            if other is None:
                action, level = Action.BLOCK, self._too_late()
                observed += "; there is no other version that could be used instead"
            else:
                self.used = (other,)
                left += f"; {version_words(other)} is used instead"
        elif action is Action.PARTIAL_PUBLISH and finding.result not in _WHOLE:
            parts = self._parts(finding)
            if not parts:
                action, level = Action.BLOCK, self._too_late()
                observed += "; no part of it could be used"
            else:
                self.used = parts
                done = sum(each.end_us - each.start_us for each in parts)
                left = f"complete to {percent(done, self.pool.span)}: {observed}"
        self.issues.append(
            Issue(
                upstream=self.contract.upstream,
                requirement=finding.requirement,
                observed=observed,
                action=action,
                severity=severity,
                level=level,
                result=finding.result,
                rationale=rationale,
            )
        )
        if level in _GOES_OUT and not (action is Action.WARN and severity is Severity.INFO):
            self.limits.append(f"{self.contract.upstream}: {left}")

    def _fell_back(self, finding: Finding) -> bool:
        """Before publishing: what the contract wants was not there at the start, and something else was read."""
        return (
            self.only_read
            and finding.result is Result.MISSING
            and bool(self.seen.read)
            and any(rule.action in _REPLACES for rule in self.contract.on_failure.values())
        )

    def _other(self, action: Action, finding: Finding) -> Version | None:
        """The version that takes the place of what is wrong, if there is one that can be trusted."""
        without = finding.faulty or self._ids()
        if action is Action.USE_PREVIOUS_VERSION:
            other = self.pool.previous(self.which, without)
        else:
            other = self.pool.latest(without)
        if other is None or not trusted(self.contract, self.seen, other):
            return None
        return other

    def _parts(self, finding: Finding) -> tuple[Version, ...]:
        parts = self.pool.parts(finding.faulty)
        return tuple(each for each in parts if trusted(self.contract, self.seen, each))

    def _too_late(self) -> Level:
        """Where a fallback that finds nothing blocks: before it begins, or before anybody sees it."""
        return Level.PUBLICATION if self.only_read else Level.EXECUTION

    def _begun_not(self) -> bool:
        return any(issue.level is Level.EXECUTION for issue in self.issues)

    def _ids(self) -> frozenset[int]:
        return frozenset(each.version_id for each in self.used)


# --- one decision --------------------------------------------------------------------------------


_VERBS: Final = {
    Phase.EXECUTING: "may {}be made",
    Phase.PUBLISHING: "may {}be published",
    Phase.EFFECT: "may {}leave the platform",
    Phase.USE: "may {}be used",
}
_WHEN: Final = {
    Level.MANUAL_APPROVAL: "before a person approves: ",
    Level.PUBLICATION: "only unpublished: ",
    Level.EXTERNAL_SIDE_EFFECT: "but nothing of it leaves the platform: ",
    Level.CONSUMER_NOTIFICATION: "without telling its consumers: ",
    Level.NONE: "with limitations: ",
}
_LEVELS: Final = {level: n for n, level in enumerate(Level)}
_SEVERITIES: Final = {severity: n for n, severity in enumerate(Severity)}


def conclude(asked: Asked, found: Sequence[Found]) -> Decision:
    """One decision of what all contracts say: the strictest level wins, and their order means nothing."""
    issues = tuple(sorted((issue for each in found for issue in each.issues), key=_worst_first))
    limits = tuple(sorted({limit for each in found for limit in each.limits}))
    stops = [issue for issue in issues if issue.level in STOPS[asked.phase]]
    return Decision(
        level=strictest([issue.level for issue in issues]),
        reason=_reason(asked, issues, stops, limits),
        issues=issues,
        retryable=bool(stops) and not any(_needs_a_person(issue) for issue in stops),
        phase=asked.phase,
        asset=asked.asset,
        limits=limits,
    )


def evaluate_all(
    contracts: Iterable[ContractSpec], seen: Mapping[str, Observed], asked: Asked
) -> tuple[tuple[Used, ...], Decision]:
    """The versions that may be read, and the decision; an upstream that `seen` leaves out is one nobody knows."""
    found = [
        evaluate(contract, seen.get(contract.upstream) or Observed(contract.upstream, known=False), asked)
        for contract in contracts
    ]
    return tuple(used for each in found for used in each.use), conclude(asked, found)


def replay(evidence: Evidence) -> Decision:
    """The decision that was made of this, made again (D21)."""
    asked = msgspec.structs.replace(evidence.asked, now_us=evidence.now_us)
    return evaluate_all(evidence.contracts, {each.upstream: each for each in evidence.seen}, asked)[1]


def _needs_a_person(issue: Issue) -> bool:
    """Whether waiting alone does not change it."""
    return issue.level is Level.MANUAL_APPROVAL or issue.result is Result.SCHEMA


def _worst_first(issue: Issue) -> tuple[int | str, ...]:
    return (
        -_LEVELS[issue.level],
        -_SEVERITIES[issue.severity],
        issue.upstream,
        issue.result,
        issue.requirement,
        issue.observed,
        issue.action,
        issue.rationale,
    )


def _reason(asked: Asked, issues: Sequence[Issue], stops: Sequence[Issue], limits: Sequence[str]) -> str:
    purpose = f" for {asked.consumer}" if asked.consumer else ""
    who = f"{asked.asset} of {interval_words(asked.start_us, asked.end_us)}"
    if stops:
        first = stops[0]
        person = all(issue.level is Level.MANUAL_APPROVAL for issue in stops)
        can = _VERBS[asked.phase].format("not ")
        when = f" {_WHEN[Level.MANUAL_APPROVAL]}" if person else ": "
        return f"{who} {can}{purpose}{when}{_because(first)}{_more(stops)}"
    can = _VERBS[asked.phase].format("")
    if not issues:
        return f"{who} {can}{purpose}: all that is asked of its upstreams is met"
    first = issues[0]
    if first.level is Level.NONE and not limits:
        return f"{who} {can}{purpose}; noted: {_because(first)}{_more(issues)}"
    return f"{who} {can}{purpose}, {_WHEN[first.level]}{_because(first)}{_more(issues)}"


def _because(issue: Issue) -> str:
    return f"of {issue.upstream} it needs {issue.requirement}, and {issue.observed}"


def _more(issues: Sequence[Issue]) -> str:
    return f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""


__all__ = ["conclude", "evaluate", "evaluate_all", "inlet", "replay"]
