"""How what is wrong spreads: from versions to those made of them, frontier by frontier, each with its decision.

Pure. Versions are reached by their numbers, smallest first: what a version was made of has smaller ones, so that
nearly always all that can reach a version has been seen when its turn comes. Where not, it has another turn.
A version that is reached more than once gets the strictest of the decisions, and all the parts that are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

import msgspec
from msgspec.structs import replace

from bide.runtime.assets.blast import BlastRadius, Impact, Impacted, Invalidation
from bide.runtime.assets.catalog import Catalog, Held
from bide.runtime.assets.impact import Made, Use, cut, impact, join, state_after
from bide.runtime.assets.words import (
    VISIBLE,
    Action,
    Criticality,
    Edge,
    Level,
    Severity,
    VersionState,
    strictest,
    worst,
)

FRONTIER: Final = 1_000
"""Versions whose consumers are asked for at once."""

_NONE: Final[Mapping[str, Held]] = {}


class Hop(msgspec.Struct, frozen=True):
    """All that was made of a frontier, in any order; and of which of the frontier the schema broke since."""

    uses: Sequence[Use]
    broke: frozenset[int] = frozenset()


def spread(
    root: Invalidation, wrong: Iterable[Made], below: Iterable[Use], hop: Callable[[list[int]], Hop], catalog: Catalog,
) -> BlastRadius:  # fmt: skip
    """Everything that is affected by the versions that are `wrong`; `hop` is asked once for each frontier.

    `below` stands for them where the asset has no versions at all (a source that no task makes): versions of
    what is declared to depend on it. The catalogue must know the assets that a hop names.
    """
    nodes: dict[int, Impacted] = {}
    for made in wrong:
        if (node := wrong_itself(root, made, catalog)) is not None:
            nodes[made.version_id] = node
    opened = list(nodes)
    found, more = advance(root, [nothing_of(root, catalog)], Hop(list(below)), {}, catalog)
    nodes |= found
    opened += more
    heapify(opened)
    waiting = set(opened)
    while opened:
        frontier = [heappop(opened) for _ in range(min(FRONTIER, len(opened)))]
        waiting.difference_update(frontier)
        found, more = advance(root, [nodes[each] for each in frontier], hop(frontier), nodes, catalog)
        nodes |= found
        for each in more - waiting:
            heappush(opened, each)
        waiting |= more
    return BlastRadius(root, tuple(nodes[each] for each in sorted(nodes)))


def wrong_itself(root: Invalidation, made: Made, catalog: Catalog) -> Impacted | None:
    """A version of the asset that is wrong, with its decision; None: it is not one of those that are meant.

    Its interval, its number, the code that made it and the instant it was made (S1-19b, c, e, f).
    """
    parts = cut([(root.start_us, root.end_us)], (made.start_us, made.end_us))
    if (
        not parts
        or root.version_id not in (None, made.version_id)
        or (root.effective_us is not None and made.created_us >= root.effective_us)
        or not made.code.startswith(root.code)
        or made.shadow
    ):
        return None
    spec = catalog.asset(made.asset)
    action = Action.INVALIDATE_DOWNSTREAM
    to = state_after(made.state, action)
    reason = f"{root.cause}: {root.reason}" if root.reason else root.cause.value
    decision = Impact(
        True, action, Level.PUBLICATION, _at_root(root, made, spec.criticality), reason, parts, to
    )
    return _node(made, decision, None, None, catalog)


def _at_root(root: Invalidation, made: Made, criticality: Criticality) -> Severity:
    if (
        made.state not in VISIBLE
        and root.severity is Severity.CRITICAL
        and criticality is not Criticality.CRITICAL
    ):
        return Severity.MAJOR
    return root.severity


def nothing_of(root: Invalidation, catalog: Catalog) -> Impacted:
    """What stands for the versions of an asset that has none."""
    decision = Impact(
        True, Action.INVALIDATE_DOWNSTREAM, Level.PUBLICATION, root.severity, "", ((root.start_us, root.end_us),)
    )  # fmt: skip
    made = Made(0, root.asset, root.start_us, root.end_us, VersionState.PUBLISHED, 0)
    return _node(made, decision, None, None, catalog)


def _node(made: Made, decision: Impact, via: int | None, kind: Edge | None, catalog: Catalog) -> Impacted:
    spec = catalog.asset(made.asset)
    return Impacted(
        made.asset, made.start_us, made.end_us, made.version_id, made.state, decision, via, kind, spec.node,
        spec.output, spec.criticality, spec.owner, made.code, made.dag, made.run_id, made.created_us,
    )  # fmt: skip


def advance(
    root: Invalidation,
    frontier: Sequence[Impacted],
    hop: Hop,
    known: Mapping[int, Impacted],
    catalog: Catalog,
) -> tuple[dict[int, Impacted], set[int]]:
    """One step: (nodes that are new or not as they were, those of them whose own consumers are still to be asked).

    `known` has at least those of the consumers that were reached before.
    """
    of_input: dict[int, list[Use]] = {}
    for use in hop.uses:
        of_input.setdefault(use.input_id, []).append(use)
    found: dict[int, Impacted] = {}
    ahead = {node.version_id for node in frontier}
    more: set[int] = set()
    for first in sorted(frontier, key=_number):
        by = found.get(first.version_id, first)
        ahead.discard(by.version_id)
        up = catalog.asset(by.asset)
        for use in of_input.get(by.version_id, ()):
            number = use.made.version_id
            old = before = found.get(number) or known.get(number)
            if before is not None and before.state is not use.made.state:
                if use.made.state in VISIBLE and before.state not in VISIBLE:  # it was let out since
                    before = _let_out(before, use.made.state)
                else:  # moved by this very spreading
                    use = replace(use, made=replace(use.made, state=before.state))  # noqa: PLW2901
            held = catalog.of_downstream.get(use.made.asset, _NONE).get(by.asset)
            contract = held.spec if held is not None else None
            down = catalog.asset(use.made.asset)
            decision = impact(root, by, use, up, down, contract, by.version_id in hop.broke)
            if not decision.impacted:
                continue
            node = _node(use.made, decision, by.version_id, use.kind, catalog)
            if before is not None:
                node = both(before, node)
                if node == old:
                    continue
            found[number] = node
            if number not in ahead:
                more.add(number)
    return found, more


def _let_out(node: Impacted, state: VersionState) -> Impacted:
    """It was being made when it was reached, and is seen by now."""
    return replace(node, state=state, decision=replace(node.decision, to=state_after(state, node.action)))


def _number(node: Impacted) -> int:
    return node.version_id


_STRICTER: Final = {
    action: n
    for n, action in enumerate(
        (
            Action.WARN,
            Action.USE_LATEST_VERSION,
            Action.USE_PREVIOUS_VERSION,
            Action.PARTIAL_PUBLISH,
            Action.SCHEDULE_RECOMPUTE,
            Action.BLOCK,
            Action.QUARANTINE_OUTPUT,
            Action.INVALIDATE_DOWNSTREAM,
            Action.REQUIRE_MANUAL_APPROVAL,
        )
    )
}


def both(a: Impacted, b: Impacted) -> Impacted:
    """One version reached twice. What is wrong itself stays that; else the input of the stricter decision is named.

    In whatever order versions are reached, the same comes out.
    """
    one, other = (a, b) if _weight(a) >= _weight(b) else (b, a)
    mine, theirs = one.decision, other.decision
    if (mine.level, mine.severity, mine.corrected) == (theirs.level, theirs.severity, theirs.corrected):
        return one
    decision = replace(
        mine,
        level=strictest([mine.level, theirs.level]),
        severity=worst([mine.severity, theirs.severity]),
        corrected=join((*mine.corrected, *theirs.corrected)),
    )
    return replace(one, decision=decision)


def _weight(node: Impacted) -> tuple[bool, int, int]:
    return node.via is None, _STRICTER[node.action], -(node.via or 0)
