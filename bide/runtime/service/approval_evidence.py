"""What somebody who is asked can look at before they answer: results, versions, what was decided, which delivery or plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bide.runtime import typed
from bide.runtime.assets.judged import Issue
from bide.runtime.engine.states import ApprovalKind
from bide.runtime.service.approval_shapes import (
    ApprovalEvidence,
    EvidenceIssue,
    EvidenceResult,
    EvidenceVersion,
)
from bide.runtime.service.shapes import Interval, iso
from bide.runtime.store import approval_reads as reads

if TYPE_CHECKING:
    import sqlite3

CUT: Final = 2_000
"""Characters of a result that are shown; all of it is on its task's page."""
MOST: Final = 50


def evidence(conn: sqlite3.Connection, number: int) -> ApprovalEvidence | None:
    """What the database has of it; None when there is no such approval."""
    it = reads.subject_of(conn, number)
    if it is None:
        return None
    results = (
        reads.results_before(conn, it.run_id, it.task, MOST, CUT + 1)
        if it.run_id is not None and it.task is not None
        else []
    )
    decided = None if it.decision_id is None else reads.decision_about(conn, it.decision_id)
    issues = typed.decode(decided[1], list[Issue]) if decided is not None else []
    delivery = reads.delivery_about(conn, it.about) if it.kind is ApprovalKind.EFFECT else None
    return ApprovalEvidence(
        id=str(number),
        interval=_span(it.start_us, it.end_us) if it.start_us is not None and it.end_us is not None else None,
        results=tuple(
            EvidenceResult(
                task=each.task, state=each.state, value=each.value and each.value[:CUT],
                whole=each.value is None or len(each.value) <= CUT,
            )
            for each in results
        ),
        versions=tuple(
            EvidenceVersion(
                asset=each.asset, version=str(each.version_id), state=each.state,
                interval=_span(each.start_us, each.end_us),
            )
            for each in reads.versions_about(conn, it, MOST)
        ),
        decided=None if decided is None else decided[0],
        issues=tuple(
            EvidenceIssue(
                upstream=each.upstream, requirement=each.requirement, observed=each.observed,
                action=each.action.value, severity=each.severity.value,
            )
            for each in issues
        ),
        delivery=None if delivery is None else str(delivery),
        plan=str(it.subject_id) if it.kind is ApprovalKind.PLAN else None,
    )  # fmt: skip


def _span(start_us: int, end_us: int) -> Interval:
    return Interval(start=iso(start_us), end=iso(end_us))
