"""What producers promise against what consumers need, compared before anything runs (S3-27, B41, D17).

A contract that asks for an interval needs it when the consumer's run begins, or by the consumer's own
promise; one that asks for freshness needs data young enough then. The slack is what lies between.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from bide.runtime.assets.contract import ContractSpec, ExactVersion, Freshness, Latest, SameInterval
from bide.runtime.assets.reading import moved
from bide.runtime.assets.telling import instant_words, interval_words, long
from bide.runtime.assets.words import Edge
from bide.runtime.clock import MINUTE, span_us
from bide.runtime.graph.asset_graph import AssetGraph
from bide.runtime.graph.asset_grid import Grid, Grids
from bide.runtime.schedules import Firing

_FIT: Final = 12
"""Intervals of a consumer for which an upstream is looked for before it is said that none ever fits."""
_OWN: Final = (Edge.INTERVAL_MATCH, Edge.QUALITY_GATE, Edge.CONTROL_EVENT)


class Standing(StrEnum):
    """How a need stands, from the best."""

    KEPT = "kept"  # promised in time
    UNPROMISED = "unpromised"  # possible, and promised by nobody
    UNKNOWN = "unknown"  # no schedule says when it is needed, or made
    BROKEN = "broken"  # what is promised comes too late
    NEVER = "never"  # it cannot be, whatever the producer does


class Need(msgspec.Struct, frozen=True):
    """One need of a contract. `slack_us` is the least of the intervals looked at, that of `at` is the example."""

    downstream: str
    upstream: str
    what: str
    """`interval` or `freshness`."""
    standing: Standing
    promise: str
    need: str
    slack_us: int | None
    at: str
    producer: str
    consumer: str
    source: str

    @property
    def slack_minutes(self) -> int | None:
        return None if self.slack_us is None else self.slack_us // MINUTE

    @property
    def sentence(self) -> str:
        """What there is to say of it."""
        edge = f"{self.downstream} needs {self.upstream}"
        if self.standing is Standing.NEVER:
            return f"{edge}, {self.need}, and that can never be: {self.promise}"
        if self.standing is Standing.UNKNOWN:
            return f"{edge}, {self.need}: {self.promise}"
        slack = self.slack_minutes or 0
        told = f"{slack} min to spare" if slack >= 0 else f"{-slack} min too late"
        return f"{edge}, {self.need}, and has it {self.promise}: {told} (of {self.at})"


def needs(graph: AssetGraph, now_us: int) -> list[Need]:
    """The needs of all contracts, in the order of their edges."""
    grids = Grids(graph, now_us)
    found: list[Need] = []
    for _, link in sorted(graph.links.items()):
        if link.contract is not None and link.kind is not Edge.INVALIDATION:
            found += _Contract(graph, grids, link.contract, link.via).needs()
    return found


class _Contract:
    def __init__(self, graph: AssetGraph, grids: Grids, spec: ContractSpec, source: str) -> None:
        self.spec, self.source = spec, source
        self.tz = graph.spec(spec.downstream).tz
        self.mine = grids.of(spec.downstream)
        self.theirs = grids.of(spec.upstream)

    def needs(self) -> Iterator[Need]:
        which = self._which()
        if which is not None:
            yield self._interval(which)
        fresh = next((each for each in self.spec.require if isinstance(each, Freshness)), None)
        if fresh is not None:
            yield self._freshness(span_us(fresh.max_age))

    def _which(self) -> SameInterval | None:
        for each in self.spec.require:
            if isinstance(each, SameInterval):
                return each
            if isinstance(each, ExactVersion | Latest):
                return None
        return SameInterval() if self.spec.kind in _OWN else None

    def _need(
        self,
        what: str,
        standing: Standing,
        promise: str,
        need: str,
        slack_us: int | None = None,
        at: str = "",
    ) -> Need:
        made = self.theirs.maker if self.theirs is not None else None
        reads = self.mine.maker if self.mine is not None else None
        return Need(
            self.spec.downstream, self.spec.upstream, what, standing, promise, need, slack_us, at,
            made.name if made else "", reads.name if reads else "", self.source,
        )  # fmt: skip

    # --- the same interval -------------------------------------------------------------------------

    def _interval(self, which: SameInterval) -> Need:
        same = "the same interval"
        if which.offset:
            sign = "+" if which.offset > timedelta() else "-"
            same = f"its interval {sign}{abs(which.offset)}"
        mine, theirs = self.mine, self.theirs
        if mine is None or theirs is None or not mine.ahead:
            who = self.spec.downstream if mine is None else self.spec.upstream
            return self._need(
                "interval", Standing.UNKNOWN, f"no schedule or grain says which intervals {who} has", same
            )
        worst: tuple[int, Firing, Firing] | None = None
        misfits = 0
        for firing in mine.ahead:
            span = moved((firing.start_us, firing.end_us), which.offset, self.tz)
            last = theirs.last_of(span)
            if last is None:
                misfits += 1
                if misfits >= _FIT:
                    break
                continue
            by = self._needed_by(mine, firing)
            if by is None:
                continue
            slack = by - theirs.there(last)
            if worst is None or slack < worst[0]:
                worst = slack, firing, last
        if misfits == len(mine.ahead) or misfits >= _FIT:
            first = mine.ahead[0]
            span = moved((first.start_us, first.end_us), which.offset, self.tz)
            return self._need(
                "interval", Standing.NEVER,
                f"no interval of {self.spec.upstream} is, fills or holds {interval_words(*span)}, nor any of the next "
                f"{misfits}", same,
            )  # fmt: skip
        if worst is None:
            return self._need(
                "interval", Standing.UNKNOWN, "events begin its runs, and it promises nothing itself", same
            )
        slack, firing, _ = worst
        return self._judged("interval", slack, theirs, f"{same}, {self._when(mine)}", firing)

    def _needed_by(self, mine: Grid, firing: Firing) -> int | None:
        promised = mine.promised(firing)
        if promised is not None:
            return promised
        return firing.fires_us if mine.timed else None

    def _when(self, mine: Grid) -> str:
        return f"promised itself {mine.words()}" if mine.promise is not None else "when its run begins"

    def _judged(self, what: str, slack: int, theirs: Grid, need: str, firing: Firing) -> Need:
        if slack < 0:
            standing = Standing.BROKEN
        else:
            standing = Standing.UNPROMISED if theirs.promise is None else Standing.KEPT
        at = interval_words(firing.start_us, firing.end_us)
        words = theirs.words()
        return self._need(what, standing, words, need, slack, at)

    # --- freshness -----------------------------------------------------------------------------------

    def _freshness(self, allowed: int) -> Need:
        young = f"not older than {long(allowed)}"
        theirs, mine = self.theirs, self.mine
        if theirs is None or len(theirs.ahead) < 2:
            return self._need(
                "freshness",
                Standing.UNKNOWN,
                f"no schedule or grain says when {self.spec.upstream} is made",
                young,
            )
        least = min(theirs.earliest(each) - each.end_us for each in theirs.ahead)
        if least > allowed:
            return self._need(
                "freshness", Standing.NEVER,
                f"it is {long(least)} old when its run begins", young,
            )  # fmt: skip
        if mine is None or not mine.timed or not mine.ahead:
            pairs = zip(theirs.ahead, theirs.ahead[1:], strict=False)
            slack, firing = min(
                (allowed - (theirs.there(after) - each.end_us), each) for each, after in pairs
            )
            return self._judged("freshness", slack, theirs, f"{young} at any time", firing)
        ages = [(allowed - age, each) for each in mine.ahead if (age := self._age(each.fires_us)) is not None]
        if not ages:
            return self._need("freshness", Standing.UNKNOWN, "no interval of it is there that early", young)
        slack, firing = min(ages)
        return self._judged("freshness", slack, theirs, f"{young} when its run begins", firing)

    def _age(self, at_us: int) -> int | None:
        """How old the newest data is at an instant, by what is promised."""
        assert self.theirs is not None
        ends = [each.end_us for each in self.theirs.before(at_us) if self.theirs.there(each) <= at_us]
        return at_us - max(ends) if ends else None


def told(needs: list[Need]) -> str:
    """How many there are of each standing."""
    counts = {standing: sum(each.standing is standing for each in needs) for standing in Standing}
    return ", ".join(f"{count} {standing}" for standing, count in counts.items() if count) or "no need"


__all__ = ["Need", "Standing", "instant_words", "needs", "told"]
