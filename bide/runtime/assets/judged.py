"""What evaluation reads and what it says, as plain data: stored with a decision, and replayed offline.

`Asked` is the question, `Observed` what there is of one upstream, `Found` what one contract makes of it,
`Issue` one requirement that is not met, `Decision` the answer, `Evidence` all of what it was made of.
Instants are epoch microseconds, UTC.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.words import VISIBLE, Action, Edge, Level, Result, Severity, VersionState


class Phase(StrEnum):
    """What is asked to go on (S1-42, S1-56)."""

    EXECUTING = "executing"  # may the task begin, and on which versions
    PUBLISHING = "publishing"  # may the version be seen
    EFFECT = "effect"  # may something leave the platform
    USE = "use"  # may a consumer use it for its purpose


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question: may `asset` be made, published, exported or used, over the data interval `[start_us, end_us)`."""

    phase: Phase
    asset: str
    start_us: int
    end_us: int
    now_us: int
    backfill: bool = False
    plan_id: int | None = None  # of a rerun plan: its own validated versions count as visible, and come first
    consumer: str = ""  # whose purpose it is, of phase `use`
    tz: str = "UTC"  # the calendar in which an offset of whole days is days


class Checked(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a gate found of a version."""

    name: str
    severity: Severity
    passed: bool


class Version(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A version as evaluation sees it: the data interval `[start_us, end_us)`, its state, what was checked."""

    version_id: int
    asset: str
    start_us: int
    end_us: int
    state: VersionState
    created_us: int
    label: str = ""
    schema_id: int | None = None
    checks: tuple[Checked, ...] = ()
    limits: tuple[str, ...] = ()  # known limitations of a degraded one
    expires_us: int | None = None  # until when these were accepted
    plan_id: int | None = None  # of the rerun plan it was made for, while that is not over
    run_id: int | None = None

    @property
    def visible(self) -> bool:
        state = self.state  # one of VISIBLE: by identity, as the hash of an enum's member is slow
        return state is _PUBLISHED or state is _STALE or state is _DEGRADED


_PUBLISHED, _STALE, _DEGRADED = VersionState.PUBLISHED, VersionState.STALE, VersionState.DEGRADED
assert {_PUBLISHED, _STALE, _DEGRADED} == VISIBLE


class Observed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What there is of one upstream, for one interval.

    `over` are its versions that share something with the interval (or are of the very same one, when it is
    empty), oldest first, in every state but building; `latest` the newest visible one, `previous` the newest
    visible one that ends at or before the interval's start, neither of them one whose `expires_us` is past;
    `exact` the one a contract names. Newest is by the end of the interval, then by number. `gates` are
    those declared of it. `schemas` are its schemas by id (JSON), those of versions that were visible, in the
    order of their first version; the last is the newest. The interval is that of `reading.wanted`.

    Before publishing `read` are the versions that the instance was given, as they are now, whatever their
    state: they are judged, not those that it would be given now. None: nothing was decided before.
    `accepted` are the schemas that the consumer is known to live with: those of inputs of what it published.
    """

    upstream: str
    known: bool = True
    over: tuple[Version, ...] = ()
    latest: Version | None = None
    exact: Version | None = None
    previous: Version | None = None
    gates: tuple[Checked, ...] = ()  # of which `passed` means nothing here
    schemas: tuple[tuple[int, Any], ...] = ()
    read: tuple[Version, ...] | None = None
    accepted: tuple[int, ...] = ()


class Used(msgspec.Struct, frozen=True):
    """A version that may be read, and by which kind of edge."""

    version: Version
    kind: Edge


class Issue(msgspec.Struct, frozen=True, omit_defaults=True):
    """One requirement that is not met: what was asked, what was seen, and what follows (S1-43)."""

    upstream: str
    requirement: str
    observed: str
    action: Action
    severity: Severity
    level: Level
    result: Result
    rationale: str = ""


class Found(msgspec.Struct, frozen=True):
    """What one contract says: the versions that are read, what is not met, what the output inherits."""

    use: tuple[Used, ...] = ()
    issues: tuple[Issue, ...] = ()
    limits: tuple[str, ...] = ()


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one question, stored with what was observed (S1-18). `level` is the strictest of its issues'.

    `retryable`: what would change it can still come by itself. `limits` are what its output inherits as known
    limitations. `id` is that of the record, "" before it is stored.
    """

    level: Level
    reason: str
    issues: tuple[Issue, ...] = ()
    retryable: bool = False
    id: str = ""
    phase: Phase = Phase.USE
    asset: str = ""
    limits: tuple[str, ...] = ()

    @property
    def levels(self) -> frozenset[Level]:
        """Every level that an issue of it demands."""
        return frozenset(issue.level for issue in self.issues if issue.level is not Level.NONE)

    @property
    def allowed(self) -> bool:
        """Whether what was asked may go on now, without a person."""
        return not self.levels & STOPS[self.phase]

    @property
    def notifies(self) -> bool:
        """Whether consumers may be told of what goes on."""
        return self.allowed and Level.CONSUMER_NOTIFICATION not in self.levels

    @property
    def leaves(self) -> bool:
        """Whether it may leave the platform."""
        return self.allowed and not self.levels & STOPS[Phase.EFFECT]


STOPS: dict[Phase, frozenset[Level]] = {
    Phase.EXECUTING: frozenset({Level.EXECUTION, Level.MANUAL_APPROVAL}),
    Phase.PUBLISHING: frozenset({Level.EXECUTION, Level.PUBLICATION, Level.MANUAL_APPROVAL}),
    Phase.EFFECT: frozenset(Level) - {Level.NONE, Level.CONSUMER_NOTIFICATION},
    Phase.USE: frozenset({Level.EXECUTION, Level.PUBLICATION, Level.MANUAL_APPROVAL}),
}
"""Which levels stop which question; the milder ones let it go on, with less (S1-16, S1-17)."""


class Evidence(msgspec.Struct, frozen=True):
    """All that a decision was made of: `evaluate.replay` makes the same decision of it again, anywhere (D21)."""

    asked: Asked
    contracts: tuple[ContractSpec, ...]
    seen: tuple[Observed, ...]
    now_us: int
