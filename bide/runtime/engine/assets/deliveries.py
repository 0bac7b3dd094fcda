"""The ledger of external effects: what is to leave is written before its body begins, and what came of it after.

A delivery is pending from when its task is let go until its body has ended, whatever became of the task
meanwhile: what may be leaving is never called gone. Each delivery is a version of the effect's asset, so that
lineage and blast radius see what has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bide.runtime import typed
from bide.runtime.assets.limits import Limits
from bide.runtime.assets.words import VersionState
from bide.runtime.engine import admission, raising
from bide.runtime.engine.assets import latecomers, news, versions
from bide.runtime.engine.assets.changed import versions_changed
from bide.runtime.engine.assets.delivery_state import Delivery
from bide.runtime.engine.states import AttemptState, DeliveryState, State
from bide.runtime.engine.world import Due

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bide.runtime.assets.judged import Used
    from bide.runtime.engine.messages import AttemptEnded
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Instance, World
    from bide.runtime.store.delivery_rows import LedgerRow
    from bide.runtime.store.world_rows import WorldRows

ALREADY = "an earlier delivery of the same inputs"


# --- the way out -----------------------------------------------------------------------------------


def begin(
    t: Turn, inst: Instance, key: str, used: Iterable[Used], limits: tuple[str, ...], corrects: int | None,
    again: LedgerRow | None,
) -> Delivery:  # fmt: skip
    """Write a delivery before its body begins. `again` is the same one, which had failed: its key stays."""
    spec, meta = inst.task.effect, inst.run.meta
    assert spec is not None
    version_id = versions.new_row(t, inst, spec.asset, VersionState.VALIDATED)
    t.changes.asset_inputs += [(version_id, id_, kind) for id_, kind in _inputs(used).items()]
    known = (
        msgspec.json.encode(Limits(reason=limits[0], known_limitations=limits)).decode() if limits else None
    )
    if known is not None:
        t.changes.asset_states[version_id] = (VersionState.VALIDATED.value, t.now, "", known, 0, version_id)
    delivery_id = t.world.take_id("delivery") if again is None else again.delivery_id
    one = Delivery(
        delivery_id, version_id, inst.instance_id, meta.run_id, spec.asset, (meta.start_us, meta.end_us), spec.target,
        spec.semantics, key, corrects, known,
    )  # fmt: skip
    if again is None:
        t.changes.deliveries_new.append(
            (delivery_id, version_id, spec.target, spec.semantics.value, key, DeliveryState.PENDING.value, corrects, t.now)
        )  # fmt: skip
    else:
        t.changes.deliveries_again[delivery_id] = (version_id, corrects, t.now, delivery_id)
    said = f"{spec.asset} to {spec.target}" + (f", in place of {corrects}" if corrects else "")
    was = "" if again is None else DeliveryState.FAILED.value
    t.journal("delivery", delivery_id, meta.run_id, was, DeliveryState.PENDING.value, said)
    t.world.ledger.put(one)
    return one


def _inputs(used: Iterable[Used]) -> dict[int, str]:
    found: dict[int, str] = {}
    for one in used:
        found.setdefault(one.version.version_id, one.kind.value)
    return found


def number(world: World, inst: Instance) -> int:
    """Of the delivery that an instance makes; 0: it is no effect."""
    one = world.ledger.pending.get(inst.instance_id) if inst.task.effect is not None else None
    return 0 if one is None else one.delivery_id


# --- what came of it -------------------------------------------------------------------------------


def delivered(t: Turn, inst: Instance, receipt: bytes | None) -> None:
    """The body has succeeded: what it returned is the receipt."""
    one = t.world.ledger.pending.get(inst.instance_id)
    if one is not None:
        _has_left(t, one, receipt, "")


def over(t: Turn, inst: Instance, state: State, reason: str) -> None:
    """The task has ended otherwise than by its body's success; while its body goes, nobody knows."""
    one = t.world.ledger.pending.get(inst.instance_id)
    if one is None or inst.body is not None:
        return
    _settle(t, one, state, reason)


def stopped(t: Turn, inst: Instance, e: AttemptEnded) -> None:
    """The body of a task that was over before, or is to run again, has ended at last: now it is known."""
    one = t.world.ledger.pending.get(inst.instance_id)
    if one is None:
        return
    if e.state is AttemptState.SUCCESS:
        _has_left(t, one, e.output, "its task had been ended before")
    elif inst.run.run_id not in t.world.runs or inst.state in _ENDS:
        _settle(t, one, inst.state, inst.reason)
    else:  # it runs again, and waits for that
        versions_changed(t, one.asset)


def found_wrong(t: Turn, one: Delivery, reason: str) -> None:
    """What it is made of was invalidated. A body that goes cannot be held back: it is judged when it has left.

    One that has not begun, or is to be tried again, asks once more what it may be made of.
    """
    one.wrong = True
    inst = t.world.instances.get(one.instance_id)
    if inst is not None and inst.state is State.READY and inst.body is None:
        inst.due = t.now
        t.world.timer(inst.due, Due.RETRY, inst.instance_id)
        t.move(inst, State.UP_FOR_RETRY, reason)
        admission.pass_on(t, inst)


