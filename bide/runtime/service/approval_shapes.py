"""The JSON of approvals that every door gives: keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from bide.runtime.service.said_words import ApprovalWord, Id, Instant, TaskWord, VersionWord
from bide.runtime.service.shapes import Interval, _Shape


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


class EvidenceResult(_Shape, frozen=True):
    """What a task right before it returned, as JSON; `whole`: nothing of it is cut off."""

    task: str
    state: TaskWord
    value: str | None
    whole: bool


class EvidenceVersion(_Shape, frozen=True):
    asset: str
    version: Id
    state: VersionWord
    interval: Interval


class EvidenceIssue(_Shape, frozen=True):
    """What a contract asked of an upstream, and what was seen."""

    upstream: str
    requirement: str
    observed: str
    action: str
    severity: str


class ApprovalEvidence(_Shape, frozen=True):
    """What can be looked at before an approval is decided.

    `versions`: the version that is to be seen and what it is made of; of a run, the versions that it has made.
    `decided` and `issues`: what was found when a contract asked for a person. `delivery`, `plan`: their numbers.
    """

    id: Id
    interval: Interval | None
    results: tuple[EvidenceResult, ...]
    versions: tuple[EvidenceVersion, ...]
    decided: str | None
    issues: tuple[EvidenceIssue, ...]
    delivery: Id | None
    plan: Id | None
