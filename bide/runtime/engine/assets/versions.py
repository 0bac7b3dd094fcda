"""Versions move: every state of one goes through here, into its row and the journal.

What is not settled stands in the world (`Assets.open`), all else in the database alone: a caller that moves
such a version says in which state it found it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.assets.limits import Limits, encoded
from bide.runtime.assets.states import LEGAL_VERSION, OPEN
from bide.runtime.assets.words import VISIBLE, Output, VersionState
from bide.runtime.engine import approving
from bide.runtime.engine.assets.changed import looks_away, versions_changed
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.assets.state import Assets, AssetState, Open
from bide.runtime.engine.messages import PlanDue, PublicationAsked
from bide.runtime.engine.states import ApprovalKind, IllegalMove

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Instance

WHOLE: frozenset[Output] = frozenset({Output.CURRENT_PROJECTION, Output.SEARCH_INDEX, Output.CACHE})
"""Outputs of which a version replaces all that was there before, whatever its interval."""


def new_row(
    t: Turn,
    inst: Instance,
    name: str,
    state: VersionState,
    *,
    plan_id: int | None = None,
    shadow: bool = False,
) -> int:
    """A version of an asset that an instance makes, as a row and a line of the journal; its number."""
    asset, meta = asset_named(t, name), inst.run.meta
    version_id = t.world.take_id("asset_version")
    t.changes.asset_versions_new.append(
        (version_id, asset.asset_id, inst.run.dag.dag_id, meta.run_id, inst.instance_id, meta.start_us, meta.end_us,
         state.value, t.now, inst.run.version_id, inst.attempt_id, plan_id, int(shadow))
    )  # fmt: skip
    t.journal("version", version_id, meta.run_id, "", state.value, f"{name} version {version_id}")
    return version_id


def begin(
    t: Turn, inst: Instance, name: str, state: VersionState, *, plan_id: int | None, shadow: bool
) -> Open:
    """A version that is not settled: it begins in one of the states that nobody else sees."""
    version_id = new_row(t, inst, name, state, plan_id=plan_id, shadow=shadow)
    meta = inst.run.meta
    one = Open(
        version_id, name, inst.run.dag.dag_id, meta.run_id, inst.instance_id, inst.attempt_id,
        (meta.start_us, meta.end_us), t.now, plan_id=plan_id, shadow=shadow,
        backfill=inst.run.backfill is not None or inst.run.kind == "backfill",
    )  # fmt: skip
    one.state = state
    enter(t.world.assets, one)
    _write(t, one)
    versions_changed(t, name)
    return one


def enter(assets: Assets, one: Open) -> None:
    """Make it a part of the world."""
    assets.open[one.version_id] = one
    if one.made:
        span = (one.asset, one.start_us, one.end_us)
        assets.of_interval.setdefault(span, {})[one.version_id] = one
    elif one.attempt_id is not None:
        assets.making.setdefault(one.attempt_id, {})[one.asset] = one


def reads(t: Turn, inst: Instance, version_id: int) -> None:
    """What the instance was given to read are the inputs of what it makes."""
    t.changes.asset_read.append((version_id, inst.instance_id))


def is_made(t: Turn, one: Open) -> None:
    """Its attempt has succeeded: from now on it waits to be let out."""
    leave(t.world.assets, one)
    one.made = True
    enter(t.world.assets, one)
    _write(t, one)


def leave(assets: Assets, one: Open) -> None:
    if assets.open.pop(one.version_id, None) is None:
        return
    if one.made:
        span = (one.asset, one.start_us, one.end_us)
        del assets.of_interval[span][one.version_id]
        if not assets.of_interval[span]:
            del assets.of_interval[span]
    elif one.attempt_id is not None:
        of = assets.making[one.attempt_id]
        del of[one.asset]
        if not of:
            del assets.making[one.attempt_id]
        assets.settled.setdefault(one.attempt_id, set()).add(one.asset)
    looks_away(assets, PublicationAsked(one.version_id))


def move(t: Turn, one: Open, to: VersionState, reason: str, limits: Limits | None = None) -> None:
    """Move a version that is not settled; one that is settled by that leaves the world."""
    was = one.state
    _check(one.version_id, was, to)
    one.state = to
    one.reason = reason
    t.journal("version", one.version_id, one.run_id, was.value, to.value, reason)
    if to not in OPEN:
        leave(t.world.assets, one)
        approving.withdraw(
            t, ApprovalKind.PUBLICATION, one.version_id, f"the version is {to.value}: {reason}"
        )
        plan = t.world.plans.get(one.plan_id or 0)
        if plan is not None and to not in VISIBLE and not plan.asked:
            plan.asked = True
            t.ask(PlanDue(plan.plan_id))  # it may have waited for this very version
    _write(t, one, limits)
    versions_changed(t, one.asset)


def say(t: Turn, one: Open, reason: str) -> None:
    """Another reason why it is still held, within the same state."""
    if one.reason != reason:
        one.reason = reason
        t.journal("version", one.version_id, one.run_id, one.state.value, one.state.value, reason)
        _write(t, one)


def move_settled(
    t: Turn, version_id: int, asset: str, run_id: int | None, was: VersionState, to: VersionState, reason: str,
    limits: Limits | None = None,
) -> None:  # fmt: skip
    """Move a version that is in the database alone; `was` is the state that a fact of this turn has told."""
    _check(version_id, was, to)
    if was is VersionState.STALE:
        asset_named(t, asset).stale = None
    t.journal("version", version_id, run_id, was.value, to.value, reason)
    t.changes.asset_states[version_id] = (to.value, t.now, reason, encoded(limits), 0, version_id)
    versions_changed(t, asset)


def restate(t: Turn, version_id: int, asset: str, run_id: int | None, reason: str, limits: Limits) -> None:
    """Other limitations of one that is degraded already."""
    state = VersionState.DEGRADED.value
    t.journal("version", version_id, run_id, state, state, reason)
    t.changes.asset_states[version_id] = (state, t.now, reason, encoded(limits), 0, version_id)
    versions_changed(t, asset)


def _check(version_id: int, was: VersionState, to: VersionState) -> None:
    if to not in LEGAL_VERSION[was]:
        raise IllegalMove(f"asset version {version_id}: {was.value} -> {to.value}")


def _write(t: Turn, one: Open, limits: Limits | None = None) -> None:
    held = 0 if one.version_id not in t.world.assets.open else 1 if one.made else 2
    t.changes.asset_states[one.version_id] = (
        one.state.value, t.now, one.reason, encoded(limits), held, one.version_id,
    )  # fmt: skip


def supersede(t: Turn, version_id: int, name: str, start_us: int, end_us: int) -> None:
    """A version is published: earlier ones of its interval are superseded, and what waits to be let out is not."""
    asset = asset_named(t, name)
    if asset.stale is not None:
        _fresh_again(t, asset, version_id, start_us, end_us)
    why = f"version {version_id} took its place"
    t.changes.asset_superseded.append((t.now, why, asset.asset_id, start_us, end_us, version_id))
    if t.world.assets.catalog.asset(name).output in WHOLE:
        t.changes.asset_replaced.append((t.now, why, asset.asset_id, version_id))
    for other in list(t.world.assets.of_interval.get((name, start_us, end_us), {}).values()):
        if other.version_id < version_id and not other.shadow:
            move(
                t,
                other,
                VersionState.FAILED,
                f"version {version_id} of the same interval was published before it",
            )


def _fresh_again(t: Turn, asset: AssetState, version_id: int, start_us: int, end_us: int) -> None:
    """A newer version has come: the one before it is late no more, if it is not superseded."""
    stale = asset.stale
    assert stale is not None
    whole = t.world.assets.catalog.asset(asset.name).output in WHOLE
    if whole or (stale.start_us, stale.end_us) == (start_us, end_us):
        asset.stale = None  # superseded with all that was there before, or with its interval
    elif end_us > stale.end_us:
        reason = f"version {version_id}, which was late, has come"
        stands = VersionState.PUBLISHED
        move_settled(t, stale.version_id, asset.name, stale.run_id, VersionState.STALE, stands, reason)


def attempt_over(t: Turn, attempt_id: int, reason: str) -> None:
    """The attempt has not succeeded: what it was making is not to be used."""
    for one in list(t.world.assets.making.get(attempt_id, {}).values()):
        move(t, one, VersionState.FAILED, reason or "its attempt did not succeed")
    t.world.assets.settled.pop(attempt_id, None)


def settle(t: Turn, one: Open, reason: str) -> None:
    """It stays what it is: one of a shadow run, that is never let out."""
    leave(t.world.assets, one)
    one.reason = reason
    _write(t, one)


__all__ = [
    "VISIBLE",
    "attempt_over",
    "begin",
    "enter",
    "is_made",
    "leave",
    "move",
    "move_settled",
    "new_row",
    "reads",
    "restate",
    "say",
    "settle",
    "supersede",
]
