"""What needs a person, by what the database and the living say: folded by what it is about, most urgent first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime.service.approval_shapes import ApprovalLine
from bide.runtime.service.approvals import line as approval_line
from bide.runtime.service.overview_shapes import Need
from bide.runtime.service.shapes import iso
from bide.runtime.store import approval_reads, incident_reads
from bide.runtime.store import home_reads as reads

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.doors import Live

_LATE: Final = ("run", "task", "asset")
_OF_ASSETS: Final = ("asset", "invalidation", "quality", "blocked", "effect")
_OVER: Final = ("success", "cancelled")
_ORDER: Final = (
    "full", "failure", "lost", "approval", "late", "incident", "invalidation", "invalidated", "quarantined", "quality", "blocked",
    "effect", "file", "degraded", "stale", "paused",
)  # fmt: skip
"""The kinds, as urgent as they are. One that is not among them comes before what is merely held back."""
_APPROVALS: Final = 100
_INCIDENTS: Final = 100
_ALERTS: Final = 100
"""Alerts of one line that are named, to be acknowledged."""
_WORDS: Final = 400


class Found(msgspec.Struct, frozen=True):
    """What the database says."""

    alerts: list[reads.AlertOpen]
    lost: list[reads.LostTask]
    paused: list[reads.PausedDag]
    wrong: list[reads.WrongVersion]
    approvals: list[ApprovalLine]
    incidents: list[incident_reads.IncidentRead]


def found_in(conn: sqlite3.Connection, lost: bool, paused: bool) -> Found:
    """`lost`, `paused`: whether there is any."""
    return Found(
        alerts=reads.open_alerts(conn),
        lost=reads.lost_tasks(conn) if lost else [],
        paused=reads.paused_dags(conn) if paused else [],
        wrong=reads.wrong_versions(conn),
        approvals=[approval_line(each) for each in approval_reads.approvals(conn, "open", None, _APPROVALS)],
        incidents=incident_reads.listed(conn, "open", _INCIDENTS),
    )


def needs_of(found: Found, live: Live | None) -> list[Need]:
    """All of it, most urgent first, and of what is as urgent the newest first."""
    needs = [
        *_alerts(found.alerts),
        *(_lost(each) for each in found.lost),
        *(_approval(each) for each in found.approvals),
        *(_wrong(each) for each in found.wrong),
        *(_incident(each) for each in found.incidents),
        *(_paused(each) for each in found.paused),
        *_of_the_living(live),
    ]
    newest_first = sorted(needs, key=lambda need: need.since or "", reverse=True)
    return sorted(newest_first, key=_urgency)


def _urgency(need: Need) -> tuple[int, bool]:
    place = _ORDER.index(need.kind) if need.kind in _ORDER else _ORDER.index("file")
    return place, need.severity != "critical"


def _alerts(alerts: Iterable[reads.AlertOpen]) -> Iterator[Need]:
    """One line for those of a kind that are about the same; the newest of them speaks. What has gone well since needs nobody."""
    of: dict[tuple[str, str], list[reads.AlertOpen]] = {}
    for each in alerts:
        kind = "late" if each.kind in _LATE else each.kind
        if each.kind != "incident" and not (kind in ("failure", "late") and each.run_state in _OVER):
            of.setdefault((kind, each.subject), []).append(each)
    for (kind, subject), alike in of.items():
        newest = alike[0]
        said = _payload(newest.payload)
        task = said.get("task") if kind == "failure" else None
        yield Need(
            kind=kind,
            subject=subject,
            text=_short(_failure(task, said) if kind == "failure" else newest.text),
            since=iso(newest.fired_us),
            count=len(alike),
            severity=newest.severity,
            dag=newest.dag,
            run_id=None if newest.run_id is None else str(newest.run_id),
            task=task,
            asset=subject if newest.run_id is None and newest.kind in _OF_ASSETS else None,
            alerts=tuple(str(each.alert_id) for each in alike[:_ALERTS]),
        )


def _payload(text: str) -> dict[str, Any]:
    found = msgspec.json.decode(text)
    return found if isinstance(found, dict) else {}


def _failure(task: str | None, said: dict[str, Any]) -> str:
    what, reason = f"{task} failed" if task else "the run failed", said.get("reason")
    return f"{what}: {reason}" if reason else what


def _lost(lost: reads.LostTask) -> Need:
    task = lost.task if lost.map_index < 0 else f"{lost.task}[{lost.map_index}]"
    return Need(
        kind="lost",
        subject=lost.dag,
        text=_short(f"{task} was running when its process died: {lost.reason or 'rerun or mark it'}"),
        since=iso(lost.since_us),
        dag=lost.dag,
        run_id=str(lost.run_id),
        task=task,
    )


def _approval(asked: ApprovalLine) -> Need:
    return Need(
        kind="approval",
        subject=asked.subject,
        text=_short(asked.prompt),
        since=asked.asked_at,
        dag=asked.dag,
        run_id=asked.run_id,
        task=asked.task,
        approval=asked.id,
        expires_at=asked.expires_at,
    )


def _wrong(version: reads.WrongVersion) -> Need:
    return Need(
        kind=version.state,
        subject=version.asset,
        text=_short(version.reason or f"its newest version is {version.state}"),
        since=iso(version.since_us),
        asset=version.asset,
    )


def _paused(dag: reads.PausedDag) -> Need:
    return Need(
        kind="paused",
        subject=dag.dag,
        text="starts nothing until it goes on",
        since=iso(dag.since_us),
        dag=dag.dag,
        by=dag.who or None,
    )


def _incident(incident: incident_reads.IncidentRead) -> Need:
    return Need(
        kind="incident",
        subject=incident.asset or f"incident {incident.incident_id}",
        text=_short(incident.title),
        since=iso(incident.opened_us),
        severity=incident.severity,
        asset=incident.asset,
        incident=str(incident.incident_id),
        by=incident.opened_by or None,
    )


def _of_the_living(live: Live | None) -> Iterator[Need]:
    """What only a process that holds the database knows: no room, files and DAGs that are not loaded."""
    if live is None:
        return
    if live.full:
        yield Need(
            kind="full", subject="the database", text=_short(live.full), since=None, severity="critical"
        )
    for subject, why in live.left_out.items():
        yield Need(kind="file", subject=subject, text=_short(why), since=None)


def _short(text: str) -> str:
    return text if len(text) <= _WORDS else f"{text[:_WORDS]}..."
