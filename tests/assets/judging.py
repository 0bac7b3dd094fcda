"""Versions, contracts and questions, short to write: day n of June 2026, and the hours of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bide.runtime.assets import Asked, Checked, ContractSpec, Observed, Phase, Version
from bide.runtime.assets.words import Edge, Severity, VersionState
from bide.runtime.clock import DAY, HOUR, to_us

JUNE = to_us(datetime(2026, 6, 1, tzinfo=UTC))
GOLD, SILVER = "gold.sla_daily", "silver.case_event"


def day(n: int) -> tuple[int, int]:
    """The n-th of June."""
    return JUNE + (n - 1) * DAY, JUNE + n * DAY


def hour(n: int, h: int) -> tuple[int, int]:
    start = day(n)[0] + h * HOUR
    return start, start + HOUR


def version(number: int, span: tuple[int, int], state: str = "published", **more: Any) -> Version:
    more.setdefault("created_us", span[1] + HOUR)
    return Version(number, SILVER, *span, VersionState(state), **more)


def passed(name: str = "rows", severity: str = "critical", ok: bool = True) -> Checked:
    return Checked(name, Severity(severity), ok)


def asked(
    span: tuple[int, int] = day(15), phase: Phase = Phase.EXECUTING, *, late_us: int = HOUR, **more: Any
) -> Asked:
    """A question of gold, an hour after its interval is over."""
    return Asked(phase, GOLD, *span, now_us=span[1] + late_us, **more)


def seen(*over: Version, **more: Any) -> Observed:
    """What there is: `latest` is the newest visible one of `over`, unless said."""
    shown = [each for each in over if each.visible]
    more.setdefault("latest", max(shown, key=lambda v: (v.end_us, v.version_id), default=None))
    return Observed(SILVER, over=over, **more)


def contract(kind: str = "read", *require: Any, **more: Any) -> ContractSpec:
    return ContractSpec(downstream=GOLD, upstream=SILVER, kind=Edge(kind), require=require, **more)
