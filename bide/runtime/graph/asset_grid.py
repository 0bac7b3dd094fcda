"""Which intervals an asset has, and by when each is there: by its maker's schedule and promise, or its grain."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from bide.runtime.clock import DAY
from bide.runtime.graph.asset_graph import AssetGraph, Maker, Program
from bide.runtime.schedules import Firing, OnAssets
from bide.runtime.schedules.grid import firings_between, periods_between
from bide.runtime.schedules.promise import Promise
from bide.runtime.spans import Span

AHEAD: Final = 24
"""Intervals that are looked at, from now on: three weeks of days, a day of hours."""
MOST: Final = 5_000
"""Intervals that are found at once; a window that holds more is looked at by its ends."""
_FAR: Final = 800 * DAY
_EACH: Final = 100
"""So many intervals within a span are followed one by one; of more the first and the last are looked for."""

Find = Callable[[int, int, int], list[Firing]]
"""(from, to, most) -> the intervals that begin in `[from, to)`."""


class Grid:
    """The intervals of an asset, each with the instant its run begins (of events: its own end).

    `timed`: a clock begins it then. `promise` is its maker's, in `tz`, if there is one.
    """

    def __init__(
        self, line: _Line, timed: bool, maker: Maker | None, promise: Promise | None, tz: str
    ) -> None:
        self._line, self.timed, self.maker, self.promise, self.tz = line, timed, maker, promise, tz

    @property
    def ahead(self) -> tuple[Firing, ...]:
        """The next ones."""
        return self._line.ahead

    @property
    def period(self) -> int:
        """The longest of the next ones."""
        return max((each.end_us - each.start_us for each in self.ahead), default=0)

    def last_of(self, span: Span) -> Firing | None:
        """The interval that is there last of those that are, fill or hold a span; None: there are none."""
        start, end = span
        period = self.period
        near = self._line.between(start - 2 * period, start + 1)
        holding = next((each for each in near if each.start_us <= start and each.end_us >= end), None)
        if holding is not None:
            return holding
        if (end - start) > _EACH * period:
            first = any(each.start_us == start for each in near)
            ends = self._line.between(end - 2 * period, end)
            return next((each for each in ends if each.end_us == end), None) if first else None
        at, last = start, None
        for each in self._line.between(start, end):
            if each.start_us == at and each.end_us <= end:
                at, last = each.end_us, each
        return last if at == end else None

    def before(self, at_us: int) -> list[Firing]:
        """Those around the last that is there at an instant: enough of them for its promise to be over."""
        first = self.ahead[0]
        lag = max(self.there(first) - first.end_us, 0)
        return self._line.between(at_us - 4 * self.period - 2 * lag, at_us)

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

    def there(self, firing: Firing) -> int:
        """By when it is there: as promised, else at the earliest."""
        promised = self.promised(firing)
        return self.earliest(firing) if promised is None else promised

    def words(self) -> str:
        """The promise in words."""
        if self.promise is not None:
            return self.promise.describe(self.tz)
        return "nothing is promised: its run begins" if self.timed else "nothing is promised: it ends"


class Grids:
    """The grids of a graph's assets from an instant on, each looked at once."""

    def __init__(self, graph: AssetGraph, now_us: int) -> None:
        self._graph, self._now_us = graph, now_us
        self._of_dags: dict[tuple[bytes, int, str], tuple[_Line, bool] | None] = {}
        self._of_grains: dict[tuple[str, str], _Line] = {}

    def of(self, name: str) -> Grid | None:
        """The grid of an asset; None when nobody can tell."""
        makers = self._graph.makers.get(name, ())
        for maker in makers:
            program = self._graph.programs[maker.dag]
            alike = program.schedule.to_json(), program.anchor_us, program.spec.tz
            if alike not in self._of_dags:
                self._of_dags[alike] = _of_program(program, self._now_us)
            found = self._of_dags[alike]
            if found is not None:
                return Grid(*found, maker, maker.promise or program.alert, program.spec.tz)
        spec = self._graph.spec(name)
        if spec.grain is None:
            return None
        key = spec.grain, spec.tz
        if key not in self._of_grains:
            self._of_grains[key] = _Line(_periods(*key), self._now_us)
        first = makers[0] if makers else None
        return Grid(self._of_grains[key], False, first, first.promise if first else None, spec.tz)


class _Line:
    """Intervals in order, found once: all that begin in `[low, high)` are there."""

    def __init__(self, find: Find, now_us: int) -> None:
        self._find = find
        self.ahead = tuple(find(now_us, now_us + _FAR, AHEAD)[:AHEAD])
        self._all = list(self.ahead)
        self._step = max((each.end_us - each.start_us for each in self.ahead), default=_FAR)
        self._low = now_us
        self._high = self.ahead[-1].start_us + 1 if self.ahead else now_us + _FAR

    def between(self, from_us: int, to_us: int) -> list[Firing]:
        """Those that begin in `[from_us, to_us)`; kept when they join what is known already."""
        if from_us > self._high or self._low - from_us > _EACH * self._step:
            return self._find(from_us, to_us, MOST)[:MOST]
        if from_us < self._low:
            self._all = self._find(from_us, self._low, MOST)[:MOST] + self._all
            self._low = from_us
        if to_us > self._high:
            self._all += self._find(self._high, to_us, MOST)[:MOST]
            self._high = to_us
        start = bisect_left(self._all, from_us, key=_start)
        return self._all[start : bisect_left(self._all, to_us, lo=start, key=_start)]


def _start(firing: Firing) -> int:
    return firing.start_us


def _of_program(program: Program, now_us: int) -> tuple[_Line, bool] | None:
    def firings(from_us: int, to_us: int, most: int) -> list[Firing]:
        return firings_between(program.schedule, from_us, to_us, program.anchor_us, most)

    line = _Line(firings, now_us)
    if line.ahead:
        return line, True
    for part in program.schedule.parts():
        if isinstance(part, OnAssets) and part.interval is not None:
            return _Line(_periods(part.interval, part.tz or program.spec.tz), now_us), False
    return None


def _periods(every: str, tz: str) -> Find:
    def periods(from_us: int, to_us: int, most: int) -> list[Firing]:
        return periods_between(every, from_us, to_us, tz, most)

    return periods
