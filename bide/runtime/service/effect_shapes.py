"""The JSON of the ledger of external effects: keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from typing import Any

from bide.runtime.service.shapes import Interval, _Shape


class EffectLine(_Shape, frozen=True):
    """A delivery. `corrects` is the one whose place it takes, or which it corrects; `corrected_by` the other way."""

    id: str
    effect: str
    target: str
    semantics: str
    state: str
    interval: Interval
    key: str
    version: str
    corrects: str | None
    corrected_by: str | None
    run_id: str | None
    dag: str | None
    task: str | None
    asked_at: str
    delivered_at: str | None


class EffectInput(_Shape, frozen=True):
    """A version that a delivery was made of."""

    asset: str
    version: str
    interval: Interval
    state: str


class EffectApproval(_Shape, frozen=True):
    """An approval of exactly this delivery."""

    id: str
    state: str
    by: str | None
    why: str | None
    decided_at: str | None


class EffectShown(EffectLine, frozen=True):
    """`receipt` is what the body returned: what the other side acknowledged."""

    receipt: Any
    reason: str
    inputs: tuple[EffectInput, ...]
    approvals: tuple[EffectApproval, ...]
