"""Which intervals an asset has, and by when each is there: by its maker's schedule and promise, or its grain."""

from __future__ import annotations

from typing import Final

import msgspec

from bide.runtime.graph.asset_graph import AssetGraph, Maker, Program
from bide.runtime.schedules import Firing, OnAssets
from bide.runtime.schedules.grid import firings_between, periods_between
from bide.runtime.schedules.promise import Promise

AHEAD: Final = 64
"""Intervals that are looked at, from now on: two months of days, some days of hours."""


class Grid(msgspec.Struct, frozen=True):
    """The intervals of an asset, in order, each with the instant its run begins (of events: its own end).

    `timed`: a clock begins it then. `promise` is its maker's, in `tz`, if there is one.
    """

    firings: tuple[Firing, ...]
    timed: bool
    maker: Maker | None
    promise: Promise | None
    tz: str

    @property
    def period(self) -> int:
        """The longest of its intervals."""
        return max((each.end_us - each.start_us for each in self.firings), default=0)

    def earliest(self, firing: Firing) -> int:
        """It cannot be there before."""
        return max(firing.fires_us, firing.end_us)

    def promised(self, firing: Firing) -> int | None:
        """By when it is promised; None: by nobody."""
        if self.promise is None:
            return None
        if self.promise.on_the_wall:
            return self.promise.instant(firing.end_us, self.tz)
        return firing.end_us + self.promise.after_us

    def words(self) -> str:
        """The promise in words."""
        if self.promise is not None:
            return self.promise.describe(self.tz)
        return "nothing is promised: its run begins" if self.timed else "nothing is promised: it ends"


class Grids:
    """The grids of a graph's assets, each looked at once."""

    def __init__(self, graph: AssetGraph) -> None:
        self._graph = graph
        self._found: dict[tuple[str, int, int, int], tuple[tuple[Firing, ...], bool] | None] = {}

    def ahead(self, name: str, now_us: int, most: int = AHEAD) -> Grid | None:
        """The intervals that begin from now on; None when nobody can tell them."""
        return self.of(name, now_us, now_us + 400 * 86_400_000_000, most)

    def around(self, name: str, start_us: int, end_us: int) -> Grid | None:
        """Those that share something with a span, or touch it: from two of them before it on."""
        near = self.of(name, start_us, end_us + 400 * 86_400_000_000, 2)
        if near is None:
            return None
        return self.of(name, start_us - 2 * near.period, end_us, 400)

    def of(self, name: str, from_us: int, to_us: int, most: int) -> Grid | None:
        """The intervals that begin in `[from_us, to_us)`, at most so many."""
        makers = self._graph.makers.get(name, ())
        for maker in makers:
            program = self._graph.programs[maker.dag]
            key = maker.dag, from_us, to_us, most
            if key not in self._found:
                self._found[key] = _of_program(program, from_us, to_us, most)
            found = self._found[key]
            if found is not None:
                return Grid(*found, maker, maker.promise or program.alert, program.spec.tz)
        spec = self._graph.spec(name)
        if spec.grain is None:
            return None
        firings = tuple(periods_between(spec.grain, from_us, to_us, spec.tz, most)[:most])
        first = makers[0] if makers else None
        return Grid(firings, False, first, first.promise if first else None, spec.tz)


def _of_program(
    program: Program, from_us: int, to_us: int, most: int
) -> tuple[tuple[Firing, ...], bool] | None:
    firings = firings_between(program.schedule, from_us, to_us, program.anchor_us, most)
    if firings:
        return tuple(firings[:most]), True
    for part in program.schedule.parts():
        if isinstance(part, OnAssets) and part.interval is not None:
            periods = periods_between(part.interval, from_us, to_us, part.tz or program.spec.tz, most)
            return tuple(periods[:most]), False
    return None
