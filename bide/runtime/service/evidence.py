"""What can be asked of evidence: the checklist of an asset, incidents and their runbook, the bundle of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

import bide
from bide.runtime.assets.checklist import checklist
from bide.runtime.assets.runbook import missing, walk
from bide.runtime.clock import Clock
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import before_number, incident_number, invalidation_number, plan_number
from bide.runtime.service.doors import Door
from bide.runtime.service.evidence_shapes import (
    BundleShown,
    ChecklistLine,
    ChecklistShown,
    IncidentLine,
    IncidentShown,
    NoteLine,
    StepLine,
)
from bide.runtime.service.once import again
from bide.runtime.service.shapes import Done, iso, iso_or_none
from bide.runtime.store import checklist_reads as asked
from bide.runtime.store import incident_reads as store
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks


class Evidence:
    """The operations on evidence. It keeps no state."""

    def __init__(self, reader: Asks, door: Door, clock: Clock) -> None:
        self._reader, self._door, self._clock = reader, door, clock

    async def checklist(self, asset: str) -> ChecklistShown:
        """The eighteen questions of an asset, each with its answer and where that comes from."""
        return await self._reader.ask(Reader.read, lambda conn: _checklist(conn, asset))

    async def incidents(
        self, state: str | None = None, limit: int = 50, before: str | None = None
    ) -> list[IncidentLine]:
        """The newest first."""
        if state not in (None, "open", "closed"):
            raise UsageError(f"{state!r} is no state of an incident: use open or closed")
        if not 1 <= limit <= 100_000:
            raise UsageError(f"a limit of {limit} cannot be: use 1 to 100000")
        found = await self._reader.ask(
            Reader.read, lambda conn: store.listed(conn, state, limit, before_number(before))
        )
        return [IncidentLine(**_line(one)) for one in found]

    async def incident(self, incident: str) -> IncidentShown:
        """With the twelve steps of the runbook: what is known of each, and what people have noted."""
        number = incident_number(incident)
        return await self._reader.ask(Reader.read, lambda conn: shown(conn, number))

    async def open(
        self,
        title: str,
        asset: str | None = None,
        invalidation: str | None = None,
        severity: str | None = None,
        by: str = "",
        text: str = "",
        dimensions: Sequence[str] = (),
    ) -> Done:
        args = {
            "title": title,
            "asset": asset,
            "invalidation": None if invalidation is None else invalidation_number(invalidation),
            "severity": severity,
            "dimensions": list(dimensions),
            "by": by,
            "text": text,
        }
        answer = await self._door.command("incident_open", args)
        number = answer["incident_id"]
        return Done(
            done=f"incident {number} is open: `bide incident show {number}` says what comes next",
            result=answer,
        )

    async def note(
        self, incident: str, step: str, text: str, by: str = "", data: dict[str, Any] | None = None
    ) -> Done:
        args = {
            "incident_id": incident_number(incident),
            "step": step.replace("-", "_"),
            "text": text,
            "by": by,
            "data": data or {},
        }
        answer = await self._door.command("incident_note", args)
        return Done(done=f"noted at {step} of incident {incident}", result=answer)

    async def plan(
        self, incident: str, plan: str | None = None, invalidation: str | None = None, by: str = ""
    ) -> Done:
        """Link a rerun plan; without a number the newest one that mends its invalidation."""
        number = incident_number(incident)
        plan_id = None if plan is None else plan_number(plan)
        about = None if invalidation is None else invalidation_number(invalidation)
        answer = await again(self._reader, self._door, "incident_link")
        if answer is not None and plan_id is None and about is None:
            plan_id = answer["plan_id"]
        if plan_id is None and about is None:
            plan_id = await self._reader.ask(Reader.read, lambda conn: _newest_plan(conn, number))
        args = {"incident_id": number, "plan_id": plan_id, "invalidation": about, "by": by}
        if answer is None:
            answer = await self._door.command("incident_link", args)
        what = f"plan {plan_id}" if plan_id is not None else f"invalidation {about}"
        return Done(done=f"{what} is linked to incident {number}", result=answer)

    async def close(self, incident: str, text: str = "", by: str = "", anyway: bool = False) -> Done:
        """Refused while a step of the runbook is open, unless `anyway`."""
        answer = await again(self._reader, self._door, "incident_close")
        if answer is None:
            answer = await self._closed(incident, text, by, anyway)
        return Done(done=f"incident {incident} is closed", result=answer)

    async def _closed(self, incident: str, text: str, by: str, anyway: bool) -> Any:
        found = await self.incident(incident)
        if found.state == "open" and found.missing and not anyway:
            plan = f"link its plan (`bide incident plan {incident}`), " if "plan" in found.missing else ""
            raise RefusedError(
                f"incident {incident} stays open: nothing answers {', '.join(found.missing)}; say what was done "
                f'(`bide incident note {incident} {found.missing[0]} "..." --by NAME`), {plan}or close it with `anyway`'
            )
        args = {
            "incident_id": incident_number(incident),
            "text": text,
            "by": by,
            "data": {"missing": list(found.missing)},
        }
        return await self._door.command("incident_close", args)

    async def export(self, incident: str) -> BundleShown:
        """The bundle: what was decided, on what, and all that makes the same decisions again without bide's database."""
        from bide.runtime.service.bundle import bundle

        number, now = incident_number(incident), self._clock.now()
        data = await self._reader.ask(Reader.read, lambda conn: bundle(conn, number, now, bide.__version__))
        return BundleShown(incident_id=incident, name=f"incident-{number}.zip", data=data)


