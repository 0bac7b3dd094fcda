"""`approval(...)` in a graph: an instance that waits for a person, without a body and without a slot.

Approved it succeeds, and its output says who approved and why. Rejected, or expired, it fails; or is
skipped, where its author said so. It is never tried again by itself.
"""

from __future__ import annotations

import msgspec

from bide.runtime.engine import approving
from bide.runtime.engine.states import ApprovalKind, State
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Instance
from bide.runtime.errors import UsageError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.render import render


def ask(t: Turn, inst: Instance) -> None:
    """A ready approval asks its people."""
    spec = inst.task.approval
    assert spec is not None
    prompt = rendered(spec.prompt, inst) if spec.prompt else f"may {inst.task.name} go on?"
    expires_us = approving.EXPIRES_US if spec.expires_us is None else spec.expires_us
    approval = approving.ask(
        t,
        ApprovalKind.TASK,
        inst.instance_id,
        prompt,
        who=spec.who,
        expires_us=expires_us,
        run_id=inst.run.run_id,
    )
    t.move(inst, State.AWAITING_APPROVAL, f"approval {approval.approval_id}: {prompt}")


def rendered(prompt: str, inst: Instance) -> str:
    """A prompt for people, filled in; one that cannot be is shown as it was written, with what is wrong."""
    meta = inst.run.meta
    facts = Facts(
        dag=meta.dag, task=inst.task.name, run_id=meta.run_id, map_index=inst.map_index, attempt=1,
        logical_us=meta.logical_us, start_us=meta.start_us, end_us=meta.end_us, scheduled_us=meta.scheduled_us,
        params=msgspec.json.decode(meta.params), tz=meta.tz,
    )  # fmt: skip
    try:
        return render(prompt, facts)
    except UsageError as error:
        return f"{prompt} ({error})"
