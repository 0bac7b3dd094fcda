"""What a body says of an asset that it makes, while it goes: `ctx.asset(gold)`.

It begins a version, stages it, has its gates run and asks for it to be published. Each is answered after its
commit. A version ends with its attempt: what one has staged and another goes on to make is a version of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.gate import CheckResult
from bide.runtime.assets.judged import Decision, Issue, Phase
from bide.runtime.assets.staged import Candidate
from bide.runtime.assets.words import Action, Level, Result, Severity, VersionState
from bide.runtime.engine.assets import gating, releasing, shadow, versions
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.assets.state import Open
from bide.runtime.engine.messages import AssetAnswered, AssetCalled
from bide.runtime.engine.states import State
from bide.runtime.errors import RefusedError

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Instance


_GOES: Final = (State.RUNNING, State.DEFERRED, State.READY)
"""Its body goes; where a part of it has waited, it may want its slot back."""


def asset_called(t: Turn, e: AssetCalled) -> None:
    """Carry out what a body says; one that is to stop is told so: a thread would wait for its answer for ever."""
    body = t.world.attempts.get(e.attempt_id)
    if body is None:
        return  # it is over, and waits for nothing
    if body.stopping or body.inst.state not in _GOES:
        error = f"{e.verb} of {e.asset!r} was left undone: the attempt is being stopped"
        t.effects.append(AssetAnswered(e.attempt_id, e.call, error=error))
        return
    try:
        value = _VERBS[e.verb](t, body.inst, e)
    except RefusedError as error:
        t.effects.append(AssetAnswered(e.attempt_id, e.call, error=str(error)))
        return
    if value is not None:
        t.effects.append(AssetAnswered(e.attempt_id, e.call, msgspec.json.encode(value)))


def _begin(t: Turn, inst: Instance, e: AssetCalled) -> None:
    if inst.map_index < 0 and inst.task.effect is None and _of(t, e) is None:
        _new(t, inst, e.asset)


def _stage(t: Turn, inst: Instance, e: AssetCalled) -> Any:
    if inst.task.effect is not None:
        raise RefusedError(
            f"{e.asset!r} is an external effect, whose delivery is its version: return the receipt, and stage nothing"
        )
    staged = typed.decode(e.data, Candidate)
    schema_id = None if staged.schema is None else _schema(t, e.asset, staged.schema)
    one = _of(t, e) or _new(t, inst, e.asset)
    meta = staged.meta if staged.rows is None else {"rows": staged.rows, **staged.meta}
    text = msgspec.json.encode(meta).decode() if meta else None
    t.changes.asset_staged[one.version_id] = (staged.label, text, schema_id, one.version_id)
    if one.state is not VersionState.STAGED:
        versions.move(t, one, VersionState.STAGED, f"staged as {staged.label}" if staged.label else "staged")
    one.checks = ()
    return {"version": one.version_id}


def _check(t: Turn, _inst: Instance, e: AssetCalled) -> Any:
    one = _staged(t, e)
    if one.state is VersionState.VALIDATED:  # run once more
        versions.move(t, one, VersionState.STAGED, "its gates are run again")
    results = typed.decode(e.data, tuple[CheckResult, ...])
    gating.judged(t, one, results)
    answer: dict[str, Any] = {"version": one.version_id, "state": one.state.value}
    if (
        one.state is VersionState.QUARANTINED
    ):  # it is not this attempt's any more: what publish() says is known
        answer["refused"] = _quarantined(one, [each for each in results if not each.passed])
    return answer


def _publish(t: Turn, inst: Instance, e: AssetCalled) -> Any:
    one = _staged(t, e)
    if shadow.is_shadow(inst.run):
        return _refusal(one, "this is a shadow run: what it makes is compared, and never published")
    if one.plan_id is not None:
        return _refusal(one, f"it is published with all of plan {one.plan_id}")
    if one.state is VersionState.STAGED:
        return _refusal(one, "its gates have not been run: validate it first")
    decision = releasing.decide(t, e, one)
    if decision is not None and decision.allowed:
        releasing.release(t, one, decision)
    return decision


def _refusal(one: Open, why: str) -> Decision:
    issue = Issue(
        one.asset, "to be published", why, Action.BLOCK, Severity.INFO, Level.PUBLICATION, Result.QUALITY
    )
    return Decision(Level.PUBLICATION, why, (issue,), phase=Phase.PUBLISHING, asset=one.asset)


def _quarantined(one: Open, failed: list[CheckResult]) -> Decision:
    issues = tuple(
        Issue(
            one.asset, f"quality {each.name}", each.words, Action.QUARANTINE_OUTPUT, each.severity, Level.PUBLICATION,
            Result.QUALITY,
        )
        for each in failed
        if gating.quarantines(each)
    )  # fmt: skip
    why = f"version {one.version_id} of {one.asset} is quarantined: a gate failed: {issues[0].observed}"
    return Decision(Level.PUBLICATION, why, issues, phase=Phase.PUBLISHING, asset=one.asset)


_VERBS: Final[dict[str, Callable[[Turn, Instance, AssetCalled], Any]]] = {
    "begin": _begin,
    "stage": _stage,
    "check": _check,
    "publish": _publish,
}


def _of(t: Turn, e: AssetCalled) -> Open | None:
    return t.world.assets.making.get(e.attempt_id, {}).get(e.asset)


def _staged(t: Turn, e: AssetCalled) -> Open:
    one = _of(t, e)
    if one is None or one.state is VersionState.BUILDING:
        raise RefusedError(f"nothing of {e.asset!r} is staged: call stage() first")
    return one


def _new(t: Turn, inst: Instance, asset: str) -> Open:
    plan_id = t.world.assets.plans.get(inst.run.run_id)
    hidden = shadow.is_shadow(inst.run)
    one = versions.begin(t, inst, asset, VersionState.BUILDING, plan_id=plan_id, shadow=hidden)
    versions.reads(t, inst, one.version_id)
    return one


def _schema(t: Turn, asset: str, schema: Any) -> int:
    """The number of a schema, made known when no version had it before."""
    text = msgspec.json.encode(schema, order="deterministic").decode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    known: int | None = t.fact("schema", asset, digest)
    asset_id = asset_named(t, asset).asset_id
    for schema_id, of, other, _, _ in t.changes.asset_schemas_new:  # in this very batch
        if (of, other) == (asset_id, digest):
            known = schema_id
    if known is None:
        known = t.world.take_id("schema")
        t.changes.asset_schemas_new.append((known, asset_id, digest, text, t.now))
    return known
