"""The JSON of decisions: what was decided of assets, why, and what was seen."""

from __future__ import annotations

from bide.runtime.service.said_words import Id, Instant
from bide.runtime.service.shapes import Interval, _Shape


class IssueLine(_Shape, frozen=True):
    """A requirement that is not met: what was asked, what was seen, and what follows."""

    upstream: str
    requirement: str
    observed: str
    action: str
    severity: str
    level: str
    result: str
    rationale: str = ""


class DecisionLine(_Shape, frozen=True):
    """A decision on record. `phase` is executing, publishing, effect or use; `consumer` of use: for whom."""

    id: Id
    at: Instant
    phase: str
    asset: str
    interval: Interval
    consumer: str
    level: str
    retryable: bool
    reason: str
    issues: tuple[IssueLine, ...]
    run_id: Id | None
    task: str | None
    version: str | None
    by: str


class UsedLine(_Shape, frozen=True):
    """A version that may be used, and what is known to be wrong with it."""

    version: str
    interval: Interval
    state: str
    label: str
    limits: tuple[str, ...]


class MayUse(_Shape, frozen=True):
    """The answer to a consumer. `contract`: the number of the one that answered, null: what anybody may expect.

    `limits` are the known limitations with which it may be used; `id` that of the decision on record.
    """

    asset: str
    purpose: str
    allowed: bool
    level: str
    reason: str
    retryable: bool
    issues: tuple[IssueLine, ...]
    limits: tuple[str, ...]
    versions: tuple[UsedLine, ...]
    contract: str | None
    id: Id
