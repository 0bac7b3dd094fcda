"""What keeps versions from meeting a contract's requirements: each finding with what was asked and what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from bide.runtime.assets.contract import (
    ContractSpec,
    ExactVersion,
    Freshness,
    Latest,
    Quality,
    SchemaCompat,
)
from bide.runtime.assets.judged import Asked, Observed, Version
from bide.runtime.assets.reading import Pool, Which
from bide.runtime.assets.schema import breaks
from bide.runtime.assets.telling import interval_words, long, version_words, versions_words
from bide.runtime.assets.words import Edge, Result, Severity, VersionState, worst
from bide.runtime.clock import span_us
from bide.runtime.errors import UsageError
from bide.runtime.spans import Span


class Finding(msgspec.Struct, frozen=True):
    """One requirement that is not met. `faulty` are the versions that do not meet it; none: the upstream as a whole."""

    result: Result
    requirement: str
    observed: str
    faulty: frozenset[int] = frozenset()
    severity: Severity | None = None  # of what was seen, where that says it


_RANK: Final = {severity: n for n, severity in enumerate(Severity)}
_FALLS_BACK: Final = (Result.INVALID, Result.QUALITY, Result.SCHEMA)


def unmet(
    contract: ContractSpec, which: Which, seen: Observed, asked: Asked, pool: Pool, chosen: Sequence[Version]
) -> list[Finding]:
    """What is not met when these versions are read; none chosen: why there are none."""
    found = of_versions(contract, seen, chosen) if chosen else [_none(which, seen, pool)]
    stale = _stale(contract, which, seen, asked, pool, chosen)
    if stale is not None:
        found.append(stale)
    return found


def of_versions(contract: ContractSpec, seen: Observed, chosen: Sequence[Version]) -> list[Finding]:
    """What is wrong with these versions themselves."""
    found = []
    quality, compat = None, None
    for each in contract.require:
        if isinstance(each, Quality):
            quality = each
        elif isinstance(each, SchemaCompat):
            compat = each
    if quality is None and contract.kind is Edge.QUALITY_GATE:
        quality = _CRITICAL
    if quality is not None and (failed := _quality(quality, seen, chosen)) is not None:
        found.append(failed)
    if compat is None and contract.kind is Edge.SCHEMA_COMPATIBILITY:
        compat = _BACKWARD
    if compat is not None and (broken := _schema(compat, seen, chosen)) is not None:
        found.append(broken)
    if degraded := [version for version in chosen if version.state is VersionState.DEGRADED]:
        limits = dict.fromkeys(limit for version in degraded for limit in version.limits)
        told = f": {'; '.join(limits)}" if limits else ", and its limitations were not said"
        found.append(
            Finding(
                Result.DEGRADED, "a version without limitations", f"{versions_words(degraded)} is degraded{told}",
                _ids(degraded),
            )
        )  # fmt: skip
    return found


def trusted(contract: ContractSpec, seen: Observed, version: Version) -> bool:
    """Whether it can take another one's place: its gates passed, and its schema is one that can be read."""
    return not any(each.result in _FALLS_BACK for each in of_versions(contract, seen, (version,)))


_CRITICAL, _BACKWARD = Quality("critical"), SchemaCompat("backward")


# --- nothing that serves -------------------------------------------------------------------------


def _none(which: Which, seen: Observed, pool: Pool) -> Finding:
    asked = which_words(which, pool.span)
    if not seen.known:
        return Finding(
            Result.MISSING, asked, "nothing is known of it: no task makes it, and nobody declared it"
        )
    spoilt = pool.choose(which, seen.exact, spoilt=True)
    bad = [each for each in spoilt if pool.spoilt(each)]
    if not bad and pool.only_read:  # what was read in its place
        bad = [each for each in pool.versions.values() if pool.spoilt(each)]
    if bad:
        return Finding(Result.INVALID, asked, _spoilt_words(bad, pool), _ids(bad))
    return Finding(Result.MISSING, asked, _missing_words(which, seen, pool))


def _spoilt_words(bad: Sequence[Version], pool: Pool) -> str:
    first = bad[0]
    if first.state is VersionState.QUARANTINED:
        what = "is quarantined"
    elif first.state is VersionState.INVALIDATED:
        what = "was invalidated"
    else:
        what = "is degraded, and its limitations were accepted for a time that is over"
    return f"{version_words(first)} {what}{f', and {len(bad) - 1} more' if len(bad) > 1 else ''}"


def _missing_words(which: Which, seen: Observed, pool: Pool) -> str:
    if isinstance(which, ExactVersion):
        if seen.exact is None:
            return "there is no such version"
        return f"{version_words(seen.exact)} is {seen.exact.state}"
    if isinstance(which, Latest):
        return "no version of it was ever published"
    parts = pool.parts()
    if parts:
        done = sum(each.end_us - each.start_us for each in parts)
        return f"there is {percent(done, pool.span)} of it: {versions_words(parts)}"
    unseen = [each for each in seen.over if not each.visible]
    if unseen:
        return f"{version_words(unseen[-1])} is {unseen[-1].state}"
    return "there is no version of it"


