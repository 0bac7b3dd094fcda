"""A contract says no, and nothing that may still come by itself changes that: an owner is told (B66).

What only waits for its time (a version that is not there yet) is no news; what asks for a person is an approval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bide.runtime.assets.words import worst
from bide.runtime.engine import raising

if TYPE_CHECKING:
    from bide.runtime.assets.judged import Decision
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Instance


class Payload(msgspec.Struct, frozen=True):
    """What programs read of a refusal. `issues` are "upstream: what was asked for (what was seen)"."""

    decision_id: str
    phase: str
    asset: str
    reason: str
    run_id: str | None
    task: str | None
    issues: tuple[str, ...]
    fired: str


def tell(t: Turn, decision: Decision, run_id: int | None, inst: Instance | None = None) -> None:
    """Once for each decision that is stored."""
    if decision.retryable or not decision.id:
        return
    run = t.world.runs.get(run_id or 0)
    owners, tags = raising.of_run(run, inst) if run is not None else ((), ())
    owner = t.world.assets.catalog.asset(decision.asset).owner
    of = f" in run {run_id}" if run_id is not None else ""
    text = (
        f"{decision.asset} is blocked ({decision.phase.value}){of}: {decision.reason[: raising.REASON_LIMIT]}"
    )
    payload = Payload(
        decision_id=decision.id, phase=decision.phase.value, asset=decision.asset,
        reason=decision.reason[: raising.REASON_LIMIT], run_id=None if run_id is None else str(run_id),
        task=None if inst is None else inst.task.name,
        issues=tuple(f"{each.upstream}: {each.requirement} ({each.observed})" for each in decision.issues[:10]),
        fired=raising.iso(t.now),
    )  # fmt: skip
    raising.raise_alert(
        t, raising.BLOCKED, decision.id, decision.asset, text, payload, run_id=run_id,
        severity=worst([each.severity for each in decision.issues]), owners=dict.fromkeys((owner, *owners)), tags=tags,
    )  # fmt: skip
