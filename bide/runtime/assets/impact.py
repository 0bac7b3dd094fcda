"""What a wrong version does to one version that was made of it: the nine considerations (S1-19), one edge at a time.

Pure. Kind of the edge, interval, version, schema, transform version, effective time, criticality, severity,
publication status: which of them says what stands beside each function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.blast import Impact, Impacted, Invalidation
from bide.runtime.assets.contract import ContractSpec, ExactVersion, Latest, Rule, SameInterval
from bide.runtime.assets.reading import moved
from bide.runtime.assets.words import (
    VISIBLE,
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


class Made(msgspec.Struct, frozen=True, gc=False):
    """A version, as it is seen when spreading."""

    version_id: int
    asset: str
    start_us: int
    end_us: int
    state: VersionState
    created_us: int
    code: str = ""  # hash of the version of the DAG that made it
    dag: str = ""
    run_id: int | None = None
    shadow: bool = False


class Use(msgspec.Struct, frozen=True, gc=False):
    """`made` was made of the version `input_id`; 0: of what the asset that is wrong held, which has no versions."""

    input_id: int
    kind: Edge
    made: Made


ADDS_UP: Final = frozenset({Output.CURRENT_PROJECTION, Output.SEARCH_INDEX, Output.CACHE})
"""A version of these holds what came before its interval as well."""

UNSEEN: Final = frozenset({VersionState.UNKNOWN, VersionState.FAILED, VersionState.QUARANTINED})
"""No consumer has seen it, and none will."""

DEGRADES: Final = frozenset(
    {Action.WARN, Action.USE_PREVIOUS_VERSION, Action.USE_LATEST_VERSION, Action.PARTIAL_PUBLISH}
)
"""Actions that leave a version visible, with what is wrong said beside it."""

_FACTS: Final = frozenset(
    {Edge.READ, Edge.EXACT_VERSION, Edge.INTERVAL_MATCH, Edge.REFERENCE_DATA, Edge.PUBLICATION, Edge.INVALIDATION}
)  # fmt: skip
"""Kinds of edges by which records go from one asset into the other."""

_SAYS: Final = frozenset({Node.QUALITY_GATE, Node.CONTROL_EVENT, Node.HUMAN_DECISION})
"""Nodes whose version is a statement: when it is wrong, who went on for it is."""

_OTHERWISE: Final[dict[Edge, dict[Cause, Action]]] = {
    # it went on because a gate had passed, which now fails: as if it had never been allowed to
    Edge.QUALITY_GATE: {
        **dict.fromkeys(Cause, Action.WARN),
        Cause.LATE_QUALITY_FAILURE: Action.INVALIDATE_DOWNSTREAM,
    },
    # it needed to know that the data had come: only data that had not come is of concern
    Edge.FRESHNESS: {Cause.MISSING_PARTITION: Action.WARN},
    Edge.CONTROL_EVENT: {Cause.MISSING_PARTITION: Action.WARN},
    # it reads the columns by their schema, not the records
    Edge.SCHEMA_COMPATIBILITY: {Cause.SCHEMA_INTERPRETATION: Action.INVALIDATE_DOWNSTREAM},
}
"""What a wrong version does by edges that carry no records; nothing, where a cause is not named."""

NOT: Final = Impact(False, Action.WARN, Level.NONE, Severity.INFO, "")

_LEVELS: Final = {
    Action.BLOCK: Level.PUBLICATION,
    Action.QUARANTINE_OUTPUT: Level.PUBLICATION,
    Action.INVALIDATE_DOWNSTREAM: Level.PUBLICATION,
    Action.SCHEDULE_RECOMPUTE: Level.PUBLICATION,
    Action.REQUIRE_MANUAL_APPROVAL: Level.MANUAL_APPROVAL,
}


def impact(
    root: Invalidation, by: Impacted, use: Use, up: AssetSpec, down: AssetSpec, contract: ContractSpec | None,
    schema_broke: bool = False,
) -> Impact:  # fmt: skip
    """What `by` does to the version that was made of it.

    `schema_broke`: the schema of the upstream is another by now, and not compatible with the one that was read.
    The version counts by the caller's choice of `use`: none but those that were made of this very version.
    """
    made = use.made
    if made.shadow or made.state in UNSEEN:
        return _not("nobody has seen it")
    if by.version_id == 0 and root.effective_us is not None and made.created_us >= root.effective_us:
        return _not("it was made of what is right already")
    rule = rule_of(root, by, use.kind, down, contract)
    if rule is None:
        return _not(f"by an edge of kind {use.kind} nothing of what is wrong comes into it")
    parts = corrected(by, use, up, down, contract)
    if not parts:
        return _not("its interval shares nothing with what is wrong")
    level = rule.level or _LEVELS.get(rule.action, Level.NONE)
    bad = _severity(root, by, made.state, rule.action, down, contract, schema_broke)
    reason = f"{use.kind} of {by.asset}" + (f" version {by.version_id}" if by.version_id else "")
    if by.decision.action in DEGRADES and by.via is not None:
        reason += ", which is degraded"
    if schema_broke:
        reason += ", whose schema has changed since and is not compatible"
    if down.node is Node.EXTERNAL_EFFECT:
        reason += ": it has left, a correction has to follow"
    return Impact(True, rule.action, level, bad, reason, parts, state_after(made.state, rule.action))


def _not(reason: str) -> Impact:
    return msgspec.structs.replace(NOT, reason=reason)


# --- the kind of the edge ------------------------------------------------------------------------


def rule_of(
    root: Invalidation, by: Impacted, kind: Edge, down: AssetSpec, contract: ContractSpec | None
) -> Rule | None:
    """What the contract says of an invalid (or degraded) input, or the kind of the edge does; None: no impact."""
    result = carries(by)
    if contract is not None and result in contract.on_failure:
        return contract.on_failure[result]
    if kind in _FACTS or by.node in _SAYS or (contract is not None and _reads(contract)):
        if down.node is Node.EXTERNAL_EFFECT:
            return Rule(Action.REQUIRE_MANUAL_APPROVAL)
        return Rule(Action.WARN if result is Result.DEGRADED else Action.INVALIDATE_DOWNSTREAM)
    action = _OTHERWISE[kind].get(root.cause)
    if action is None or (result is Result.DEGRADED and action is not Action.WARN):
        return None if action is None else Rule(Action.WARN)
    return Rule(action)


def _reads(contract: ContractSpec) -> bool:
    """Whether it says which versions are read."""
    return any(isinstance(each, SameInterval | ExactVersion | Latest) for each in contract.require)


def carries(by: Impacted) -> Result:
    """What a version that is affected is to those that were made of it."""
    return Result.DEGRADED if by.decision.action in DEGRADES and by.via is not None else Result.INVALID


# --- the interval --------------------------------------------------------------------------------


def corrected(
    by: Impacted, use: Use, up: AssetSpec, down: AssetSpec, contract: ContractSpec | None
) -> tuple[Span, ...]:
    """The parts of the version that are wrong, for those of its input that are.

    The intervals of both are put over one another, moved by the contract's offset. Where they share nothing
    (the version before was used, or the newest of a reference), all of the one went into all of the other. An
    aggregate, of finer versions, is wrong as a whole; else what is wrong is cut to the version.
    """
    made = use.made
    all_of_it = ((made.start_us, made.end_us),)
    wanted: dict[type, Any] = {}
    if contract is not None and contract.require:
        wanted = {type(each): each for each in contract.require}
    if (
        use.kind in (Edge.REFERENCE_DATA, Edge.EXACT_VERSION)
        or ExactVersion in wanted
        or Latest in wanted
        or (down.output in ADDS_UP or up.output in ADDS_UP)
    ):
        return all_of_it
    span = made.start_us, made.end_us
    offset = wanted[SameInterval].offset if SameInterval in wanted else None
    if not offset and (by.start_us, by.end_us) == span:
        return by.decision.corrected  # the very interval: nothing is to be cut
    bad, whole = by.decision.corrected, (by.start_us, by.end_us)
    if offset:
        bad = tuple(moved(part, -offset, down.tz) for part in bad)
        whole = moved(whole, -offset, down.tz)
    shared = cut(bad, span)
    if not shared:
        apart = not cut([whole], span)
        return all_of_it if apart and by.version_id else ()
    if by.version_id and whole[1] - whole[0] < made.end_us - made.start_us:
        return all_of_it
    return shared


def cut(parts: Iterable[Span], to: Span) -> tuple[Span, ...]:
    """What the parts share with a span, joined; an instant `[t, t)` shares itself with what holds it.

    >>> cut([(0, 2), (1, 3), (8, 12)], (1, 10)), cut([(0, 2)], (1, 1)), cut([(0, 2)], (2, 4))
    (((1, 3), (8, 10)), ((1, 1),), ())
    """
    start, end = to
    if start == end:
        return (to,) if any(low <= start < high or low == start for low, high in parts) else ()
    return join(
        (max(low, start), min(high, end))
        for low, high in parts
        if low < end and (high > start or low == start)
    )


def join(parts: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in as few spans as can be, in order.

    >>> join([(4, 6), (0, 2), (1, 3), (3, 4)])
    ((0, 6),)
    """
    found: list[Span] = []
    for low, high in sorted(parts):
        if found and low <= found[-1][1]:
            if high > found[-1][1]:
                found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