def which_words(which: Which, span: Span) -> str:
    """Which versions are asked for, in words."""
    if isinstance(which, ExactVersion):
        return f"version {which.version}"
    if isinstance(which, Latest):
        return "a published version"
    if not which.offset:
        return f"the same interval, {interval_words(*span)}"
    sign = "+" if span_us(which.offset) > 0 else "-"
    return f"the interval {sign}{abs(which.offset)}, {interval_words(*span)}"


def percent(us: int, span: Span) -> str:
    """A part of an interval, never rounded up to all of it."""
    whole = span[1] - span[0]
    return f"{int(1000 * us / whole) / 10 if whole else 0.0:g} %"


# --- freshness -----------------------------------------------------------------------------------


def _stale(
    contract: ContractSpec,
    which: Which,
    seen: Observed,
    asked: Asked,
    pool: Pool,
    chosen: Sequence[Version],
) -> Finding | None:
    """The producer's newest data is too old; or, of a newest version that is read, what should follow it is late."""
    fresh = next((each for each in contract.require if isinstance(each, Freshness)), None)
    if fresh is None:
        late = [each for each in chosen if each.state is VersionState.STALE]
        if not late or not isinstance(which, Latest):
            return None
        told = f"{version_words(late[0])} is stale: what should have followed it is late"
        return Finding(Result.STALE, "a version that is not late", told)
    newest = (Pool(seen, asked, pool.span) if pool.only_read else pool).latest(frozenset())
    if newest is None:
        return None  # what is missing is said already
    age = asked.now_us - newest.end_us
    allowed = span_us(fresh.max_age)
    if age <= allowed:
        return None
    return Finding(
        Result.STALE,
        f"data not older than {long(allowed)}",
        f"{version_words(newest)}, the newest, ended {long(age)} ago",
    )


# --- quality -------------------------------------------------------------------------------------


def _quality(asked: Quality, seen: Observed, chosen: Sequence[Version]) -> Finding | None:
    faults: dict[str, None] = {}
    faulty: list[Version] = []
    severities: list[Severity] = []
    for version in chosen:
        wrong = _failed(asked, seen, version)
        if wrong:
            faulty.append(version)
            for name, how, severity in wrong:
                faults[f"{name} {how} ({severity})"] = None
                severities.append(severity)
    if not faulty:
        return None
    return Finding(
        Result.QUALITY,
        f"quality {asked.checks if isinstance(asked.checks, str) else ', '.join(asked.checks)}",
        f"{', '.join(faults)} in {versions_words(faulty)}",
        _ids(faulty),
        worst(severities),
    )


def _failed(asked: Quality, seen: Observed, version: Version) -> list[tuple[str, str, Severity]]:
    """The gates that are asked for and did not pass: name, what is wrong, severity."""
    ran = {each.name: each for each in version.checks}
    declared = {each.name: each for each in seen.gates}
    names = _named(asked)
    if names is None:
        least = _RANK[Severity.INFO if asked.checks == "all" else Severity(str(asked.checks))]
        names = tuple(
            dict.fromkeys(
                each.name for each in (*version.checks, *seen.gates) if _RANK[each.severity] >= least
            )
        )
    wrong = []
    for name in names:
        check = ran.get(name)
        if check is None:
            gate = declared.get(name)
            how = "has not been run" if gate is not None else "is no gate of it"
            wrong.append((name, how, gate.severity if gate is not None else Severity.MAJOR))
        elif not check.passed:
            wrong.append((name, "failed", check.severity))
    return wrong


def _named(asked: Quality) -> tuple[str, ...] | None:
    """The gates by name; None when a severity, or all, is asked for."""
    if not isinstance(asked.checks, str):
        return asked.checks
    return None if asked.checks == "all" or asked.checks in _RANK else (asked.checks,)


# --- schema --------------------------------------------------------------------------------------


def _schema(asked: SchemaCompat, seen: Observed, chosen: Sequence[Version]) -> Finding | None:
    by_id = dict(seen.schemas)
    order = [schema_id for schema_id, _ in seen.schemas]
    for version in reversed(chosen):
        own = version.schema_id
        if own is not None and own in seen.accepted:
            continue
        if own is None or own not in by_id:
            wrong: tuple[str, ...] = ("it was staged without a schema",)
        else:
            before = [by_id[each] for each in order[: order.index(own)]]
            try:
                wrong = breaks(asked.mode, by_id[own], before)
            except UsageError as error:
                wrong = (str(error),)
        if wrong:
            same = [each for each in chosen if each.schema_id == own]
            told = "; ".join(wrong)
            return Finding(
                Result.SCHEMA, f"schema {asked.mode}", f"{versions_words(same)}: {told}", _ids(same)
            )
    return None


def _ids(versions: Sequence[Version]) -> frozenset[int]:
    return frozenset(each.version_id for each in versions)
