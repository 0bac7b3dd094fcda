"""The operations on hooks: one layer for the terminal, the REST API and a guest. It keeps no state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bide.runtime import typed
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.hooks.delivery import ACCEPTED, IGNORED, REFUSED
from bide.runtime.hooks.hook import HookSpec
from bide.runtime.service.addresses import before_number, bounded
from bide.runtime.service.hook_secrets import unchecked
from bide.runtime.service.hook_shapes import DeliveryLine, HookLine
from bide.runtime.service.paging import behind
from bide.runtime.service.shapes import iso, iso_or_none
from bide.runtime.store import hook_rows as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks

OUTCOMES: Final = (ACCEPTED, IGNORED, REFUSED)


class Hooks:
    """The operations on hooks."""

    def __init__(self, reader: Asks, apart: bool = False) -> None:
        """`apart`: another process holds the database, and what it has for secrets is not seen from here."""
        self._reader, self._apart = reader, apart

    async def listed(self, limit: int = 100_000, before: str | None = None) -> list[HookLine]:
        bounded(limit)
        found = await self._reader.ask(Reader.read, lambda conn: _listed(conn, self._apart))
        return behind(found, lambda each: each.hook, before, limit)

    async def deliveries(
        self, hook: str, outcome: str | None = None, limit: int = 50, before: str | None = None
    ) -> list[DeliveryLine]:
        if outcome is not None and outcome not in OUTCOMES:
            raise UsageError(
                f"{outcome!r} is no outcome of a delivery{suggestion(outcome, OUTCOMES)}: "
                f"use one of {', '.join(OUTCOMES)}"
            )
        bounded(limit)
        below = before_number(before)
        return await self._reader.ask(
            Reader.read, lambda conn: _deliveries(conn, hook, outcome, limit, below)
        )


def _listed(conn: sqlite3.Connection, apart: bool) -> list[HookLine]:
    specs = {name: typed.decode(spec, HookSpec) for name, spec in reads.hooks(conn)}
    found = {each.hook: each for each in reads.summaries(conn)}
    return [
        _line(name, specs.get(name), found.get(name, reads.Summary(hook=name)), apart)
        for name in sorted({*specs, *found})
    ]


def _line(name: str, spec: HookSpec | None, seen: reads.Summary, apart: bool) -> HookLine:
    """One that is no longer declared is listed as long as its deliveries are known."""
    return HookLine(
        hook=name,
        kind=spec.kind if spec is not None else "",
        path=spec.path if spec is not None else "",
        scheme=spec.scheme if spec is not None else "",
        type=(spec.type or None) if spec is not None else None,
        dags=tuple(dict.fromkeys(route.dag for route in spec.routes)) if spec is not None else (),
        loaded=spec is not None,
        accepted=seen.accepted,
        ignored=seen.ignored,
        refused=seen.refused,
        rejected=seen.rejected,
        last_delivery_at=iso_or_none(seen.last_us),
        last_outcome=seen.last_outcome,
        last_rejected_at=iso_or_none(seen.rejected_us),
        last_rejected_for=seen.rejected_for,
        doc=spec.doc if spec is not None else "",
        unchecked="" if spec is None or apart else unchecked(spec),
    )


def _deliveries(
    conn: sqlite3.Connection, hook: str, outcome: str | None, limit: int, before: int
) -> list[DeliveryLine]:
    found = reads.deliveries(conn, hook, outcome, limit, before)
    if not found and hook not in (known := reads.names(conn)):
        there = suggestion(hook, known) or f"; there are: {', '.join(known[:8]) or 'none yet'}"
        raise NotFoundError(f"there is no hook {hook!r}{there}")
    return [
        DeliveryLine(
            id=str(each.delivery_id), hook=each.hook, delivery=each.said, outcome=each.outcome, dag=each.dag or None,
            run_id=None if each.run_id is None else str(each.run_id), reason=each.reason,
            first_at=iso(each.first_us), last_at=iso(each.last_us), times=each.times, sent_at=iso_or_none(each.sent_us),
        )
        for each in found
    ]  # fmt: skip
