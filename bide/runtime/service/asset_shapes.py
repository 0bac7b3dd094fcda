"""The JSON of assets that every door gives: keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from typing import Any

import msgspec

from bide.runtime.service.said_words import Id, Instant, VersionWord
from bide.runtime.service.shapes import Detail, Interval, _Shape


class AssetLine(_Shape, frozen=True):
    """An asset. `version` (the newest) and what follows of it are null while it has none.

    `producers` are `dag.task`, `consumers` DAGs whose schedule looks at it.
    """

    asset: str
    version: str | None
    interval: Interval | None
    created_at: Instant | None
    producers: tuple[str, ...]
    consumers: tuple[str, ...]


class LimitsLine(_Shape, frozen=True):
    """Why a version is degraded: what is known to be wrong, who accepted that, and until when."""

    reason: str
    known_limitations: tuple[str, ...]
    approved_by: str
    expires_at: Instant | None


class CheckLine(_Shape, frozen=True):
    """What a gate found of a version."""

    name: str
    severity: str
    passed: bool
    observed: Any
    expected: Any
    message: str


class VersionLine(_Shape, frozen=True):
    """A version: the task and run that made it, and the runs that it made; why it is in its state.

    `held`: it is made and not let out; `shadow`: it never is. `meta` is what was said when it was staged.
    """

    version: str
    state: VersionWord
    interval: Interval
    created_at: Instant
    dag: str | None
    task: str | None
    run_id: Id | None
    runs: tuple[str, ...]
    reason: str = ""
    label: str = ""
    held: bool = False
    shadow: bool = False
    meta: dict[str, Any] = msgspec.field(default_factory=dict)
    checks: tuple[CheckLine, ...] = ()
    limits: LimitsLine | None = None


class AssetShown(AssetLine, frozen=True):
    """An asset with its versions, the newest first, and what is declared of it."""

    versions: tuple[VersionLine, ...]
    doc: str = ""
    owner: str = ""
    node: str = ""
    criticality: str = ""
    grain: str | None = None


class AssetEventLine(_Shape, frozen=True):
    """A version as one DAG has it: pending, used, superseded (a newer one was used) or dropped.

    `period` is the start of the part of it, where the DAG takes it period by period; `again` counts
    replays. `place` is where it stands in the listing.
    """

    dag: str
    asset: str
    version: str
    interval: Interval
    period: str | None
    again: int
    state: str
    run_id: Id | None
    reason: str
    created_at: Instant
    place: str = ""


class DagWhyShown(_Shape, frozen=True):
    """Why a DAG makes no run now; for one that looks at assets the details are a truth table."""

    dag: str
    state: str
    why: str
    details: tuple[Detail, ...]
    next: str | None
