"""Versions in memory, for tests of spreading: what there is, what was made of what, and a hop over it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bide.runtime.assets import AssetSpec, BlastRadius, ContractSpec, Invalidation, SameInterval
from bide.runtime.assets.catalog import Catalog, Held
from bide.runtime.assets.contract import Requirement, Rule
from bide.runtime.assets.impact import Made, Use
from bide.runtime.assets.spreading import Hop, spread
from bide.runtime.assets.words import Cause, Edge, Result, Severity, VersionState
from bide.runtime.spans import Span

HOUR = 3_600_000_000
DAY = 24 * HOUR


class Versions:
    def __init__(self, *assets: AssetSpec) -> None:
        self.catalog = Catalog()
        self.made: dict[int, Made] = {}
        self.uses: dict[int, list[Use]] = {}
        self.hops: list[list[int]] = []
        self.broke: frozenset[int] = frozenset()
        for spec in assets:
            self.catalog.assets[spec.name] = spec

    def contract(
        self, down: str, up: str, kind: Edge = Edge.INTERVAL_MATCH, *require: Requirement, offset: int = 0,
        on: dict[Result, Rule] | None = None, severity: dict[Result, Severity] | None = None,
    ) -> None:  # fmt: skip
        asked = (*require, SameInterval(timedelta(microseconds=offset))) if offset else require
        spec = ContractSpec(
            downstream=down,
            upstream=up,
            kind=kind,
            require=asked,
            on_failure=on or {},
            severity=severity or {},
        )
        self.catalog.put(Held(len(list(self.catalog.contracts())) + 1, spec, ""))

    def make(
        self, asset: str, span: Span, *of: int, kind: Edge = Edge.READ, state: VersionState = VersionState.PUBLISHED,
        code: str = "", shadow: bool = False, number: int | None = None,
    ) -> int:  # fmt: skip
        """A version made of others; made at the instant of its number."""
        number = number or len(self.made) + 1
        self.made[number] = Made(number, asset, *span, state, number, code, shadow=shadow)
        for each in of:
            self.uses.setdefault(each, []).append(Use(each, kind, self.made[number]))
        return number

    def hop(self, frontier: list[int]) -> Hop:
        self.hops.append(frontier)
        uses = (use for each in frontier for use in self.uses.get(each, ()))
        now = [
            Use(use.input_id, use.kind, self.made[use.made.version_id]) for use in uses
        ]  # in their states by now
        return Hop(now, self.broke)

    def blast(self, root: Invalidation, below: Sequence[Use] = ()) -> BlastRadius:
        wrong = [made for made in self.made.values() if made.asset == root.asset]
        return spread(root, wrong, below, self.hop, self.catalog)


def wrong(asset: str, span: Span, cause: Cause = Cause.SOURCE_CORRECTION, **more: object) -> Invalidation:
    return Invalidation(asset=asset, start_us=span[0], end_us=span[1], cause=cause, **more)  # type: ignore[arg-type]
