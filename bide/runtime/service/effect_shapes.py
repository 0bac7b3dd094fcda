"""The JSON of the ledger of external effects: keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from typing import Any

from bide.runtime.service.said_words import EffectWord, Id, Instant
from bide.runtime.service.shapes import Interval, _Shape


class EffectLine(_Shape, frozen=True):
    """A delivery. `corrects` is the one whose place it takes, or which it corrects; `corrected_by` the other way."""

    id: Id
    effect: str
    target: str
    semantics: str
    state: EffectWord
    interval: Interval
    key: str
    version: str
    corrects: str | None
    corrected_by: str | None
    run_id: Id | None
    dag: str | None
    task: str | None
    asked_at: Instant
    delivered_at: Instant | None


class EffectInput(_Shape, frozen=True):
    """A version that a delivery was made of."""

    asset: str
    version: str
    interval: Interval
    state: str


class EffectApproval(_Shape, frozen=True):
    """An approval of exactly this delivery."""

    id: Id
    state: str
    by: str | None
    why: str | None
    decided_at: Instant | None


class EffectShown(EffectLine, frozen=True):
    """`receipt` is what the body returned: what the other side acknowledged."""

    receipt: Any
    reason: str
    inputs: tuple[EffectInput, ...]
    approvals: tuple[EffectApproval, ...]
