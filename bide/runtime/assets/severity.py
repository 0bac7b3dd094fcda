"""How bad it is for consumers, from seven questions about what happened, and what follows from that.

Severity is of the impact on consumers, not of the ugliness of a stack trace (S1-26..28).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from bide.runtime.assets.words import Action, Cause, Criticality, Level, Severity
from bide.runtime.errors import UsageError


class Impairment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is the matter with an asset, by the seven dimensions of S1-27; and how much hangs on it."""

    visible_wrong: bool = False  # consumers see wrong data
    visible_stale: bool = False  # consumers see old data
    blocked: bool = False  # the output is held back before anybody sees it
    effect_done: bool = False  # something of it has left the platform
    sensitive_exposed: bool = False  # personal or sensitive data is seen by who should not
    regulatory_deadline: bool = False  # a deadline that the law set is in danger
    corrects_itself: bool = True  # it can be put right without a person
    criticality: Criticality = Criticality.NORMAL

    @property
    def anything(self) -> bool:
        """Whether there is anything the matter; that it needs a person alone says nothing of consumers."""
        return (
            self.visible_wrong or self.visible_stale or self.blocked or self.effect_done
            or self.sensitive_exposed or self.regulatory_deadline
        )  # fmt: skip

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Those of the seven that make it worse, by name."""
        bad = tuple(name for name in DIMENSIONS[:-1] if getattr(self, name))
        return bad if self.corrects_itself else (*bad, DIMENSIONS[-1])


DIMENSIONS: Final = (
    "visible_wrong", "visible_stale", "blocked", "effect_done", "sensitive_exposed", "regulatory_deadline",
    "needs_a_person",
)  # fmt: skip
"""The words of the seven, each of them for the worse."""


def impairment(dimensions: Iterable[str], criticality: Criticality = Criticality.NORMAL) -> Impairment:
    """What people say is the matter. Raises `UsageError` for a word that is none of `DIMENSIONS`."""
    said = set(dimensions)
    unknown = sorted(said.difference(DIMENSIONS))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no dimension of a severity: use {', '.join(DIMENSIONS)}")
    flags = {name: name in said for name in DIMENSIONS[:-1]}
    return Impairment(**flags, corrects_itself=DIMENSIONS[-1] not in said, criticality=criticality)


_ORDER: Final = list(Severity)
_IMPORTANT: Final = (Criticality.HIGH, Criticality.CRITICAL)


def classify(what: Impairment) -> Severity:
    """The severity. More of what is bad never makes it milder.

    >>> str(classify(Impairment(visible_stale=True)))
    'minor'
    >>> str(classify(Impairment(visible_wrong=True, effect_done=True)))
    'critical'
    """
    if not what.anything:
        return Severity.INFO
    important = what.criticality in _IMPORTANT
    low = what.criticality is Criticality.LOW
    found = [Severity.WARNING]
    if what.visible_stale:
        found.append(Severity.MAJOR if important else Severity.WARNING if low else Severity.MINOR)
    if what.blocked:
        found.append(Severity.MAJOR if important else Severity.MINOR)
    if what.visible_wrong:
        found.append(Severity.MAJOR if low else Severity.CRITICAL)
    if what.effect_done:  # it cannot be superseded where it went
        found.append(Severity.CRITICAL if what.visible_wrong or important else Severity.MAJOR)
    if what.regulatory_deadline:
        found.append(Severity.CRITICAL if what.visible_wrong or what.effect_done else Severity.MAJOR)
    if what.sensitive_exposed:
        found.append(Severity.CRITICAL)
    worst = max(_ORDER.index(each) for each in found)
    if not what.corrects_itself:
        worst += 1
    return _ORDER[min(worst, len(_ORDER) - 1)]


def usual(cause: Cause) -> Severity:
    """Of an invalidation of which nobody says how bad it is: exposed data is critical, whatever it is of.

    >>> str(usual(Cause.SECURITY)), str(usual(Cause.TRANSFORM_BUG))
    ('critical', 'major')
    """
    return classify(Impairment(sensitive_exposed=True)) if cause is Cause.SECURITY else Severity.MAJOR


class Follows(msgspec.Struct, frozen=True):
    """What follows from a severity: the action and level, and whether it is retried, an incident, looked around."""

    action: Action
    level: Level
    rationale: str
    retry: bool = False
    incident: bool = False
    impact: bool = False


def follows(severity: Severity, *, published: bool, previous_ok: bool = False) -> Follows:
    """What is done: the three rules of S1-28, and what lies between them.

    `previous_ok`: the version before can stand in for this one.

    >>> follows(Severity.CRITICAL, published=True).incident
    True
    """
    if severity is Severity.CRITICAL and published:
        return Follows(
            Action.INVALIDATE_DOWNSTREAM,
            Level.PUBLICATION,
            "wrong data is being consumed: it is invalidated, an incident is opened, and what it reached is found",
            incident=True,
            impact=True,
        )
    if severity is Severity.CRITICAL:
        return Follows(
            Action.QUARANTINE_OUTPUT,
            Level.PUBLICATION,
            "unsafe data has been seen by nobody yet: it is held back until a person has looked",
        )
    if severity is Severity.MAJOR and published:
        return Follows(
            Action.SCHEDULE_RECOMPUTE,
            Level.PUBLICATION,
            "consumers have it: it is made anew, and what was made of it is found",
            retry=True,
            impact=True,
        )
    if severity is Severity.MAJOR:
        return Follows(
            Action.BLOCK,
            Level.PUBLICATION,
            "nobody has seen it: publication is blocked, and it is tried again",
            retry=True,
        )
    if severity is Severity.INFO:
        return Follows(Action.WARN, Level.NONE, "no consumer is affected: it is noted")
    if previous_ok and not published:
        return Follows(
            Action.USE_PREVIOUS_VERSION,
            Level.NONE,
            "the version before is acceptable: it is published as degraded, and says so",
        )
    return Follows(Action.WARN, Level.NONE, "usable with a label: it is published as degraded, and says so")