def is_wrong(world: World, inst: Instance) -> bool:
    """Whether what it delivers was invalidated since it was let go."""
    one = world.ledger.pending.get(inst.instance_id) if inst.task.effect is not None else None
    return one is not None and one.wrong


def recover(t: Turn) -> None:
    """After a restart: what was leaving for a task that is over has died with its process."""
    for one in list(t.world.ledger.pending.values()):
        inst = t.world.instances.get(one.instance_id)
        if inst is None or inst.state in _ENDS:
            _settle(t, one, State.FAILED, "its process died: look whether it has left")


def give_up(t: Turn, one: Delivery, reason: str) -> None:
    """It is not tried any more; nobody knows that it was delivered."""
    t.world.ledger.drop(one)
    t.changes.deliveries_moved[one.delivery_id] = (DeliveryState.FAILED.value, one.delivery_id)
    t.journal(
        "delivery",
        one.delivery_id,
        one.run_id,
        DeliveryState.PENDING.value,
        DeliveryState.FAILED.value,
        reason,
    )
    _tell(t, one, reason)
    versions.move_settled(
        t, one.version_id, one.asset, one.run_id, VersionState.VALIDATED, VersionState.FAILED, reason
    )


class Payload(msgspec.Struct, frozen=True):
    """What programs read of a delivery that failed. Instants are ISO 8601, UTC."""

    delivery_id: str
    effect: str
    target: str
    semantics: str
    key: str
    version: str
    run_id: str
    interval_start: str
    interval_end: str
    reason: str
    fired: str


def _tell(t: Turn, one: Delivery, reason: str) -> None:
    """It may have left or not: somebody has to look (B66)."""
    run = t.world.runs.get(one.run_id)
    owners, tags = (
        raising.of_run(run, t.world.instances.get(one.instance_id)) if run is not None else ((), ())
    )
    start, end = raising.iso(one.start_us), raising.iso(one.end_us)
    because = reason[: raising.REASON_LIMIT]
    text = (
        f"the delivery {one.delivery_id} of {one.asset} to {one.target} ({start} to {end}) failed: {because}; "
        "nobody knows whether it has left: `bide effects` lists it"
    )
    payload = Payload(
        delivery_id=str(one.delivery_id), effect=one.asset, target=one.target, semantics=one.semantics.value, key=one.key,
        version=str(one.version_id), run_id=str(one.run_id), interval_start=start,
        interval_end=end, reason=because, fired=raising.iso(t.now),
    )  # fmt: skip
    raising.raise_alert(
        t, raising.EFFECT, f"{one.delivery_id}:{t.world.next_id['event']}", one.asset, text, payload, run_id=one.run_id,
        owners=dict.fromkeys((*owners, t.world.assets.catalog.asset(one.asset).owner)), tags=tags,
    )  # fmt: skip


def _settle(t: Turn, one: Delivery, state: State, reason: str) -> None:
    if state is State.SUCCESS:  # somebody says that it has left
        _has_left(t, one, None, reason)
    else:
        give_up(t, one, reason or state.value)


def _has_left(t: Turn, one: Delivery, receipt: bytes | None, reason: str) -> None:
    t.world.ledger.drop(one)
    text = receipt.decode() if receipt is not None else None
    t.changes.deliveries_set[one.delivery_id] = (DeliveryState.DELIVERED.value, t.now, text, one.delivery_id)
    t.journal(
        "delivery", one.delivery_id, one.run_id, DeliveryState.PENDING.value, DeliveryState.DELIVERED.value, reason
    )  # fmt: skip
    if one.corrects is not None:
        ended = DeliveryState.SUPERSEDED if one.semantics.replaces else DeliveryState.CORRECTED
        t.changes.deliveries_moved[one.corrects] = (ended.value, one.corrects)
        t.journal(
            "delivery", one.corrects, one.run_id, DeliveryState.DELIVERED.value, ended.value,
            f"by delivery {one.delivery_id}",
        )  # fmt: skip
    limits = None if one.limits is None else typed.decode(one.limits, Limits)
    to = VersionState.PUBLISHED if limits is None else VersionState.DEGRADED
    versions.move_settled(
        t,
        one.version_id,
        one.asset,
        one.run_id,
        VersionState.VALIDATED,
        to,
        f"delivered to {one.target}",
        limits,
    )
    latecomers.seen(t, one.version_id)
    versions.supersede(t, one.version_id, one.asset, one.start_us, one.end_us)
    news.tell(t, one.asset, one.version_id, (one.start_us, one.end_us))


_ENDS = frozenset({State.SUCCESS, State.FAILED, State.SKIPPED, State.UPSTREAM_FAILED, State.CANCELLED})


# --- a start ---------------------------------------------------------------------------------------


def restore(world: World, rows: WorldRows) -> None:
    """What is pending, from its rows."""
    for row in rows.deliveries:
        one = Delivery(
            row.delivery_id, row.version_id, row.instance_id, row.run_id, row.asset, (row.start_us, row.end_us),
            row.target, row.semantics, row.key, row.corrects, row.limits,
        )  # fmt: skip
        one.wrong = bool(row.wrong)
        world.ledger.put(one)
