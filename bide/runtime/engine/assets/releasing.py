"""A version that is made asks whether it may be seen: its gates, its contracts, a person.

What is held is asked again by the commit that changes one of its upstreams, in runs that are long over too,
and is let out at most once. Versions of a rerun plan wait for the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bide.runtime.assets.compared import difference
from bide.runtime.assets.judged import Asked, Decision, Issue, Phase
from bide.runtime.assets.limits import Limits
from bide.runtime.assets.words import Action, Level, Result, Severity, VersionState
from bide.runtime.engine import approving, plans
from bide.runtime.engine.assets import deciding, gating, news, refusing, versions
from bide.runtime.engine.assets.changed import looks_at
from bide.runtime.engine.messages import PublicationAsked
from bide.runtime.engine.states import ApprovalKind

if TYPE_CHECKING:
    from bide.runtime.engine.approval_commands import Answered
    from bide.runtime.engine.approval_state import Approval
    from bide.runtime.engine.assets.state import Assets, Open
    from bide.runtime.engine.messages import Input
    from bide.runtime.engine.turn import FactKey, Turn


def ask(t: Turn, one: Open) -> None:
    """Have it judged in the next turn."""
    if one.plan_id is not None:
        versions.say(t, one, f"it waits for plan {one.plan_id}")
        plans.wake_by(t, one.plan_id)
        return
    if one.shadow:
        t.ask(PublicationAsked(one.version_id), ("beside", one.version_id))
        return
    looks_at(t.world.assets, PublicationAsked(one.version_id), names_of(t.world.assets, one))
    t.ask(PublicationAsked(one.version_id), *keys_of(t, one))


def names_of(assets: Assets, one: Open) -> list[str]:
    """What it looks at while it is held."""
    return [one.asset, *assets.catalog.of_downstream.get(one.asset, ())]


def publication_asked(t: Turn, e: PublicationAsked) -> None:
    one = t.world.assets.open.get(e.version_id)
    if one is None or not one.made:
        return
    if one.shadow:
        compare(t, one)
        return
    if one.plan_id is not None:
        plans.wake_by(t, one.plan_id)
        return
    decision = decide(t, e, one)
    if decision is not None and decision.allowed:
        release(t, one, decision)


def compare(t: Turn, one: Open) -> None:
    """One of a shadow run is held against the version that consumers see, and stays what it is (S1-17)."""
    mine, seen = t.fact("beside", one.version_id)
    if one.asset in t.touched:
        t.ask(PublicationAsked(one.version_id))
        return
    meta = {**mine.meta, "shadow": difference(mine, seen)}
    t.changes.asset_staged[one.version_id] = (
        mine.label, msgspec.json.encode(meta).decode(), mine.schema_id, one.version_id,
    )  # fmt: skip
    versions.settle(t, one, "made by a shadow run: it is compared, and never published")


def decide(t: Turn, then: Input, one: Open) -> Decision | None:
    """Judge a version as things are; None: it has to be asked again. What stands against it is written on it."""
    question = _question(t, one)
    if not deciding.known(t, then, [question], _approved(one)):
        return None
    held = gating.held_by(t.world.assets.catalog, one)
    answer = deciding.answer(t, question)
    decision = answer.decision
    stops = deciding.stops(decision, t.facts[_approved(one)])
    if held:
        hold(t, one, held)
        return _no(decision, held)
    if not stops:
        approving.withdraw(t, ApprovalKind.PUBLICATION, one.version_id, "its contracts let it out")
        if question.contracts:
            decision = _recorded(t, one, answer)
        return msgspec.structs.replace(
            decision,
            level=Level.CONSUMER_NOTIFICATION
            if Level.CONSUMER_NOTIFICATION in decision.levels
            else Level.NONE,
            issues=tuple(issue for issue in decision.issues if issue.level not in _WAIVED),
        )
    if any(issue.action is Action.QUARANTINE_OUTPUT for issue in decision.issues if issue.level in stops):
        decision = _recorded(t, one, answer)
        refusing.tell(t, decision, one.run_id)
        approving.withdraw(t, ApprovalKind.PUBLICATION, one.version_id, "it is in quarantine")
        versions.move(t, one, VersionState.QUARANTINED, decision.reason)
        return decision
    person = stops == {Level.MANUAL_APPROVAL}
    before = t.world.approvals.of.get((ApprovalKind.PUBLICATION, one.version_id))
    about = deciding.about(decision)
    if decision.reason != _bare(one.reason) or person != (before is not None):
        decision = _recorded(t, one, answer)
        if person and one.made:
            before = approving.ask(
                t, ApprovalKind.PUBLICATION, one.version_id, decision.reason, run_id=one.run_id,
                decision_id=int(decision.id), about=about,
            )  # fmt: skip
        elif not person:
            refusing.tell(t, decision, one.run_id)
            approving.withdraw(
                t, ApprovalKind.PUBLICATION, one.version_id, "its contracts do not let it out at all"
            )
            before = None
    hold(t, one, decision.reason if before is None else f"approval {before.approval_id}: {decision.reason}")
    return decision


_WAIVED = frozenset({Level.MANUAL_APPROVAL})


def _no(decision: Decision, held: str) -> Decision:
    """What its gates say comes before what its contracts say."""
    issue = Issue(
        decision.asset, "its own gates", held, Action.BLOCK, Severity.MAJOR, Level.PUBLICATION, Result.QUALITY
    )
    return msgspec.structs.replace(
        decision, level=Level.PUBLICATION, reason=f"{decision.asset} may not be published: {held}", retryable=False,
        issues=(issue, *decision.issues),
    )  # fmt: skip


def _bare(reason: str) -> str:
    """The reason without the approval that it waits for."""
    return reason.split(": ", 1)[-1] if reason.startswith("approval ") else reason


def hold(t: Turn, one: Open, reason: str) -> None:
    versions.say(t, one, reason)
    if one.made:
        looks_at(t.world.assets, PublicationAsked(one.version_id), names_of(t.world.assets, one))


def release(
    t: Turn, one: Open, decision: Decision, *, by: str = "", reason: str = "", limits: tuple[str, ...] = (),
    expires_us: int | None = None, but: frozenset[int] = frozenset(),
) -> None:  # fmt: skip
    """Let it be seen, with the limitations that are known of it: never silently (S1-31).

    `but` are DAGs that are not told of it.
    """
    known = tuple(dict.fromkeys((*limits, *decision.limits, *gating.limits_of(one))))
    if known:
        said = Limits(reason or known[0], known, by, expires_us)
        versions.move(
            t, one, VersionState.DEGRADED, reason or f"published with {_count(known)}: {known[0]}", said
        )
    else:
        versions.move(t, one, VersionState.PUBLISHED, reason or decision.reason)
    if decision.level is Level.CONSUMER_NOTIFICATION:
        news.without_telling(t, one)
    else:
        news.let_out(t, one, but)


def _count(known: tuple[str, ...]) -> str:
    return f"{len(known)} known limitation{'' if len(known) == 1 else 's'}"


def waits_for_a_person(t: Turn, one: Open) -> bool:
    """Whether only a person's word stands between it and who would see it."""
    return (ApprovalKind.PUBLICATION, one.version_id) in t.world.approvals.of


