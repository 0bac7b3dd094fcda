"""People take versions as they are: let out what is held, accept known limitations, until an instant.

Who did, why and what is known stands on the version (S1-30), never silently (S1-31). When an acceptance
expires the version is invalidated: consumers may not use it any more, and only a newer one helps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bide.runtime.assets.judged import Decision, Phase
from bide.runtime.assets.limits import Limits
from bide.runtime.assets.words import VISIBLE, Level, VersionState
from bide.runtime.clock import from_us
from bide.runtime.engine import approving
from bide.runtime.engine.assets import news, releasing, versions
from bide.runtime.engine.assets.state import Open
from bide.runtime.engine.states import ApprovalKind
from bide.runtime.engine.turn import NeedFacts
from bide.runtime.engine.world import Due
from bide.runtime.errors import NotFoundError, RefusedError, UsageError

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.store.safe_use import StoredVersion


def asset_publish(t: Turn, args: dict[str, Any]) -> Any:
    """{version_id, by, why} -> {version, asset, state}: let out what its gates or contracts hold back."""
    by, why = _said(args, "published")
    one, stored = _held(t, args["version_id"])
    reason = f"{by} published it: {why}"
    stands = one.reason if one is not None else stored.reason
    known = (f"published although {stands}",) if stands else ()
    return _let_out(t, args["version_id"], one, stored, reason, Limits(reason, known, by))


def asset_degrade(t: Turn, args: dict[str, Any]) -> Any:
    """{version_id, limitations: [...], by, why, expires_us | None} -> {version, asset, state}.

    Accept a version with its known limitations: one that is held or in quarantine is published so, one that
    is published says so from now on.
    """
    by, why = _said(args, "accepted")
    known = tuple(text for each in args.get("limitations") or () if (text := str(each).strip()))
    if not known:
        raise UsageError("which limitations are known? say each: they stand on the version")
    expires = args.get("expires_us")
    if expires is not None and expires <= t.now:
        raise UsageError(f"the acceptance would be over at once: {from_us(expires).isoformat()} has passed")
    version_id = args["version_id"]
    limits = Limits(why, known, by, expires)
    stored = _stored(t, version_id)
    version = stored.version
    if version.state in VISIBLE:
        _fresh(t, stored)
        reason = f"{by} accepted its limitations: {why}"
        if version.state is VersionState.DEGRADED:
            versions.restate(t, version_id, version.asset, version.run_id, reason, limits)
        else:
            versions.move_settled(
                t,
                version_id,
                version.asset,
                version.run_id,
                version.state,
                VersionState.DEGRADED,
                reason,
                limits,
            )
        expires_later(t, version_id, expires)
        return {"version": version_id, "asset": version.asset, "state": VersionState.DEGRADED.value}
    one, stored = _held(t, version_id)
    return _let_out(t, version_id, one, stored, f"{by} accepted its limitations: {why}", limits)


def _let_out(
    t: Turn, version_id: int, one: Open | None, stored: StoredVersion, reason: str, limits: Limits
) -> Any:
    version = stored.version
    if one is not None:
        approving.withdraw(t, ApprovalKind.PUBLICATION, version_id, reason)
        decision = Decision(Level.NONE, reason, phase=Phase.PUBLISHING, asset=one.asset)
        releasing.release(
            t, one, decision, by=limits.approved_by, reason=reason, limits=limits.known_limitations,
            expires_us=limits.expires_us,
        )  # fmt: skip
        state = one.state
    else:
        state = VersionState.DEGRADED
        versions.move_settled(
            t, version_id, version.asset, version.run_id, version.state, state, reason, limits
        )
        news.seen(t, version_id, version.asset, (version.start_us, version.end_us))
    expires_later(t, version_id, limits.expires_us)
    return {"version": version_id, "asset": version.asset, "state": state.value}


def _said(args: dict[str, Any], what: str) -> tuple[str, str]:
    by, why = str(args.get("by") or "").strip(), str(args.get("why") or "").strip()
    if not by:
        raise UsageError(f"by whom is the version {what}? say it with `by`: it is kept with it")
    if not why:
        raise UsageError(f"why is the version {what}? say it with `why`: it is kept with it")
    return by, why


def _stored(t: Turn, version_id: int) -> StoredVersion:
    stored: StoredVersion | None = t.fact("asset_version", version_id)
    if stored is None:
        raise NotFoundError(f"there is no asset version {version_id}: `bide assets show ASSET` lists them")
    return stored


def _fresh(t: Turn, stored: StoredVersion) -> None:
    """What is known of it must not be older than this turn."""
    if stored.version.asset in t.touched:
        raise NeedFacts(("asset_version", stored.version.version_id))


def _held(t: Turn, version_id: int) -> tuple[Open | None, StoredVersion]:
    """A version that a person may let out: one that is held, or in quarantine."""
    stored = _stored(t, version_id)
    version = stored.version
    one = t.world.assets.open.get(version_id)
    name = f"version {version_id} of {version.asset}"
    if one is not None and not one.made:
        raise RefusedError(f"{name} is still being made: wait for its task")
    if stored.shadow:
        raise RefusedError(
            f"{name} was made by a shadow run, and is never published: run its DAG without `shadow`"
        )
    if one is not None and one.plan_id is not None:
        raise RefusedError(f"{name} is published with all of plan {one.plan_id}: run that, or cancel it")
    if one is None:
        _fresh(t, stored)
        if version.state is not VersionState.QUARANTINED:
            raise RefusedError(
                f"{name} is {version.state.value}: only what is held or in quarantine can be let out"
            )
        if stored.newer is not None:
            raise RefusedError(
                f"{name} was overtaken: version {stored.newer} of the same interval is to be seen; run its task again"
            )
    return one, stored


# --- expiry ----------------------------------------------------------------------------------------


def expires_later(t: Turn, version_id: int, expires_us: int | None) -> None:
    """Have its acceptance end then; None: it does not."""
    expiring = t.world.assets.expiring
    expiring.pop(version_id, None)
    if expires_us is not None:
        expiring[version_id] = expires_us
        t.world.timer(expires_us, Due.ACCEPTED, version_id)


def expired(t: Turn, version_id: int, due: int) -> None:
    """Nobody accepts its limitations any more."""
    if t.world.assets.expiring.get(version_id) != due:
        return
    stored: StoredVersion | None = t.fact("asset_version", version_id)
    if stored is not None:
        _fresh(t, stored)
    del t.world.assets.expiring[version_id]
    if stored is None:  # a newer one took its place, and retention has removed it since
        return
    version = stored.version
    if version.state is not VersionState.DEGRADED or version.expires_us != due:
        return
    reason = f"the acceptance of its limitations expired at {from_us(due).isoformat(timespec='seconds')}"
    versions.move_settled(
        t, version_id, version.asset, version.run_id, version.state, VersionState.INVALIDATED, reason,
        stored.limits,
    )  # fmt: skip


VERBS = {"asset_publish": asset_publish, "asset_degrade": asset_degrade}
