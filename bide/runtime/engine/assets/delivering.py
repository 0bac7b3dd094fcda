"""Before an effect begins: whether the same was delivered already, whether somebody has to approve it, and its key.

The key is of the effect, its target, the interval and the versions it is made of: the same inputs have the same
key, over attempts, reruns, backfills and restarts. What was delivered of them is not delivered again; of other
inputs it is delivered as a correction. What an approval is of is the key: other inputs are asked for anew.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from bide.runtime.engine import approving, life
from bide.runtime.engine.approval_tasks import rendered
from bide.runtime.engine.assets import asking, deliveries, shadow
from bide.runtime.engine.assets.changed import looks_at, looks_away
from bide.runtime.engine.assets.delivery_state import STOPPING, UNDER_WAY
from bide.runtime.engine.messages import GuardAsked
from bide.runtime.engine.states import ApprovalKind, DeliveryState, State

if TYPE_CHECKING:
    from bide.runtime.assets.judged import Used
    from bide.runtime.engine.approval_commands import Answered
    from bide.runtime.engine.approval_state import Approval
    from bide.runtime.engine.assets.deciding import Answer
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Instance
    from bide.runtime.store.delivery_rows import LedgerRow

_OVER: Final = frozenset({DeliveryState.SUPERSEDED, DeliveryState.CORRECTED})
SHADOW: Final = "this is a shadow run: nothing of it leaves the platform"


def may_leave(t: Turn, inst: Instance, answers: list[Answer], used: dict[int, Used]) -> bool:
    """Whether it may begin now; its contracts let it. What else becomes of it is done."""
    spec, ledger = inst.task.effect, t.world.ledger
    assert spec is not None
    if shadow.is_shadow(inst.run):
        life.finish(t, inst, State.SKIPPED, SHADOW)
        return False
    approving.withdraw(t, ApprovalKind.CONTRACT, inst.instance_id, "its contracts let it go on")
    rows: tuple[LedgerRow, ...] = t.facts[asking.ledger_key(inst)]
    own = ledger.pending.get(inst.instance_id)
    if own is not None and inst.body is not None:
        _hold(t, inst, STOPPING)
        return False
    current = next((row for row in reversed(rows) if row.state is DeliveryState.DELIVERED), None)
    key = key_of(inst, used, rows, current)
    if current is not None and current.key == key:
        _has_left_before(t, inst, current)
        return False
    other = ledger.of.get(_what(inst))
    if other is not None and other is not own:
        _hold(t, inst, f"{UNDER_WAY} {other.delivery_id} of run {other.run_id}, which is under way")
        return False
    if spec.requires_approval and key not in t.facts[asking.effect_key(inst)]:
        _ask(t, inst, key, used, current)
        return False
    looks_away(t.world.assets, GuardAsked(inst.instance_id))
    approving.withdraw(t, ApprovalKind.EFFECT, inst.instance_id, "it is delivered")
    if own is not None and own.key != key:
        deliveries.give_up(t, own, "what it is made of has changed")
        own = None
    if own is None:
        again = next((row for row in rows if row.key == key), None)
        limits = tuple(dict.fromkeys(limit for each in answers for limit in each.decision.limits))
        corrects = None if current is None else current.delivery_id
        deliveries.begin(t, inst, key, used.values(), limits, corrects, again)
    return True


def key_of(
    inst: Instance, used: dict[int, Used], rows: tuple[LedgerRow, ...], current: LedgerRow | None
) -> str:
    """What names this delivery to the other side.

    Where the same inputs had been delivered, and others after them, going back to them is another delivery.
    """
    spec, meta = inst.task.effect, inst.run.meta
    assert spec is not None
    parts = [spec.asset, spec.target, str(meta.start_us), str(meta.end_us), *map(str, sorted(used))]
    key = _hash(parts)
    if any(row.key == key and row.state in _OVER for row in rows) and current is not None:
        key = _hash([*parts, f"after {current.delivery_id}"])
    return key


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _what(inst: Instance) -> tuple[str, str, int, int]:
    spec, meta = inst.task.effect, inst.run.meta
    assert spec is not None
    return spec.asset, spec.target, meta.start_us, meta.end_us


def _has_left_before(t: Turn, inst: Instance, before: LedgerRow) -> None:
    """The same inputs were delivered: it succeeds with what was acknowledged then."""
    receipt = before.receipt.encode() if before.receipt is not None else None
    said = f"{deliveries.ALREADY} stands: delivery {before.delivery_id} of run {before.run_id}"
    own = t.world.ledger.pending.get(inst.instance_id)
    if own is not None:
        deliveries.give_up(t, own, said)
    life.succeed(t, inst, receipt, said)


def _hold(t: Turn, inst: Instance, reason: str) -> None:
    """It waits, and asks again when something of what it looks at has changed."""
    looks_at(t.world.assets, GuardAsked(inst.instance_id), asking.names_of(t.world.assets, inst))
    approving.withdraw(t, ApprovalKind.EFFECT, inst.instance_id, reason)
    if inst.state is State.BLOCKED:
        t.touch(inst, reason)
    else:
        t.move(inst, State.BLOCKED, reason)


def _ask(t: Turn, inst: Instance, key: str, used: dict[int, Used], current: LedgerRow | None) -> None:
    """Somebody has to approve exactly this; when its inputs change, they are asked anew."""
    spec = inst.task.effect
    assert spec is not None
    made_of = ", ".join(f"{one.version.asset} version {id_}" for id_, one in sorted(used.items()))
    corrects = f", in place of delivery {current.delivery_id}" if current is not None else ""
    said = f"deliver {spec.asset} to {spec.target}{f', made of {made_of}' if made_of else ''}{corrects}"
    prompt = f"{rendered(spec.prompt, inst)} ({said})" if spec.prompt else f"{said}?"
    looks_at(t.world.assets, GuardAsked(inst.instance_id), asking.names_of(t.world.assets, inst))
    approval = approving.ask(
        t, ApprovalKind.EFFECT, inst.instance_id, prompt, who=spec.who, run_id=inst.run.run_id, about=key,
        expires_us=approving.EXPIRES_US if spec.expires_us is None else spec.expires_us,
    )  # fmt: skip
    reason = f"approval {approval.approval_id}: {approval.prompt}"
    if inst.state is State.AWAITING_APPROVAL:
        t.touch(inst, reason)
    else:
        t.move(inst, State.AWAITING_APPROVAL, reason)


def answered(t: Turn, approval: Approval, answer: Answered) -> None:
    """A person has said whether it may leave; approved, it is looked at once more: its inputs may have changed."""
    inst = t.world.instances[approval.subject_id]
    if answer.approved:
        t.move(inst, State.BLOCKED, f"{answer}; what it is made of is asked once more")
        asking.hold(t, inst)
        return
    from bide.runtime.engine.approval_commands import denied

    denied(t, inst, answer)
