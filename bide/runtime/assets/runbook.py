"""The runbook of an incident (S1-54): twelve steps, each answered from what is recorded, or by a person's note.

Pure: `walk(facts)` says of each step what is known of it and whether it is done. The decision model stands
before any click on a button: what is wrong, who sees it, how far it goes, what mends it, who was told.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from bide.runtime.assets.severity import classify, impairment
from bide.runtime.assets.words import VISIBLE, Action, Cause, Criticality, Node, Severity


class Step(StrEnum):
    """The twelve, in order."""

    IDENTIFY = "identify"
    FAILURE_TYPE = "failure_type"
    CONSUMER_VISIBLE = "consumer_visible"
    BLAST_RADIUS = "blast_radius"
    SEVERITY = "severity"
    PLAN = "plan"
    BLOCK = "block"
    NOTIFY = "notify"
    RECOMPUTE = "recompute"
    VALIDATE = "validate"
    PUBLISH = "publish"
    CLOSE = "close"


TITLES: Final[dict[Step, str]] = {
    Step.IDENTIFY: "Identify the failed or invalid node",
    Step.FAILURE_TYPE: "Identify the type of failure",
    Step.CONSUMER_VISIBLE: "Is any consumer-visible asset wrong, stale or blocked?",
    Step.BLAST_RADIUS: "Run the blast radius analysis",
    Step.SEVERITY: "Classify the severity",
    Step.PLAN: "Generate the rerun plan",
    Step.BLOCK: "Apply blocking or degraded mode",
    Step.NOTIFY: "Notify owners and consumers",
    Step.RECOMPUTE: "Recompute, staged",
    Step.VALIDATE: "Validate and reconcile the output",
    Step.PUBLISH: "Publish or supersede the affected assets",
    Step.CLOSE: "Close the incident with evidence",
}


class Failure(StrEnum):
    """What kind of failure it is (S1-54b)."""

    EXECUTION = "execution"
    QUALITY = "quality"
    SCHEMA = "schema"
    SOURCE_CORRECTION = "source_correction"
    SECURITY = "security"
    EXTERNAL_EFFECT = "external_effect"


_FAILURES: Final[dict[Cause, Failure]] = {
    Cause.SOURCE_CORRECTION: Failure.SOURCE_CORRECTION,
    Cause.REFERENCE_UPDATE: Failure.SOURCE_CORRECTION,
    Cause.DUPLICATE_INGESTION: Failure.SOURCE_CORRECTION,
    Cause.MISSING_PARTITION: Failure.SOURCE_CORRECTION,
    Cause.SCHEMA_INTERPRETATION: Failure.SCHEMA,
    Cause.TRANSFORM_BUG: Failure.EXECUTION,
    Cause.LATE_QUALITY_FAILURE: Failure.QUALITY,
    Cause.SECURITY: Failure.SECURITY,
}


class Note(msgspec.Struct, frozen=True):
    """What a person has said at a step."""

    step: str
    by: str
    text: str


class Hit(msgspec.Struct, frozen=True):
    """A version that the invalidation has reached: how it was before, how it is now, whether it has a successor."""

    version: int
    asset: str
    was: str
    now: str
    node: str
    action: str
    replaced_by: int | None = None
    checks_failed: int = 0
    criticality: Criticality = Criticality.NORMAL


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of an incident."""

    asset: str | None = None
    node: str = ""
    invalidation: int | None = None
    interval: str = ""
    cause: str = ""
    reason: str = ""
    spread: bool = False
    severity: Severity = Severity.MAJOR
    hits: tuple[Hit, ...] = ()
    stale: int = 0
    blocked: tuple[str, ...] = ()  # what decisions on the affected assets have stopped since
    plan: int | None = None
    plan_hash: str = ""
    plan_state: str = ""
    steps: tuple[tuple[str, int], ...] = ()  # state of the plan's steps -> how many
    told: tuple[str, ...] = ()  # whom alerts were raised for
    notes: tuple[Note, ...] = ()
    dimensions: tuple[str, ...] = ()  # of the severity, as people have said when it was opened
    closed_by: str = ""


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """One step: `known` is what the records say ("" when nothing), `notes` what people have said."""

    number: int
    step: Step
    title: str
    done: bool
    known: str
    notes: tuple[Note, ...] = ()


def walk(f: Facts) -> tuple[Walked, ...]:
    """All twelve steps in order. A step is done when the records answer it, or somebody has."""
    said = {step: tuple(note for note in f.notes if note.step == step) for step in Step}
    return tuple(
        Walked(
            number=number,
            step=step,
            title=TITLES[step],
            done=bool(known) or bool(said[step]),
            known=known,
            notes=said[step],
        )
        for number, step in enumerate(Step, 1)
        for known in (_known(step, f),)
    )


def missing(f: Facts) -> tuple[Step, ...]:
    """What has to be answered before it may be closed."""
    return tuple(each.step for each in walk(f) if not each.done and each.step is not Step.CLOSE)


