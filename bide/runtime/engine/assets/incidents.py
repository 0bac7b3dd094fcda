"""What people do about an incident: open it, note what was done at a step, link its plan, close it.

An incident is a record: nothing in the world depends on it, so it stands in the database alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bide.runtime import typed
from bide.runtime.assets.runbook import Step
from bide.runtime.assets.severity import classify, impairment
from bide.runtime.assets.words import Severity
from bide.runtime.engine import raising
from bide.runtime.engine.turn import Turn
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.store.incident_reads import IncidentRow

Args = dict[str, Any]
OPEN, CLOSED = "open", "closed"


def open_incident(t: Turn, args: Args) -> Any:
    """{title, asset | None, invalidation | None, severity | None, dimensions, by, text} -> {incident_id}.

    Without a severity it has that which follows from the dimensions, else that of its invalidation, else `major`.
    """
    invalidation, asset_id, usual = args.get("invalidation"), None, Severity.MAJOR.value
    dimensions = list(args.get("dimensions") or ())
    severity = args.get("severity")
    if severity is not None and severity not in set(Severity):
        raise UsageError(f"{severity!r} is no severity: use one of {', '.join(Severity)}")
    if invalidation is not None:
        found = t.fact("invalidation_of_incident", invalidation)
        if found is None:
            raise NotFoundError(
                f"there is no invalidation {invalidation}: `bide assets show ASSET` names them"
            )
        asset_id, usual = found
    elif args.get("asset") is not None:
        asset = t.world.assets.named.get(args["asset"])
        if asset is None:
            raise NotFoundError(f"there is no asset {args['asset']!r}: `bide assets list` lists them")
        asset_id = asset.asset_id
    else:
        raise UsageError("an incident of what? name an `asset` or an `invalidation`")
    by = _somebody(args)
    if dimensions:
        name = next((each.name for each in t.world.assets.named.values() if each.asset_id == asset_id), "")
        usual = classify(impairment(dimensions, t.world.assets.catalog.asset(name).criticality)).value
    incident_id: int = t.world.take_id("incident")
    title = args.get("title") or "without a title"
    t.changes.incidents_new.append(
        (incident_id, title, asset_id, invalidation, None, severity or usual, OPEN, t.now, by)
    )
    t.journal("incident", incident_id, None, "", OPEN, f"{title}, by {by}")
    _tell(t, incident_id, title, asset_id, severity or usual, by, invalidation)
    if args.get("text"):
        _entry(t, incident_id, 0, Step.IDENTIFY, by, args["text"], {})
    if dimensions:
        words = ", ".join(name.replace("_", " ") for name in dimensions)
        _entry(t, incident_id, 0, Step.SEVERITY, by, words, {"dimensions": dimensions})
    return {"incident_id": incident_id}


class Payload(msgspec.Struct, frozen=True):
    """What programs read of an incident that was opened."""

    incident_id: str
    title: str
    asset: str
    severity: str
    by: str
    invalidation: str | None
    fired: str


def _tell(
    t: Turn, incident_id: int, title: str, asset_id: int | None, severity: str, by: str, invalidation: int | None
) -> None:  # fmt: skip
    """Whoever owns what it is about hears of it (B66)."""
    name = next((each.name for each in t.world.assets.named.values() if each.asset_id == asset_id), "")
    text = f"incident {incident_id} ({severity}) was opened by {by}{f' on {name}' if name else ''}: {title}"
    payload = Payload(
        incident_id=str(incident_id), title=title, asset=name, severity=severity, by=by,
        invalidation=None if invalidation is None else str(invalidation), fired=raising.iso(t.now),
    )  # fmt: skip
    owner = t.world.assets.catalog.asset(name).owner if name else ""
    raising.raise_alert(
        t, raising.INCIDENT, str(incident_id), name or title, text, payload, severity=Severity(severity), owners=(owner,)
    )  # fmt: skip


def note(t: Turn, args: Args) -> Any:
    """{incident_id, step, by, text, data} -> {incident_id, n}."""
    row = _open(t, args["incident_id"])
    if args["step"] not in set(Step):
        raise UsageError(f"{args['step']!r} is no step of the runbook: use one of {', '.join(Step)}")
    if not args.get("text"):
        raise UsageError("a note without a text says nothing: say what was done")
    n = _entry(
        t, row.incident_id, row.entries, args["step"], _somebody(args), args["text"], args.get("data") or {}
    )
    t.journal(
        "incident", row.incident_id, None, OPEN, OPEN, f"{args['step']}, by {_somebody(args)}: {args['text']}"
    )
    return {"incident_id": row.incident_id, "n": n}


def link(t: Turn, args: Args) -> Any:
    """{incident_id, plan_id | None, invalidation | None, by} -> {incident_id, plan_id, invalidation}."""
    row, by = _open(t, args["incident_id"]), _somebody(args)
    invalidation = args.get("invalidation") or row.invalidation_id
    if invalidation is not None and t.fact("invalidation_of_incident", invalidation) is None:
        raise NotFoundError(f"there is no invalidation {invalidation}")
    plan_id = args.get("plan_id")
    if plan_id is not None and t.fact("plan_of_incident", plan_id) is None:
        raise NotFoundError(
            f"there is no rerun plan {plan_id}: `bide assets plan {invalidation or 'INVALIDATION'}`"
        )
    row = msgspec.structs.replace(row, invalidation_id=invalidation, plan_id=plan_id or row.plan_id)
    _set(t, row)
    said = f"plan {row.plan_id}" if plan_id is not None else f"invalidation {invalidation}"
    _entry(t, row.incident_id, row.entries, Step.PLAN, by, f"linked {said}", {"plan": row.plan_id})
    t.journal("incident", row.incident_id, None, OPEN, OPEN, f"linked {said}, by {by}")
    return {"incident_id": row.incident_id, "plan_id": row.plan_id, "invalidation": row.invalidation_id}


def close(t: Turn, args: Args) -> Any:
    """{incident_id, by, text} -> {incident_id}."""
    row = _open(t, args["incident_id"])
    by, text = _somebody(args), args.get("text") or "closed"
    _entry(t, row.incident_id, row.entries, Step.CLOSE, by, text, args.get("data") or {})
    _set(t, msgspec.structs.replace(row, state=CLOSED, closed_us=t.now, closed_by=by))
    t.journal("incident", row.incident_id, None, OPEN, CLOSED, f"{text}, by {by}")
    return {"incident_id": row.incident_id}


def _open(t: Turn, incident_id: int) -> IncidentRow:
    row: IncidentRow | None = t.fact("incident", incident_id)
    if row is None:
        raise NotFoundError(f"there is no incident {incident_id}: `bide incident list` lists them")
    earlier = t.changes.incidents_set.get(incident_id)  # of this very batch
    if earlier is not None:
        row = typed.convert((incident_id, *earlier[:6], row.entries), IncidentRow)
    if row.state == CLOSED:
        raise RefusedError(f"incident {incident_id} is closed, by {row.closed_by}: open another one")
    return row


def _set(t: Turn, row: IncidentRow) -> None:
    t.changes.incidents_set[row.incident_id] = (
        row.invalidation_id, row.plan_id, row.severity, row.state, row.closed_us, row.closed_by, row.incident_id,
    )  # fmt: skip


def _entry(
    t: Turn, incident_id: int, entries: int, step: str, by: str, text: str, data: dict[str, Any]
) -> int:
    n: int = entries + 1 + sum(row[0] == incident_id for row in t.changes.incident_entries)
    t.changes.incident_entries.append(
        (incident_id, n, t.now, str(step), by, text, msgspec.json.encode(data).decode())
    )
    return n


def _somebody(args: Args) -> str:
    by = args.get("by")
    if not by:
        raise UsageError("say who does it with `by`")
    return str(by)


VERBS: dict[str, Callable[[Turn, Args], Any]] = {
    "incident_open": open_incident,
    "incident_note": note,
    "incident_link": link,
    "incident_close": close,
}
