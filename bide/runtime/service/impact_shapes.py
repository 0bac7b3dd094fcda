"""The JSON of invalidations, blast radii and lineage that every door gives."""

from __future__ import annotations

from bide.runtime.service.said_words import Id, Instant
from bide.runtime.service.shapes import Done, Interval, _Shape


class InvalidationLine(_Shape, frozen=True):
    """Versions that are not to be trusted. `version` is null where all over the interval are meant.

    `versions` counts all that it has hit; `state` is `spreading` until that is all.
    """

    invalidation_id: Id
    asset: str
    interval: Interval
    version: str | None
    cause: str
    severity: str
    reason: str
    evidence: tuple[str, ...]
    effective: str | None
    code: str
    discovered_at: Instant
    by: str
    state: str
    versions: int


class Invalidated(Done, frozen=True, kw_only=True):
    """What was just done: `wrong` versions are marked, what was made of them is on its way."""

    invalidation_id: Id
    asset: str
    interval: Interval
    wrong: int
    state: str
    cause: str = ""
    severity: str = ""
    reason: str = ""
    evidence: tuple[str, ...] = ()
    effective: str | None = None
    by: str = ""

    @property
    def id(self) -> str:
        """Its number, as other records have it."""
        return self.invalidation_id


class ImpactLine(_Shape, frozen=True):
    """The decision on a version: `corrected` are the parts of it that are wrong, `to` the state it is put into."""

    action: str
    level: str
    severity: str
    reason: str
    to: str | None
    corrected: tuple[Interval, ...]


class ImpactedLine(_Shape, frozen=True):
    """A version that is affected. `via` is the input by which, null where it is wrong itself; "0" stands for the
    asset that is wrong, where that has no versions.
    """

    asset: str
    interval: Interval
    version: str
    via: str | None
    kind: str | None
    state: str
    decision: ImpactLine
    node: str
    output: str
    criticality: str
    owner: str
    dag: str
    run_id: Id | None
    code: str


class BlastShown(_Shape, frozen=True):
    """All that is affected. `invalidation_id` is null of what is only asked about: nothing is changed by asking."""

    asset: str
    interval: Interval
    version: str | None
    cause: str
    severity: str
    effective: str | None
    code: str
    invalidation_id: Id | None
    assets: tuple[str, ...]
    exports: int
    nodes: tuple[ImpactedLine, ...]


class LineageCheck(_Shape, frozen=True):
    name: str
    severity: str
    passed: bool


class LineageVersion(_Shape, frozen=True):
    """A version with what made it. `code` is the hash of the DAG's version, `delivery` what the ledger says."""

    asset: str
    version: str
    interval: Interval
    state: str
    reason: str
    created_at: Instant
    label: str
    node: str
    owner: str
    dag: str | None
    task: str | None
    run_id: Id | None
    attempt: int | None
    code: str | None
    checks: tuple[LineageCheck, ...]
    target: str | None
    delivery: str | None
    delivered_at: Instant | None


class LineageEdge(_Shape, frozen=True):
    """`version` was made of `input`; `kind` says how it was used."""

    version: str
    input: str
    kind: str


class LineageShown(_Shape, frozen=True):
    """Where a version comes from (`up`) and where it went (`down`); `versions` are all that the edges name.

    `runs` are those that were made of it, `told` the owners who heard that it is affected.
    """

    version: LineageVersion
    up: tuple[LineageEdge, ...]
    down: tuple[LineageEdge, ...]
    versions: tuple[LineageVersion, ...]
    runs: tuple[str, ...]
    told: tuple[str, ...]
