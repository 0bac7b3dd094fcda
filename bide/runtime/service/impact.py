"""Invalidations, blast radii and lineage: asked of a reader, which can change nothing, and commanded through a door."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.assets.asset import Asset
from bide.runtime.assets.blast import BlastRadius, Impacted, Invalidation
from bide.runtime.assets.severity import usual
from bide.runtime.assets.words import Cause, Severity
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import (
    asset_name,
    asset_version_number,
    before_number,
    invalidation_number,
    read_date,
    read_interval,
)
from bide.runtime.service.impact_shapes import (
    BlastShown,
    ImpactedLine,
    ImpactLine,
    Invalidated,
    InvalidationLine,
    LineageCheck,
    LineageEdge,
    LineageShown,
    LineageVersion,
)
from bide.runtime.service.shapes import Interval, iso, iso_or_none
from bide.runtime.spans import Span
from bide.runtime.store import asset_reads as reads
from bide.runtime.store import lineage, spreading
from bide.runtime.store.blast import Versions, declared
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.doors import Door
    from bide.runtime.service.operations import Asks

_DEEPEST = 50
_EDGES = 10_000


class Impacts:
    """The part of the operations on assets that is about what is wrong."""

    _reader: Asks
    _door: Door

    async def blast(
        self,
        asset: object = None,
        interval: object = None,
        version: str | int | None = None,
        invalidation: object = None,
        cause: str = Cause.SOURCE_CORRECTION.value,
        severity: str | None = None,
        effective: str | date | None = None,
        code: str = "",
    ) -> BlastShown:
        """What would be affected, or what an invalidation has hit. Nothing is changed by asking.

        `asset` is an asset with its `interval`, or alone an invalidation, as `invalidate` has returned it or by its
        number.
        """
        if asset is not None and interval is version is invalidation is None and _is_invalidation(asset):
            asset, invalidation = None, asset
        if sum(each is not None for each in (interval, version, invalidation)) != 1:
            raise UsageError(
                "a blast radius of what? an asset with an `interval` (2026-06-15, or FROM..TO), one `version`, or an "
                "`invalidation` that is recorded"
            )

        def ask(conn: sqlite3.Connection) -> BlastRadius:
            if invalidation is not None:
                found = spreading.recorded(conn, invalidation_number(invalidation))
                if found is None:
                    raise NotFoundError(
                        f"there is no invalidation {invalidation_number(invalidation)}: `bide assets invalidations` lists them"
                    )
                return found
            name, (start, end) = _asked(conn, asset, interval, version)
            root = Invalidation(
                asset=name,
                start_us=start,
                end_us=end,
                version_id=None if version is None else asset_version_number(version),
                cause=_cause(cause),
                severity=_severity(severity, cause),
                effective_us=None if effective is None else read_date(effective),
                code=code,
            )
            return Versions(conn).blast(root)

        return _blast(await self._reader.ask(Reader.read, ask))

    async def invalidate(
        self,
        asset: Asset | str | None = None,
        interval: object = None,
        version: str | int | None = None,
        reason: str = "",
        cause: str = Cause.SOURCE_CORRECTION.value,
        severity: str | None = None,
        effective: str | date | None = None,
        code: str = "",
        evidence: Sequence[str] = (),
        by: str = "",
        key: str | None = None,
    ) -> Invalidated:
        """Mark the versions over an interval, or one, as not to be trusted; what was made of them follows."""
        if (interval is None) == (version is None):
            raise UsageError(
                "invalidate what? an asset with an `interval` (2026-06-15, or FROM..TO), or one `version`"
            )
        name, span = await self._reader.ask(Reader.read, lambda conn: _asked(conn, asset, interval, version))
        args: dict[str, Any] = {
            "asset": name,
            "start_us": span[0],
            "end_us": span[1],
            "version": None if version is None else asset_version_number(version),
            "reason": reason,
            "cause": cause,
            "severity": _severity(severity, cause).value,
            "effective_us": None if effective is None else read_date(effective),
            "code": code,
            "evidence": list(evidence),
            "by": by,
            "key": key,
        }
        answer = await self._door.command("asset_invalidate", args)
        number, wrong = answer["invalidation_id"], answer["wrong"]
        return Invalidated(
            done=f"invalidation {number}: {wrong} version{'' if wrong == 1 else 's'} of {answer['asset']} "
            f"{'is' if wrong == 1 else 'are'} marked, and what was made of {'it' if wrong == 1 else 'them'} follows: "
            f"`bide assets blast --invalidation {number}` lists it",
            result=answer,
            invalidation_id=str(number),
            asset=answer["asset"],
            interval=_interval((answer["start_us"], answer["end_us"])),
            wrong=wrong,
            state=answer["state"],
            cause=cause,
            severity=args["severity"],
            reason=reason,
            evidence=tuple(evidence),
            effective=iso_or_none(args["effective_us"]),
            by=by,
        )

    async def invalidations(self, limit: int = 50, before: str | None = None) -> list[InvalidationLine]:
        """The newest first."""
        if not 1 <= limit <= 100_000:
            raise UsageError(f"a limit of {limit} cannot be: use 1 to 100000")
        found = await self._reader.ask(
            Reader.read, lambda conn: spreading.invalidations(conn, limit, before_number(before))
        )
        return [_line(root, hits) for root, hits in found]

    async def lineage(self, version: object, depth: int = 3) -> LineageShown:
        """What a version was made of and what was made of it, so many steps far."""
        if not 1 <= depth <= _DEEPEST:
            raise UsageError(f"a depth of {depth} cannot be: use 1 to {_DEEPEST}")
        number = asset_version_number(version)
        return await self._reader.ask(Reader.read, lambda conn: _lineage(conn, number, depth))


def _is_invalidation(given: object) -> bool:
    """Whether what was handed alone is an invalidation, or the number of one."""
    return hasattr(given, "invalidation_id") or str(given).isdecimal()


def _asked(conn: sqlite3.Connection, given: object, interval: object, version: object) -> tuple[str, Span]:
    """The asset and the interval that are meant; a date is a day of the asset's zone, or its DAG's."""
    asset = None if given is None else asset_name(given)
    if version is not None:
        number = asset_version_number(version)
        found = Versions(conn).wrong(Invalidation(asset="", start_us=0, end_us=0, version_id=number))
        if not found or asset not in (None, found[0].asset):
            of = f" of {asset}" if asset else ""
            raise NotFoundError(f"there is no version {number}{of}: `bide assets show ASSET` lists them")
        return found[0].asset, (found[0].start_us, found[0].end_us)
    if asset is None:
        raise UsageError("an interval of which asset? name the `asset` beside the `interval`")
    if declared(conn, asset) is None:
        near = suggestion(asset, reads.names(conn))
        raise NotFoundError(
            f"there is no asset {asset!r}{near or ': `bide assets list` lists those there are'}"
        )
    assert interval is not None
    return asset, read_interval(interval, reads.zone(conn, asset))


def _cause(word: str) -> Cause:
    if word not in list(Cause):
        raise UsageError(f"cause is {word!r}, and must be one of {', '.join(Cause)}")
    return Cause(word)


def _severity(word: str | None, cause: str) -> Severity:
    if word is None:
        return usual(_cause(cause))
    if word not in list(Severity):
        raise UsageError(f"severity is {word!r}, and must be one of {', '.join(Severity)}")
    return Severity(word)


# --- shapes --------------------------------------------------------------------------------------


def _interval(span: Span) -> Interval:
    return Interval(start=iso(span[0]), end=iso(span[1]))


def _line(root: Invalidation, hits: int) -> InvalidationLine:
    return InvalidationLine(
        invalidation_id=str(root.invalidation_id),
        asset=root.asset,
        interval=_interval((root.start_us, root.end_us)),
        version=_or_none(root.version_id),
        cause=root.cause.value,
        severity=root.severity.value,
        reason=root.reason,
        evidence=root.evidence,
        effective=iso_or_none(root.effective_us),
        code=root.code,
        discovered_at=iso(root.discovered_us),
        by=root.by,
        state=root.state,
        versions=hits,
    )


def _or_none(number: int | None) -> str | None:
    return None if number is None else str(number)


def _blast(radius: BlastRadius) -> BlastShown:
    root = radius.root
    return BlastShown(
        asset=root.asset,
        interval=_interval((root.start_us, root.end_us)),
        version=_or_none(root.version_id),
        cause=root.cause.value,
        severity=root.severity.value,
        effective=iso_or_none(root.effective_us),
        code=root.code,
        invalidation_id=_or_none(root.invalidation_id or None),
        assets=radius.assets,
        exports=len(radius.effects),
        nodes=tuple(_node(node) for node in radius.nodes),
    )


def _node(node: Impacted) -> ImpactedLine:
    decision = node.decision
    return ImpactedLine(
        asset=node.asset,
        interval=_interval((node.start_us, node.end_us)),
        version=str(node.version_id),
        via=_or_none(node.via),
        kind=None if node.kind is None else node.kind.value,
        state=node.state.value,
        decision=ImpactLine(
            action=decision.action.value,
            level=decision.level.value,
            severity=decision.severity.value,
            reason=decision.reason,
            to=None if decision.to is None else decision.to.value,
            corrected=tuple(_interval(span) for span in decision.corrected),
        ),
        node=node.node.value,
        output=node.output.value,
        criticality=node.criticality.value,
        owner=node.owner,
        dag=node.dag,
        run_id=_or_none(node.run_id),
        code=node.code,
    )


def _lineage(conn: sqlite3.Connection, number: int, depth: int) -> LineageShown:
    up = lineage.edges(conn, number, True, depth, _EDGES)
    down = lineage.edges(conn, number, False, depth, _EDGES)
    numbers = {number, *(n for edge in (*up, *down) for n in (edge.version, edge.input))}
    shown = {row.version: _version(row) for row in lineage.versions(conn, sorted(numbers))}
    if number not in shown:
        raise NotFoundError(f"there is no version {number}: `bide assets show ASSET` lists them")
    return LineageShown(
        version=shown.pop(number),
        up=tuple(_edge(edge) for edge in up),
        down=tuple(_edge(edge) for edge in down),
        versions=tuple(shown.values()),
        runs=tuple(f"{dag} run {run}" for dag, run in lineage.told(conn, number)),
        told=tuple(f"{owner or 'nobody'} (alert {alert})" for alert, owner in lineage.alerts(conn, number)),
    )


def _edge(edge: lineage.EdgeRead) -> LineageEdge:
    return LineageEdge(version=str(edge.version), input=str(edge.input), kind=edge.kind)


def _version(row: lineage.LineageRead) -> LineageVersion:
    checks: list[Any] = msgspec.json.decode(row.checks)
    return LineageVersion(
        asset=row.asset,
        version=str(row.version),
        interval=_interval((row.start_us, row.end_us)),
        state=row.state,
        reason=row.reason,
        created_at=iso(row.created_us),
        label=row.label,
        node=row.node,
        owner=row.owner,
        dag=row.dag,
        task=row.task,
        run_id=_or_none(row.run_id),
        attempt=row.attempt,
        code=row.code,
        checks=tuple(
            LineageCheck(name=name, severity=severity, passed=bool(ok)) for name, severity, ok in checks
        ),
        target=row.target,
        delivery=row.delivery,
        delivered_at=iso_or_none(row.delivered_us),
    )
