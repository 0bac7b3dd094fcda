"""The default policy: what follows from an unmet requirement, by kind of edge, result and severity (S1-15).

Rows of data with a rationale each, for people to read and argue with; a contract's `on_failure` and
`severity` come before them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.judged import Phase
from bide.runtime.assets.words import Action, Edge, Level, Result, Severity


class Policy(msgspec.Struct, frozen=True):
    """One rule: an upstream's result of this kind and severity does this, and why."""

    kind: Edge
    result: Result
    severity: Severity
    action: Action
    level: Level
    rationale: str


USUAL: Final[dict[Result, Severity]] = {
    Result.MISSING: Severity.MAJOR,
    Result.STALE: Severity.WARNING,
    Result.QUALITY: Severity.MAJOR,
    Result.SCHEMA: Severity.MAJOR,
    Result.INVALID: Severity.CRITICAL,
    Result.DEGRADED: Severity.WARNING,
}
"""How bad a result is when nobody says: see `severity_of`."""

LEVELS: Final[dict[Action, Level]] = {
    Action.BLOCK: Level.PUBLICATION,  # of what can still be computed; see `_block_level`
    Action.WARN: Level.NONE,
    Action.USE_PREVIOUS_VERSION: Level.NONE,
    Action.USE_LATEST_VERSION: Level.NONE,
    Action.QUARANTINE_OUTPUT: Level.PUBLICATION,
    Action.PARTIAL_PUBLISH: Level.NONE,
    Action.INVALIDATE_DOWNSTREAM: Level.PUBLICATION,
    Action.SCHEDULE_RECOMPUTE: Level.PUBLICATION,
    Action.REQUIRE_MANUAL_APPROVAL: Level.MANUAL_APPROVAL,
}
"""How far an action lets go on, where a rule does not say."""

_MILD: Final = (Severity.INFO, Severity.WARNING, Severity.MINOR)


def _usual(kind: Edge, result: Result, severity: Severity) -> tuple[Action, Level, str]:
    if kind is Edge.INVALIDATION:
        return Action.WARN, Level.NONE, "only its corrections matter, and they spread when they are made"
    if result is Result.MISSING:
        if severity in _MILD[:2] and kind is not Edge.CONTROL_EVENT:
            return Action.WARN, Level.NONE, "it was said that little is lost without it"
        return Action.BLOCK, Level.EXECUTION, "there is nothing to compute from"
    if result is Result.SCHEMA:
        if severity in _MILD[:2]:
            return Action.WARN, Level.NONE, "it was said that a change of this schema breaks little"
        if kind is Edge.SCHEMA_COMPATIBILITY:
            return (
                Action.BLOCK,
                Level.EXECUTION,
                "the edge is there for the schema: code would misread the data",
            )
        return (
            Action.REQUIRE_MANUAL_APPROVAL,
            Level.MANUAL_APPROVAL,
            "a person sees whether the change breaks this consumer",
        )
    if result is Result.INVALID:
        return Action.BLOCK, Level.PUBLICATION, "what is not to be trusted is not passed on"
    about = {Edge.QUALITY_GATE: Result.QUALITY, Edge.FRESHNESS: Result.STALE}.get(kind)
    if result is about:
        return Action.BLOCK, Level.PUBLICATION, "the edge is there for exactly this"
    if severity in _MILD:
        return Action.WARN, Level.NONE, "usable when it is labelled: it is published as degraded"
    return Action.BLOCK, Level.PUBLICATION, "it may be computed and looked at, and consumers do not see it"


DEFAULT: Final[dict[tuple[Edge, Result, Severity], Policy]] = {
    (kind, result, severity): Policy(kind, result, severity, *_usual(kind, result, severity))
    for kind in Edge
    for result in USUAL
    for severity in Severity
}
"""All rules: `bide assets contracts` shows those that are in force."""


def severity_of(contract: ContractSpec, result: Result, seen: Severity | None = None) -> Severity:
    """How bad it is: as the contract says, else as what was seen is (the worst gate that failed), else as usual."""
    said = contract.severity.get(result)
    if said is not None:
        return said
    if seen is not None:
        return seen
    if contract.kind is Edge.FRESHNESS and result is Result.STALE:
        return Severity.MAJOR
    return USUAL[result]


def resolve(contract: ContractSpec, result: Result, severity: Severity, phase: Phase) -> Policy:
    """The rule for a result of this contract: its own, else the default, which is stricter for effects (S1-52)."""
    usual = DEFAULT[contract.kind, result, severity]
    said = contract.on_failure.get(result)
    if said is None:
        return _stricter(usual) if phase is Phase.EFFECT else usual
    level = said.level
    if level is None:
        level = _block_level(usual) if said.action is Action.BLOCK else LEVELS[said.action]
    return Policy(
        contract.kind, result, severity, said.action, level, contract.rationale or "the contract says so"
    )


def _block_level(about: Policy) -> Level:
    """Where a plain `block` blocks: before it begins when there is nothing to read, or nothing that it can read."""
    unreadable = about.result is Result.SCHEMA and about.kind is Edge.SCHEMA_COMPATIBILITY
    return Level.EXECUTION if about.result is Result.MISSING or unreadable else LEVELS[Action.BLOCK]


def _stricter(usual: Policy) -> Policy:
    """What has left cannot be superseded: what is only labelled inside needs a person's word before it leaves."""
    if usual.action is not Action.WARN or usual.severity is Severity.INFO or usual.kind is Edge.INVALIDATION:
        return usual
    return msgspec.structs.replace(
        usual,
        action=Action.REQUIRE_MANUAL_APPROVAL,
        level=Level.MANUAL_APPROVAL,
        rationale="what leaves the platform cannot be taken back: a person decides",
    )