def _known(step: Step, f: Facts) -> str:
    match step:
        case Step.IDENTIFY:
            of = f" over {f.interval}" if f.interval else ""
            return f"{f.asset}{of}{': ' + f.reason if f.reason else ''}" if f.asset else ""
        case Step.FAILURE_TYPE:
            return _failure(f)
        case Step.CONSUMER_VISIBLE:
            return _visible(f)
        case Step.BLAST_RADIUS:
            return _radius(f)
        case Step.SEVERITY:
            return _severity(f)
        case Step.PLAN:
            return f"plan {f.plan} ({f.plan_hash[:12]}) is {f.plan_state}" if f.plan is not None else ""
        case Step.BLOCK:
            return _blocked(f)
        case Step.NOTIFY:
            return f"alerts were raised for {', '.join(f.told)}" if f.told else ""
        case Step.RECOMPUTE:
            done = {"staged", "published"}
            states = dict(f.steps)
            if not states or set(states) - done:
                return ""
            return f"all {sum(states.values())} steps of plan {f.plan} have staged what they make"
        case Step.VALIDATE:
            return _validated(f)
        case Step.PUBLISH:
            return _published(f)
        case Step.CLOSE:
            return f"closed by {f.closed_by}" if f.closed_by else ""


def _failure(f: Facts) -> str:
    if f.node == _LEFT:
        return f"{Failure.EXTERNAL_EFFECT.value}"
    try:
        cause = Cause(f.cause)
    except ValueError:
        return ""
    return f"{_FAILURES[cause].value} ({cause.value})"


_LEFT: Final = Node.EXTERNAL_EFFECT.value
_ANEW: Final = Action.SCHEDULE_RECOMPUTE.value
_SEEN: Final = tuple(state.value for state in VISIBLE)


def _visible(f: Facts) -> str:
    if f.invalidation is None or not f.spread:
        return ""
    seen = [hit for hit in f.hits if hit.was in _SEEN]
    left = [hit for hit in f.hits if hit.node == _LEFT]
    if not seen and not left:
        return "no: nothing that is affected was visible"
    words = f"yes: {len(seen)} visible versions of {_assets(seen)}" if seen else "yes:"
    if left:
        words += f"{',' if seen else ''} and {len(left)} that left the platform ({_assets(left)})"
    return words


def _severity(f: Facts) -> str:
    """As it was said, and what the seven dimensions make of it: those that are on record, and those that people named."""
    dimensions = (*f.dimensions, *(name for name in recorded(f) if name not in f.dimensions))
    if not dimensions:
        return f.severity.value
    most = max((hit.criticality for hit in f.hits), key=list(Criticality).index, default=Criticality.NORMAL)
    found = classify(impairment(dimensions, most))
    words = ", ".join(name.replace("_", " ") for name in dimensions)
    return f"{f.severity.value}; by the dimensions {found.value}: {words}"


def recorded(f: Facts) -> tuple[str, ...]:
    """The dimensions of its severity that the records show; a deadline of the law is for people to say (S1-27).

    What spreads leaves of a version that was seen: nothing to be trusted (it was wrong), or one with limitations
    or to be made anew (it is behind).
    """
    seen = [hit for hit in f.hits if hit.was in _SEEN]
    left = any(hit.node == _LEFT for hit in seen)
    wrong = any(hit.node != _LEFT and _to_mend(hit) and hit.action != _ANEW for hit in seen)
    shows = {
        "visible_wrong": wrong,
        "visible_stale": f.stale > 0 or any(not _to_mend(hit) or hit.action == _ANEW for hit in seen),
        "blocked": bool(f.blocked) or any(hit.was not in _SEEN for hit in f.hits),
        "effect_done": left,
        "sensitive_exposed": f.cause == Cause.SECURITY and (wrong or left),
        "needs_a_person": any(hit.action == Action.REQUIRE_MANUAL_APPROVAL for hit in f.hits),
    }
    return tuple(name for name, shown in shows.items() if shown)


def _radius(f: Facts) -> str:
    if f.invalidation is None or not f.spread:
        return ""
    return f"{len(f.hits)} versions of {len({hit.asset for hit in f.hits})} assets: {_assets(f.hits)}"


def _blocked(f: Facts) -> str:
    words = []
    bad = [hit for hit in f.hits if hit.now in ("invalidated", "quarantined")]
    degraded = [hit for hit in f.hits if hit.now == "degraded"]
    if bad:
        words.append(f"{len(bad)} versions are not to be used ({_assets(bad)})")
    if degraded:
        words.append(f"{len(degraded)} are degraded ({_assets(degraded)})")
    if f.blocked:
        words.append(f"stopped: {', '.join(f.blocked)}")
    return "; ".join(words)


def _validated(f: Facts) -> str:
    """Every successor of a wrong version has passed its gates."""
    data = [hit for hit in f.hits if hit.node != _LEFT]
    if not data or any(hit.replaced_by is None for hit in data if _to_mend(hit)):
        return ""
    replaced = [hit for hit in data if hit.replaced_by is not None]
    if not replaced or any(hit.checks_failed for hit in replaced):
        return ""
    return f"{len(replaced)} versions took the place of wrong ones, and no gate of them has failed"


def _published(f: Facts) -> str:
    data = [hit for hit in f.hits if hit.node != _LEFT and _to_mend(hit)]
    if not data or any(hit.replaced_by is None for hit in data):
        return ""
    return f"every wrong version has a successor: {_assets(data)}"


def _to_mend(hit: Hit) -> bool:
    return hit.action not in ("warn", "use_previous_version", "use_latest_version", "partial_publish")


def _assets(hits: tuple[Hit, ...] | list[Hit]) -> str:
    names = list(dict.fromkeys(hit.asset for hit in hits))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}"
