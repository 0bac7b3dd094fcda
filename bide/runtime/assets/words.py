"""The words of the asset graph: kinds of nodes and edges, states, actions, levels, severities.

They are the spec's, in lower snake case; S1-7 and the others are its ids. Order counts where a class
says so: the later member is the stricter or the worse one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Node(StrEnum):
    """What an asset is (S1-7). Those that no task makes are known by being named."""

    SOURCE = "source"  # an origin outside: a database, an API of a partner
    RAW = "raw"  # what was captured, as it came
    CANONICAL = "canonical"  # cleaned, with one meaning
    DERIVED = "derived"  # aggregated or transformed
    PRODUCT = "product"  # what consumers see
    REFERENCE = "reference"  # rules and dimensions that change slowly
    QUALITY_GATE = "quality_gate"  # a decision boundary, not a transformation
    CONTROL_EVENT = "control_event"  # a snapshot is complete, an approval was granted
    EXTERNAL_EFFECT = "external_effect"  # output that leaves the platform
    HUMAN_DECISION = "human_decision"  # a person approves or overrides


class Edge(StrEnum):
    """What it means that one asset depends on another (S1-8)."""

    READ = "read"  # reads its records
    EXACT_VERSION = "exact_version"
    INTERVAL_MATCH = "interval_match"  # needs the versions of its own interval
    FRESHNESS = "freshness"
    QUALITY_GATE = "quality_gate"
    SCHEMA_COMPATIBILITY = "schema_compatibility"
    REFERENCE_DATA = "reference_data"  # uses the newest as a slowly changing reference
    CONTROL_EVENT = "control_event"
    PUBLICATION = "publication"  # sees it after it was published only
    INVALIDATION = "invalidation"  # is invalidated by its corrections; asks nothing at run time


class VersionState(StrEnum):
    """What may be done with a version (S1-11). `assets/states.py` has the legal ways between them."""

    UNKNOWN = "unknown"
    BUILDING = "building"
    STAGED = "staged"  # it exists, and nobody may see it
    VALIDATED = "validated"  # its gates passed
    PUBLISHED = "published"
    STALE = "stale"  # published, and what should have followed it is late
    DEGRADED = "degraded"  # published, with limitations that are said
    INVALIDATED = "invalidated"  # not to be trusted
    SUPERSEDED = "superseded"  # a newer version of its interval took its place
    QUARANTINED = "quarantined"  # held back for what its gates found
    FAILED = "failed"


class Action(StrEnum):
    """What an unmet requirement does to what depends on it (S1-14)."""

    BLOCK = "block"
    WARN = "warn"
    USE_PREVIOUS_VERSION = "use_previous_version"
    USE_LATEST_VERSION = "use_latest_version"
    QUARANTINE_OUTPUT = "quarantine_output"
    PARTIAL_PUBLISH = "partial_publish"
    INVALIDATE_DOWNSTREAM = "invalidate_downstream"
    SCHEDULE_RECOMPUTE = "schedule_recompute"
    REQUIRE_MANUAL_APPROVAL = "require_manual_approval"


class Level(StrEnum):
    """How far a decision lets go on (S1-16), from the mildest to the strictest."""

    NONE = "none"
    CONSUMER_NOTIFICATION = "consumer_notification"  # published, and consumers are not told
    EXTERNAL_SIDE_EFFECT = "external_side_effect"  # nothing leaves the platform
    MANUAL_APPROVAL = "manual_approval"  # not before a person says so
    PUBLICATION = "publication"  # computed and validated, not published
    EXECUTION = "execution"  # not begun


class Severity(StrEnum):
    """How bad it is for consumers (S1-26), from the mildest to the worst."""

    INFO = "info"
    WARNING = "warning"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class Result(StrEnum):
    """What evaluating one requirement found."""

    MET = "met"
    MISSING = "missing"  # no version that could be used
    STALE = "stale"  # older than allowed
    QUALITY = "quality"  # a gate that is asked for failed, or has not been run
    SCHEMA = "schema"  # not compatible
    INVALID = "invalid"  # what there is was invalidated or is quarantined
    DEGRADED = "degraded"  # usable, with limitations of its own


class Criticality(StrEnum):
    """How much hangs on an asset, from the least."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


class Output(StrEnum):
    """How an asset is written, which says how a rerun is safe (S1-23)."""

    IMMUTABLE_PARTITION = "immutable_partition"  # stage, validate, replace the partition
    APPEND_ONLY = "append_only"  # corrections and retractions are appended
    CURRENT_PROJECTION = "current_projection"  # rebuilt or overwritten idempotently
    EXPORT = "export"  # has left: superseded or corrected by its ledger
    SEARCH_INDEX = "search_index"  # reindexed, or an alias is moved
    CACHE = "cache"  # invalidated and rebuilt


class Semantics(StrEnum):
    """What a second delivery does to the other side (S1-51)."""

    IDEMPOTENT_PUT = "idempotent_put"  # it takes the place of the first one
    APPEND_ONLY_EXPORT = "append_only_export"  # it is appended: what was wrong is corrected by another
    NOTIFICATION = "notification"  # people or machines were told
    STATEFUL_REMOTE_MUTATION = "stateful_remote_mutation"  # it changes what is there
    HUMAN_VISIBLE_PUBLICATION = "human_visible_publication"  # people have seen the first one

    @property
    def replaces(self) -> bool:
        """Whether a later delivery takes the place of an earlier one; otherwise it corrects it."""
        return self in (Semantics.IDEMPOTENT_PUT, Semantics.HUMAN_VISIBLE_PUBLICATION)


class Cause(StrEnum):
    """Why a version is not to be trusted any more (S1-32)."""

    SOURCE_CORRECTION = "source_correction"
    SCHEMA_INTERPRETATION = "schema_interpretation"
    TRANSFORM_BUG = "transform_bug"
    LATE_QUALITY_FAILURE = "late_quality_failure"
    SECURITY = "security"
    REFERENCE_UPDATE = "reference_update"
    DUPLICATE_INGESTION = "duplicate_ingestion"
    MISSING_PARTITION = "missing_partition"


VISIBLE: Final = frozenset({VersionState.PUBLISHED, VersionState.STALE, VersionState.DEGRADED})
"""What consumers may see: a version in one of these states."""

GRAINS: Final = ("hour", "day", "week", "month")


def worst(severities: list[Severity]) -> Severity:
    """The worst of them; `info` of none."""
    order = list(Severity)
    return max(severities, key=order.index, default=Severity.INFO)


def strictest(levels: list[Level]) -> Level:
    """The strictest of them; `none` of none."""
    order = list(Level)
    return max(levels, key=order.index, default=Level.NONE)
