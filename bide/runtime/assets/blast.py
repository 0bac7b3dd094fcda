"""What is affected when versions of an asset are wrong: the event, each node with its decision, the radius.

Plain data with a JSON round trip (`to_json`, `from_json`): shown, stored with an incident, compared, and what a
rerun plan is made from. `spread` in `spreading.py` makes a radius. Instants are epoch microseconds, UTC.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from bide.runtime import typed
from bide.runtime.assets.words import (
    Action,
    Cause,
    Criticality,
    Edge,
    Level,
    Node,
    Output,
    Severity,
    VersionState,
)
from bide.runtime.spans import Span


class Invalidation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Versions of an asset that are not to be trusted any more (S1-33).

    Those whose interval shares something with `[start_us, end_us)`; `version_id` names one of them alone,
    `effective_us` leaves out those made at or after it (they are right already), `code` all that the version
    of a DAG with a hash that begins so has not made. `invalidation_id` is 0 of one that is only asked about.
    """

    asset: str
    start_us: int
    end_us: int
    version_id: int | None = None
    cause: Cause = Cause.SOURCE_CORRECTION
    severity: Severity = Severity.MAJOR
    reason: str = ""
    evidence: tuple[str, ...] = ()
    effective_us: int | None = None
    code: str = ""
    discovered_us: int = 0
    by: str = ""
    invalidation_id: int = 0
    state: str = ""  # spreading, spread


class Impact(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What one wrong version does to a version that was made of it.

    `corrected` are the parts of that version that are wrong, disjoint and in order. `to` is the state it is put
    into; None: it stays as it is.
    """

    impacted: bool
    action: Action
    level: Level
    severity: Severity
    reason: str
    corrected: tuple[Span, ...] = ()
    to: VersionState | None = None


class Impacted(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One version that is affected, and its decision (S1-20).

    `[start_us, end_us)` is its data interval, `via` the input by which it is affected and `kind` how that was
    used: none of what is itself wrong. `state` is the one it had when this was found.
    """

    asset: str
    start_us: int
    end_us: int
    version_id: int
    state: VersionState
    decision: Impact
    via: int | None = None
    kind: Edge | None = None
    node: Node = Node.DERIVED
    output: Output = Output.IMMUTABLE_PARTITION
    criticality: Criticality = Criticality.NORMAL
    owner: str = ""
    code: str = ""  # hash of the version of the DAG that made it
    dag: str = ""
    run_id: int | None = None
    created_us: int = 0

    @property
    def action(self) -> Action:
        return self.decision.action

    @property
    def corrected(self) -> tuple[Span, ...]:
        """The parts of it that are wrong."""
        return self.decision.corrected


class BlastRadius(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is affected: `nodes` by version number, so each comes after what it was made of.

    Those that are wrong themselves are the ones without `via`.
    """

    root: Invalidation
    nodes: tuple[Impacted, ...] = ()

    @property
    def roots(self) -> tuple[Impacted, ...]:
        """What is wrong itself."""
        return tuple(node for node in self.nodes if node.via is None)

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets that are affected, each once, in the order they are reached."""
        return tuple(dict.fromkeys(node.asset for node in self.nodes))

    @property
    def effects(self) -> tuple[Impacted, ...]:
        """What has left the platform: no rerun takes that back."""
        return tuple(node for node in self.nodes if node.node is Node.EXTERNAL_EFFECT)


T = TypeVar("T", Invalidation, BlastRadius)


def to_json(what: Invalidation | BlastRadius) -> str:
    """As JSON, keys in a fixed order: the same radius is the same text."""
    return msgspec.json.encode(what, order="deterministic").decode()


def from_json(text: str | bytes, kind: type[T]) -> T:
    """Raises `msgspec.ValidationError` for what is no such thing.

    >>> from_json(to_json(Invalidation(asset="a", start_us=0, end_us=1)), Invalidation).cause.value
    'source_correction'
    """
    return typed.decode(text, kind)