def _checklist(conn: sqlite3.Connection, asset: str) -> ChecklistShown:
    known = asked.known(conn, asset)
    if known is None:
        near = suggestion(asset, asked.names(conn))
        raise NotFoundError(
            f"there is no asset {asset!r}{near or ': `bide assets list` lists those there are'}"
        )
    lines = tuple(
        ChecklistLine(number=each.number, question=each.question, answer=each.answer, source=each.source)
        for each in checklist(known)
    )
    left = tuple(line.number for line in lines if line.answer is None)
    return ChecklistShown(asset=asset, answered=len(lines) - len(left), open=left, questions=lines)


def _line(one: store.IncidentRead) -> dict[str, Any]:
    return {
        "incident_id": str(one.incident_id),
        "title": one.title,
        "state": one.state,
        "severity": one.severity,
        "asset": one.asset,
        "invalidation_id": None if one.invalidation_id is None else str(one.invalidation_id),
        "plan_id": None if one.plan_id is None else str(one.plan_id),
        "opened_at": iso(one.opened_us),
        "opened_by": one.opened_by,
        "closed_at": iso_or_none(one.closed_us),
        "closed_by": one.closed_by,
    }


def shown(conn: sqlite3.Connection, incident_id: int) -> IncidentShown:
    """An incident as it stands; `NotFoundError` when there is none of that number."""
    found = store.one(conn, incident_id)
    if found is None:
        raise NotFoundError(f"there is no incident {incident_id}: `bide incident list` lists them")
    facts = store.facts(conn, found)
    return IncidentShown(
        **_line(found),
        steps=tuple(
            StepLine(
                number=each.number,
                step=each.step.value,
                title=each.title,
                done=each.done,
                known=each.known,
                notes=tuple(f"{note.text} ({note.by})" for note in each.notes),
            )
            for each in walk(facts)
        ),
        missing=tuple(step.value for step in missing(facts)),
        notes=tuple(
            NoteLine(
                n=entry.n,
                at=iso(entry.at_us),
                step=entry.step,
                by=entry.by,
                text=entry.text,
                data=msgspec.json.decode(entry.data),
            )
            for entry in store.entries(conn, incident_id)
        ),
    )


def _newest_plan(conn: sqlite3.Connection, incident_id: int) -> int:
    found = store.one(conn, incident_id)
    if found is None:
        raise NotFoundError(f"there is no incident {incident_id}: `bide incident list` lists them")
    if found.invalidation_id is None:
        raise UsageError(
            f"incident {incident_id} is of no invalidation yet: name its `invalidation`, or the `plan`"
        )
    plan_id = store.newest_plan(conn, found.invalidation_id)
    if plan_id is None:
        raise NotFoundError(
            f"nothing is planned yet for invalidation {found.invalidation_id}: `bide assets plan {found.invalidation_id}`"
        )
    return plan_id
