"""Versions are not to be trusted any more: they are marked in that commit, and it spreads to all made of them.

Spreading goes in slices, each a turn of its own: the database says which hits are still open, what was made of
them, and who was hit before; the pure rules of `bide.runtime.assets` decide. Every slice is committed with how far
it went, so a crash anywhere goes on from there, and a slice that is decided twice changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from bide.runtime.assets.blast import Impacted, Invalidation, to_json
from bide.runtime.assets.limits import Limits
from bide.runtime.assets.severity import usual
from bide.runtime.assets.spreading import Hop, advance, nothing_of, wrong_itself
from bide.runtime.assets.states import LEGAL_VERSION
from bide.runtime.assets.words import Cause, Severity, VersionState
from bide.runtime.clock import from_us
from bide.runtime.engine.assets import deliveries, versions
from bide.runtime.engine.assets.changed import versions_changed
from bide.runtime.engine.assets.warning import warn
from bide.runtime.engine.messages import SpreadOn
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.validate import suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bide.runtime.engine.turn import Turn
    from bide.runtime.store.spreading import Slice, Told, Wrong

W = TypeVar("W")
SPREADING, SPREAD = "spreading", "spread"
_CAUSES: Final = {cause.value: cause for cause in Cause}
_SEVERITIES: Final = {severity.value: severity for severity in Severity}


def asset_invalidate(t: Turn, args: dict[str, Any]) -> Any:
    """{asset, start_us, end_us | version, cause, severity, reason, effective_us | None, code, evidence, by} ->
    {invalidation_id, asset, start_us, end_us, wrong, state}.

    The versions of the asset that share something with the interval, or the one of that number (then the interval
    is its), those made before `effective_us`, by code whose hash begins with `code`.
    """
    version = args.get("version")
    cause = _word("cause", args.get("cause") or Cause.SOURCE_CORRECTION.value, _CAUSES)
    root = Invalidation(
        asset=args.get("asset") or "",
        start_us=args.get("start_us") or 0,
        end_us=args.get("end_us") or 0,
        version_id=version,
        cause=cause,
        severity=_word("severity", args.get("severity") or usual(cause).value, _SEVERITIES),
        reason=args.get("reason") or "",
        evidence=tuple(args.get("evidence") or ()),
        effective_us=args.get("effective_us"),
        code=args.get("code") or "",
        by=args.get("by") or "",
    )
    if version is None and root.end_us < root.start_us:
        raise UsageError("an interval ends after it begins: write the earlier instant first")
    found: Wrong = t.fact("wrong", to_json(root))
    root = _placed(t, root, found)
    nodes = [node for made in found.versions if (node := _wrong(t, root, made)) is not None]
    below, _ = advance(
        root, [nothing_of(root, t.world.assets.catalog)], Hop(found.below), {}, t.world.assets.catalog
    )
    nodes += below.values()
    if not nodes and not found.more:
        raise RefusedError(
            f"nothing of {root.asset} is invalidated: there is no version of it, nor of what is declared to be made of "
            f"it, over {_said(root)}{_narrowed(root)}: `bide assets show {root.asset}` lists its versions"
        )
    busy = [node.version_id for node in nodes if node.version_id in t.changes.asset_states]
    if busy:
        raise RefusedError(f"version {busy[0]} changes its state at this very instant: ask again")
    number = t.world.take_id("invalidation")
    root = msgspec.structs.replace(root, invalidation_id=number, discovered_us=t.now)
    marked = found.versions[-1].version_id if found.more else None
    asset = t.world.assets.named[root.asset]
    t.changes.invalidations_new.append(
        (number, asset.asset_id, root.start_us, root.end_us, root.effective_us, root.cause.value, root.severity.value,
         root.reason, msgspec.json.encode(root.evidence).decode(), t.now, root.by, SPREADING, version, root.code, marked)
    )  # fmt: skip
    t.journal("invalidation", number, None, "", SPREADING, f"{root.asset} over {_said(root)}: {_why(root)}")
    current = {made.version_id: made.state for made in found.versions}
    current |= {use.made.version_id: use.made.state for use in found.below}
    for node in nodes:
        _hit(t, root, node, current[node.version_id], next_id=0)
    t.world.assets.spreading[number] = None
    t.world.assets.invalidated = True
    go_on(t, number)
    return {
        "invalidation_id": number,
        "asset": root.asset,
        "start_us": root.start_us,
        "end_us": root.end_us,
        "wrong": len(nodes),
        "state": SPREADING,
    }


def _word(what: str, word: str, known: dict[str, W]) -> W:
    found = known.get(word)
    if found is None:
        raise UsageError(f"{what} is {word!r}, and must be one of {', '.join(known)}")
    return found


def _placed(t: Turn, root: Invalidation, found: Wrong) -> Invalidation:
    """With the asset and the interval of the version that is named."""
    if found.asset is None or found.asset not in t.world.assets.named:
        if root.version_id is not None:
            of = f" of {root.asset}" if root.asset else ""
            raise NotFoundError(
                f"there is no version {root.version_id}{of}: `bide assets show ASSET` lists them"
            )
        near = suggestion(root.asset, sorted(t.world.assets.named))
        raise NotFoundError(
            f"there is no asset {root.asset!r}{near or ': `bide assets list` lists those there are'}"
        )
    return msgspec.structs.replace(root, asset=found.asset, start_us=found.span[0], end_us=found.span[1])


def _wrong(t: Turn, root: Invalidation, made: Any) -> Impacted | None:
    return wrong_itself(root, made, t.world.assets.catalog)


def _said(root: Invalidation) -> str:
    return f"{from_us(root.start_us).isoformat()} to {from_us(root.end_us).isoformat()}"


def _why(root: Invalidation) -> str:
    return f"{root.cause.value}, {root.reason}" if root.reason else root.cause.value


def _narrowed(root: Invalidation) -> str:
    parts = []
    if root.effective_us is not None:
        parts.append(f"made before {from_us(root.effective_us).isoformat()}")
    if root.code:
        parts.append(f"made by code {root.code}")
    return f" ({' and '.join(parts)})" if parts else ""


# --- spreading -----------------------------------------------------------------------------------


def go_on(t: Turn, number: int) -> None:
    """Ask for the next slice."""
    t.ask(SpreadOn(number), ("spread", number))


def recover(t: Turn) -> None:
    """What was spreading when the runtime before this one ended spreads on."""
    for number in t.world.assets.spreading:
        go_on(t, number)


def spread_on(t: Turn, e: SpreadOn) -> None:
    """One slice, or the end of it."""
    number = e.invalidation_id
    if number not in t.world.assets.spreading:
        return
    step: Slice | None = t.fact("spread", number)
    if step is None:
        del t.world.assets.spreading[number]
    elif any(row[:2] == (0, number) for row in t.changes.invalidation_upto):
        go_on(t, number)  # opened again in this very turn: what the database says is of before
    elif step.told is not None:
        _end(t, step.root, step.told)
    else:
        _advance(t, step)
        go_on(t, number)


def _end(t: Turn, root: Invalidation, told: Sequence[Told]) -> None:
    number = root.invalidation_id
    del t.world.assets.spreading[number]
    t.changes.invalidations_set[number] = (SPREAD, None, number)
    hit = sum(each.versions for each in told)
    t.journal("invalidation", number, None, SPREADING, SPREAD, f"{hit} versions are affected")
    warn(t, root, told)


def _advance(t: Turn, step: Slice) -> None:
    """Mark what is wrong and not marked yet, or what was made of the frontier; nothing when it has just moved."""
    number = step.root.invalidation_id
    if step.frontier:
        found, opened = advance(step.root, step.frontier, step.hop, step.known, t.world.assets.catalog)
        current = {use.made.version_id: use.made.state for use in step.hop.uses}
    else:
        found = {
            made.version_id: node for made in step.wrong if (node := _wrong(t, step.root, made)) is not None
        }
        opened = set(found)
        current = {made.version_id: made.state for made in step.wrong}
    if any(version in t.changes.asset_states for version in found):
        return  # what the database says of them is of before this turn
    t.budget -= len(step.frontier) + len(current)
    if not step.frontier:
        t.changes.invalidations_set[number] = (SPREADING, step.marked, number)
    for version, node in found.items():
        next_id = 0 if version in opened else step.upto.get(version)
        _hit(t, step.root, node, current[version], next_id)
    for version, upto in step.upto.items():
        if version not in found:
            t.changes.invalidation_upto.append((upto, number, version))


def _hit(t: Turn, root: Invalidation, node: Impacted, state: VersionState, next_id: int | None) -> None:
    """Record that a version is affected, and put it into the state that follows."""
    decision = node.decision
    t.changes.invalidation_hits.append(
        (root.invalidation_id, node.version_id, node.via, node.kind.value if node.kind is not None else "",
         decision.action.value, node.state.value, msgspec.json.encode(decision).decode(), next_id)
    )  # fmt: skip
    to = decision.to
    if (
        state is VersionState.VALIDATED
        and (leaving := t.world.ledger.of_version(node.version_id)) is not None
    ):
        deliveries.found_wrong(t, leaving, f"invalidation {root.invalidation_id}: {decision.reason}")
        return
    waiting = t.world.assets.open.get(node.version_id)
    now = state if waiting is None else waiting.state
    reason = f"invalidation {root.invalidation_id}: {decision.reason}"
    limitation = f"{decision.reason} is wrong: {_why(root)}"
    if to is VersionState.DEGRADED and now is to:
        t.journal("version", node.version_id, node.run_id, now.value, now.value, reason)
        t.changes.asset_limits.append((limitation, node.version_id))
        versions_changed(t, node.asset)
        return
    if to is None or to is now or to not in LEGAL_VERSION[now]:
        return
    limits = Limits(root.cause.value, (limitation,)) if to is VersionState.DEGRADED else None
    if waiting is not None:
        versions.move(t, waiting, to, reason, limits)
    else:
        versions.move_settled(t, node.version_id, node.asset, node.run_id, now, to, reason, limits)
