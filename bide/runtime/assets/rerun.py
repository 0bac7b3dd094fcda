"""A rerun plan as plain data: what is made anew, in which order, how each is published, at what risk and cost.

It is a file: read, compared line by line, approved, then run exactly as approved. Its hash is of what it would
do, not of its number or of estimates; instants are ISO 8601, UTC. `plan_of` in `plan.py` makes one.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.words import Output
from bide.runtime.clock import from_us, to_us
from bide.runtime.errors import UsageError


class Scope(StrEnum):
    """How far a step reaches (S1-22), from the narrowest."""

    ATTEMPT = "attempt"  # the candidate that nobody has seen is made once more
    TASK = "task_in_same_run"  # one task of one run, and nothing was made of it
    PARTITION = "asset_partition"  # one partition is replaced
    INTERVAL = "asset_interval"  # one interval of an asset that is not kept in partitions
    ENTIRE_ASSET = "entire_asset"  # what has no parts is built anew as a whole
    SUBGRAPH = "downstream_subgraph"  # several assets that one DAG makes of one another
    COMPENSATION = "external_effect_compensation"  # what has left the platform is corrected
    RESTATEMENT = "full_historical_restatement"  # every version there is of the asset


class Mode(StrEnum):
    """How an output is safely made anew, by how it is written (S1-23)."""

    REPLACE = "stage_validate_replace"
    CORRECT = "append_correction"
    REBUILD = "rebuild"
    COMPENSATE = "supersede_or_correct_by_ledger"
    REINDEX = "reindex"
    REFILL = "invalidate_and_rebuild"


MODES: Final = {
    Output.IMMUTABLE_PARTITION: Mode.REPLACE,
    Output.APPEND_ONLY: Mode.CORRECT,
    Output.CURRENT_PROJECTION: Mode.REBUILD,
    Output.EXPORT: Mode.COMPENSATE,
    Output.SEARCH_INDEX: Mode.REINDEX,
    Output.CACHE: Mode.REFILL,
}

WHOLE: Final = frozenset({Output.CURRENT_PROJECTION, Output.SEARCH_INDEX, Output.CACHE})
"""Outputs of which there is one, not one an interval."""


class Publication(StrEnum):
    """When consumers see what a step makes."""

    STAGED = "staged"  # with all the others, when every one of them is validated
    COMPENSATION = "after_publication"  # it leaves the platform once the others are seen


class Risk(StrEnum):
    """What can go wrong by running it, from the least."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Span(msgspec.Struct, frozen=True, order=True):
    """`[start, end)`, ISO 8601, UTC."""

    start: str
    end: str

    def __str__(self) -> str:
        return self.start if self.start == self.end else f"{self.start} to {self.end}"


def span_of(start_us: int, end_us: int) -> Span:
    """The interval in ISO 8601.

    >>> str(span_of(0, 3_600_000_000))
    '1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z'
    """
    return Span(_iso(start_us), _iso(end_us))


def instant_us(iso: str) -> int:
    """Epoch microseconds of an instant as a plan has it."""
    return to_us(datetime.fromisoformat(iso))


def _iso(at_us: int) -> str:
    return from_us(at_us).isoformat().replace("+00:00", "Z")


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The invalidation that a plan mends."""

    invalidation: str
    asset: str
    interval: Span
    cause: str
    severity: str
    reason: str = ""


class Remade(msgspec.Struct, frozen=True, kw_only=True):
    """One asset that a step makes. `replaces`: the versions that are wrong; none of what is only made beside."""

    asset: str
    mode: Mode
    replaces: tuple[int, ...] = ()


class RerunStep(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a DAG for one interval, of these tasks alone (S1-25). It starts after `depends_on_steps`.

    `params` are those of the run that made what is replaced, where they were not the DAG's own.
    """

    name: str
    pipeline: str
    tasks: tuple[str, ...]
    interval: Span
    scope: Scope
    mode: Mode
    makes: tuple[Remade, ...]
    transform_version: str
    publication_mode: Publication = Publication.STAGED
    depends_on_steps: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    why: str = ""

    @property
    def compensates(self) -> bool:
        return self.publication_mode is Publication.COMPENSATION


class Needed(msgspec.Struct, frozen=True):
    """What a person has to approve, and why."""

    what: str
    why: str


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is affected and not made anew. `missing`: it has to be, and no task makes it."""

    asset: str
    interval: Span
    version: int
    why: str
    missing: bool = False


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """`units` of budgets, as the tasks declare them. Seconds are estimates by former runs; None: none is known.

    `seconds` is the sum over all tasks, `seconds_at_least` that of the longest chain of steps.
    """

    runs: int = 0
    tasks: int = 0
    units: dict[str, float] = {}
    seconds: float | None = None
    seconds_at_least: float | None = None


class RerunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done about an invalidation (S1-24). `steps` stand in an order in which they may run."""

    id: str = ""
    hash: str = ""
    cause: Why
    steps: tuple[RerunStep, ...] = ()
    risk: Risk = Risk.LOW
    because: tuple[str, ...] = ()
    requires_approval: bool = False
    approvals: tuple[Needed, ...] = ()
    cost: Cost = Cost()
    left: tuple[Left, ...] = ()
    summary: tuple[str, ...] = ()

    @property
    def compensations(self) -> tuple[RerunStep, ...]:
        return tuple(step for step in self.steps if step.compensates)

    @property
    def missing(self) -> tuple[Left, ...]:
        """What has to be there before this can run."""
        return tuple(each for each in self.left if each.missing)


def hash_of(plan: RerunPlan) -> str:
    """What names a plan: the same acts for the same cause have the same hash, whenever it is made."""
    cost = msgspec.structs.replace(plan.cost, seconds=None, seconds_at_least=None)
    acts = msgspec.structs.replace(plan, id="", hash="", cost=cost, summary=())
    return hashlib.sha256(msgspec.json.encode(acts, order="sorted")).hexdigest()


def named(plan: RerunPlan, plan_id: str = "") -> RerunPlan:
    """The plan with its hash, and the number it is stored by."""
    return msgspec.structs.replace(plan, id=plan_id, hash=hash_of(plan))


def to_file(plan: RerunPlan) -> str:
    """The file: sorted keys, one value a line, so that two of them are compared line by line."""
    return msgspec.json.format(msgspec.json.encode(plan, order="sorted"), indent=2).decode() + "\n"


def from_file(text: str | bytes, name: str = "this") -> RerunPlan:
    """The plan of a file. `UsageError` when it is none, or was changed after it was made."""
    try:
        plan = typed.decode(text, RerunPlan)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{name} is no rerun plan ({error}): make one with `bide assets plan INVALIDATION -o plan.json`"
        ) from None
    if plan.hash != hash_of(plan):
        raise UsageError(
            f"{name} was changed after it was made: its hash is {plan.hash[:12]}, and what it says has "
            f"{hash_of(plan)[:12]}; a plan is approved and run as it was made"
        )
    return plan
