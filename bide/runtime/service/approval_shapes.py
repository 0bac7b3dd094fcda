"""The JSON of approvals that every door gives: keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from bide.runtime.service.said_words import ApprovalWord, Id, Instant
from bide.runtime.service.shapes import _Shape


class ApprovalLine(_Shape, frozen=True):
    """An approval. `subject` is what is asked for, in words: `daily.release of run 3`, `gold version 12`.

    `who` are the names that may decide; empty: anybody. `about` is what exactly is approved, the hash of a
    plan or the key of a delivery. What is open at `expires_at` is denied.
    """

    id: Id
    kind: str
    state: ApprovalWord
    subject: str
    prompt: str
    who: tuple[str, ...]
    run_id: Id | None
    dag: str | None
    task: str | None
    asked_at: Instant
    expires_at: Instant | None
    decided_at: Instant | None
    by: str | None
    why: str | None
    about: str | None