def _question(t: Turn, one: Open) -> deciding.Question:
    dag = t.world.dag_of.get(one.dag_id or 0)
    asked = Asked(
        phase=Phase.PUBLISHING, asset=one.asset, start_us=one.start_us, end_us=one.end_us, now_us=0,
        backfill=one.backfill, plan_id=one.plan_id, tz=dag.tz if dag is not None else "UTC",
    )  # fmt: skip
    contracts = deciding.contracts_of(t.world.assets.catalog, one.asset, backfill=one.backfill)
    return deciding.question(asked, contracts, instance_id=one.instance_id, version_id=one.version_id)


def _recorded(t: Turn, one: Open, answer: deciding.Answer) -> Decision:
    return deciding.record(
        t, answer, run_id=one.run_id, instance_id=one.instance_id, version_id=one.version_id
    )


def keys_of(t: Turn, one: Open) -> list[FactKey]:
    return [*_question(t, one).keys, _approved(one)]


def _approved(one: Open) -> FactKey:
    return (deciding.APPROVED, ApprovalKind.PUBLICATION.value, one.version_id)


def recover(t: Turn) -> None:
    """After a restart: what is held asks once more, and what died with its attempt is given up there."""
    for one in list(t.world.assets.open.values()):
        if one.made:
            ask(t, one)


def answered(t: Turn, approval: Approval, answer: Answered) -> None:
    """A person has said whether a version may be seen whose contract asks for that."""
    one = t.world.assets.open.get(approval.subject_id)
    if one is None:
        return
    if answer.approved:
        ask(t, one)
    else:
        versions.move(t, one, VersionState.FAILED, str(answer))
        if one.plan_id is not None:
            plans.wake_by(t, one.plan_id)
