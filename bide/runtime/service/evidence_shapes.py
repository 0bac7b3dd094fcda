"""The JSON of checklists, incidents and bundles that every door gives."""

from __future__ import annotations

from typing import Any

from bide.runtime.service.said_words import Id, Instant, OpenWord
from bide.runtime.service.shapes import Interval, _Shape


class ChecklistLine(_Shape, frozen=True):
    """`answer` is null of a question that is open; `source` says where it comes from, or what would answer it."""

    number: int
    question: str
    answer: str | None
    source: str


class ChecklistShown(_Shape, frozen=True):
    """`open` are the numbers of the questions without an answer."""

    asset: str
    answered: int
    open: tuple[int, ...]
    questions: tuple[ChecklistLine, ...]


class IncidentLine(_Shape, frozen=True):
    incident_id: Id
    title: str
    state: OpenWord
    severity: str
    asset: str | None
    invalidation_id: Id | None
    plan_id: Id | None
    opened_at: Instant
    opened_by: str
    closed_at: Instant | None
    closed_by: str


class NoteLine(_Shape, frozen=True):
    n: int
    at: Instant
    step: str
    by: str
    text: str
    data: dict[str, Any]


class StepLine(_Shape, frozen=True):
    """One of the twelve steps of the runbook. `known`: what the records say of it, "" when nothing."""

    number: int
    step: str
    title: str
    done: bool
    known: str
    notes: tuple[str, ...]


class IncidentShown(IncidentLine, frozen=True):
    """`missing`: the steps that nothing answers yet."""

    steps: tuple[StepLine, ...]
    missing: tuple[str, ...]
    notes: tuple[NoteLine, ...]


class BundleShown(_Shape, frozen=True):
    """A bundle, as the bytes of its ZIP file (base64 in JSON), and the name it is best kept under."""

    incident_id: Id
    name: str
    data: bytes


class DecisionShown(_Shape, frozen=True):
    """A decision with all that it was made of: `bide incident replay` makes it again."""

    decision_id: Id
    at: str
    phase: str
    asset: str
    interval: Interval
    consumer: str
    level: str
    retryable: bool
    reason: str
    issues: list[Any]
    evidence: Any


class CheckLine(_Shape, frozen=True):
    """One thing that was done again. `found` says what differs, or that it is identical."""

    what: str
    identical: bool
    found: str


class Replayed(_Shape, frozen=True):
    incident_id: Id
    identical: bool
    checks: tuple[CheckLine, ...]