# --- criticality, severity, schema, publication status ---------------------------------------------

_SEVERITIES: Final = tuple(Severity)
_PLACE: Final = {severity: n for n, severity in enumerate(Severity)}
_STEP: Final[Mapping[Criticality, int]] = {
    Criticality.LOW: -1,
    Criticality.NORMAL: 0,
    Criticality.HIGH: 1,
    Criticality.CRITICAL: 2,
}


def _severity(
    root: Invalidation, by: Impacted, state: VersionState, action: Action, down: AssetSpec,
    contract: ContractSpec | None, schema_broke: bool,
) -> Severity:  # fmt: skip
    """How bad it is for who uses the version.

    That of the invalidation, moved by how critical the asset is, unless the contract says one. Worse by a step
    where it has left the platform, and where the schema broke; what is only degraded is a warning at most, what
    nobody sees any more or has not seen yet is not critical.
    """
    said = contract.severity.get(carries(by)) if contract is not None else None
    at = _PLACE[said] if said is not None else _PLACE[root.severity] + _STEP[down.criticality]
    at += schema_broke + (down.node is Node.EXTERNAL_EFFECT)
    if said is None and down.node is not Node.EXTERNAL_EFFECT:
        if action in DEGRADES:
            at = min(at, _PLACE[Severity.WARNING])
        elif state is VersionState.SUPERSEDED:
            at = min(at, _PLACE[Severity.MINOR])
        elif state not in VISIBLE:
            at = min(at, _PLACE[Severity.MAJOR])
    return _SEVERITIES[max(0, min(at, len(_SEVERITIES) - 1))]


def state_after(state: VersionState, action: Action) -> VersionState | None:
    """The state a version is put into; None: it stays.

    What was superseded stays so: nothing is to be recomputed for it. What is being made is asked again when it
    is to be published; what is ready to be, and was not, is held back.
    """
    if state in (VersionState.STAGED, VersionState.VALIDATED) and action not in DEGRADES:
        return VersionState.QUARANTINED
    if state not in VISIBLE:
        return None
    if action in DEGRADES:
        return VersionState.DEGRADED  # also one that is: it has another limitation then
    if action is Action.SCHEDULE_RECOMPUTE:  # suspect: seen, and said to be behind, until it is made anew
        return VersionState.STALE if state is not VersionState.STALE else None
    return VersionState.INVALIDATED
