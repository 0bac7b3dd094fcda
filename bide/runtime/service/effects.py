"""The ledger of external effects: one layer for the terminal, the REST API and `rt.effects`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.engine.states import DeliveryState
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import before_number, delivery_number
from bide.runtime.service.effect_shapes import EffectApproval, EffectInput, EffectLine, EffectShown
from bide.runtime.service.shapes import Interval, iso, iso_or_none
from bide.runtime.store import effect_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks


class Effects:
    """The operations on effects. It keeps no state."""

    def __init__(self, reader: Asks) -> None:
        self._reader = reader

    async def listed(
        self,
        effect: str | None = None,
        state: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[EffectLine]:
        if state is not None and state not in set(DeliveryState):
            raise UsageError(
                f"{state!r} is no state of a delivery{suggestion(state, DeliveryState)}: "
                f"use one of {', '.join(DeliveryState)}"
            )
        if not 1 <= limit <= 100_000:
            raise UsageError(f"a limit of {limit} cannot be: use 1 to 100000")
        return await self._reader.ask(
            Reader.read, lambda conn: _listed(conn, effect, state, limit, before_number(before))
        )

    async def show(self, delivery: str) -> EffectShown:
        number = delivery_number(delivery)
        return await self._reader.ask(Reader.read, lambda conn: _show(conn, number))


def _listed(
    conn: sqlite3.Connection, effect: str | None, state: str | None, limit: int, before: int
) -> list[EffectLine]:
    found = reads.deliveries(conn, effect, state, limit, before)
    if not found and effect is not None and effect not in (known := reads.effects(conn)):
        there = suggestion(effect, known) or f": there are {', '.join(known[:8]) or 'none yet'}"
        raise NotFoundError(f"nothing was ever delivered by an effect {effect!r}{there}")
    return [EffectLine(**_line(each)) for each in found]


def _show(conn: sqlite3.Connection, number: int) -> EffectShown:
    found = reads.delivery(conn, number)
    if found is None:
        raise NotFoundError(f"there is no delivery {number}: `bide effects` lists them")
    return EffectShown(
        **_line(found),
        receipt=None if found.receipt is None else msgspec.json.decode(found.receipt),
        reason=found.reason,
        inputs=tuple(
            EffectInput(
                asset=each.asset, version=str(each.version_id), interval=_span(each.start_us, each.end_us), state=each.state,
            )
            for each in reads.inputs(conn, found.version_id)
        ),
        approvals=tuple(
            EffectApproval(
                id=str(each.approval_id), state=each.state.value, by=each.by or None, why=each.why or None,
                decided_at=iso_or_none(each.decided_us),
            )
            for each in reads.approvals(conn, found.key)
        ),
    )  # fmt: skip


def _line(each: reads.EffectRead) -> dict[str, Any]:
    return {
        "id": str(each.delivery_id),
        "effect": each.effect,
        "target": each.target,
        "semantics": each.semantics,
        "state": each.state.value,
        "interval": _span(each.start_us, each.end_us),
        "key": each.key,
        "version": str(each.version_id),
        "corrects": None if each.corrects is None else str(each.corrects),
        "corrected_by": None if each.corrected_by is None else str(each.corrected_by),
        "run_id": None if each.run_id is None else str(each.run_id),
        "dag": each.dag,
        "task": each.task,
        "asked_at": iso(each.asked_us),
        "delivered_at": iso_or_none(each.delivered_us),
    }


def _span(start_us: int, end_us: int) -> Interval:
    return Interval(start=iso(start_us), end=iso(end_us))
