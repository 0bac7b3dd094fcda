"""Which versions of an upstream are read: of the interval, an exact one, the newest, one before.

Nothing is judged here but what may be seen. Of versions of one interval the newest is read; those of a
rerun plan that asks come first, and before publishing those that were read already.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from bide.runtime.assets.contract import ContractSpec, ExactVersion, Latest, SameInterval
from bide.runtime.assets.judged import Asked, Observed, Version
from bide.runtime.assets.words import Edge, VersionState
from bide.runtime.clock import from_us, to_us
from bide.runtime.spans import Span

_DAY = timedelta(days=1)
_OWN_INTERVAL = frozenset({Edge.INTERVAL_MATCH, Edge.QUALITY_GATE, Edge.CONTROL_EVENT})
"""Kinds that mean their own interval without saying so: yesterday's gate says nothing of today's data."""

Which = SameInterval | ExactVersion | Latest


class Wanted(msgspec.Struct, frozen=True):
    """What has to be known of an upstream: the interval that is looked at, and the version that is named."""

    upstream: str
    start_us: int
    end_us: int
    exact: str | None = None


def which_of(contract: ContractSpec, asked: Asked) -> Which:
    """What says which versions are read: the contract's word, else what its kind means."""
    for each in contract.require:
        if isinstance(each, SameInterval | ExactVersion | Latest):
            return each
    if contract.kind in _OWN_INTERVAL and asked.end_us > asked.start_us:
        return _SAME
    return _LATEST


_SAME, _LATEST = SameInterval(), Latest()


def wanted(contract: ContractSpec, asked: Asked) -> Wanted:
    """What to load of the contract's upstream to evaluate it."""
    which = which_of(contract, asked)
    start_us, end_us = span_of(which, asked)
    exact = which.version if isinstance(which, ExactVersion) else None
    return Wanted(contract.upstream, start_us, end_us, exact)


def span_of(which: Which, asked: Asked) -> Span:
    """The interval of the upstream: the downstream's own, moved by the offset."""
    if isinstance(which, SameInterval) and which.offset:
        return moved((asked.start_us, asked.end_us), which.offset, asked.tz)
    return asked.start_us, asked.end_us


def moved(span: Span, offset: timedelta, tz: str) -> Span:
    """An interval by an offset; of whole days it is days of the calendar, so that midnight stays midnight.

    >>> from datetime import UTC, datetime
    >>> day = [to_us(datetime(2026, 3, n, 22 if n > 28 else 23, tzinfo=UTC)) for n in (29, 30)]
    >>> [str(from_us(us)) for us in moved((day[0], day[1]), timedelta(days=-1), "Europe/Berlin")]
    ['2026-03-28 23:00:00+00:00', '2026-03-29 22:00:00+00:00']
    """
    if offset % _DAY or tz == "UTC":
        step = offset // timedelta(microseconds=1)
        return span[0] + step, span[1] + step
    there = _zone(tz)
    start, end = (to_us(from_us(us).astimezone(there) + offset) for us in span)
    return start, end


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


class Pool:
    """The versions of one upstream that there are to choose from."""

    __slots__ = ("_first", "_now_us", "_plan_id", "only_read", "span", "versions")

    def __init__(self, seen: Observed, asked: Asked, span: Span, *, only_read: bool = False) -> None:
        read = seen.read or ()
        self.only_read = only_read
        extra = (seen.latest, seen.exact, seen.previous)
        if only_read:
            self.versions = {each.version_id: each for each in read}
        else:
            self.versions = {each.version_id: each for each in (*seen.over, *extra, *read) if each}
        self._first = frozenset(each.version_id for each in read)
        self._plan_id = asked.plan_id
        self._now_us = asked.now_us
        self.span = span

    def usable(self, version: Version) -> bool:
        """Whether it may be seen: visible and not past its expiry, of the plan that asks, or read before."""
        if version.visible:
            return not self.expired(version)
        if self._of_plan(version):
            return True
        return version.state is VersionState.SUPERSEDED and version.version_id in self._first

    def expired(self, version: Version) -> bool:
        """Its limitations were accepted until an instant that is past."""
        return version.expires_us is not None and version.expires_us <= self._now_us

    def spoilt(self, version: Version) -> bool:
        """It is there, and not to be trusted."""
        return version.state in (VersionState.INVALIDATED, VersionState.QUARANTINED) or (
            version.visible and self.expired(version)
        )

    def choose(self, which: Which, exact: Version | None, *, spoilt: bool = False) -> tuple[Version, ...]:
        """The versions that are read, in the order of their intervals; none when nothing serves.

        With `spoilt`, those that are not to be trusted count as well: whether there would be something.
        """
        if isinstance(which, ExactVersion):
            named = self.versions.get(exact.version_id) if exact is not None else None
            return (named,) if named is not None and self._exact(named, spoilt=spoilt) else ()
        able = [v for v in self.versions.values() if self.usable(v) or (spoilt and self.spoilt(v))]
        if isinstance(which, Latest):
            newest = max(able, key=self._newest, default=None)
            return () if newest is None else (newest,)
        return self._of_interval(able)

    def previous(self, which: Which, without: frozenset[int]) -> Version | None:
        """The newest usable one before: that ends by the interval's start or, of newest ones, before these."""
        limit = self.span[0]
        if not isinstance(which, SameInterval):
            ends = [each.end_us for key, each in self.versions.items() if key in without]
            limit = min(ends, default=limit)
        able = (
            each
            for each in self.versions.values()
            if self.usable(each) and each.version_id not in without and each.end_us <= limit
        )
        return max(able, key=self._newest, default=None)

    def latest(self, without: frozenset[int]) -> Version | None:
        """The newest usable one, whatever its interval."""
        able = (each for key, each in self.versions.items() if key not in without and self.usable(each))
        return max(able, key=self._newest, default=None)

    def parts(self, without: frozenset[int] = frozenset()) -> tuple[Version, ...]:
        """What there is within the interval, no two of which overlap."""
        start, end = self.span
        within = [
            each
            for key, each in self.versions.items()
            if key not in without and self.usable(each) and start <= each.start_us < each.end_us <= end
        ]
        found: list[Version] = []
        at = start
        for each in sorted(self._one_a_span(within), key=lambda v: (v.start_us, -v.end_us)):
            if each.start_us >= at:
                found.append(each)
                at = each.end_us
        return tuple(found)

    def _exact(self, version: Version, *, spoilt: bool) -> bool:
        if version.state is VersionState.SUPERSEDED:  # it is the one that is wanted, whatever came after
            return True
        return self.usable(version) or (spoilt and self.spoilt(version))

    def _of_interval(self, able: list[Version]) -> tuple[Version, ...]:
        """One of the very interval, else finer ones that tile it, else the least coarse one that holds it."""
        start, end = self.span
        same = [each for each in able if each.start_us == start and each.end_us == end]
        if same:
            return (max(same, key=self._rank),)
        if end > start:
            within = [each for each in able if start <= each.start_us < each.end_us <= end]
            if within and (tiles := _tiling(self.span, self._one_a_span(within))):
                return tiles
        holding = [
            v for v in able if v.start_us <= start and v.end_us >= end and (end > start or start < v.end_us)
        ]
        if not holding:
            return ()
        return (min(holding, key=lambda v: (v.end_us - v.start_us, *(-each for each in self._rank(v)))),)

    def _one_a_span(self, versions: Iterable[Version]) -> list[Version]:
        best: dict[Span, Version] = {}
        for each in versions:
            held = best.get((each.start_us, each.end_us))
            if held is None or self._rank(each) > self._rank(held):
                best[each.start_us, each.end_us] = each
        return list(best.values())

    def _of_plan(self, version: Version) -> bool:
        return (
            version.state is VersionState.VALIDATED
            and self._plan_id is not None
            and version.plan_id == self._plan_id
        )

    def _rank(self, version: Version) -> tuple[int, int, int]:
        """Of versions of one interval: those read before, then those of the plan, then the newest."""
        return version.version_id in self._first, self._of_plan(version), version.version_id

    def _newest(self, version: Version) -> tuple[int, int, int, int]:
        return (version.end_us, *self._rank(version))


def _tiling(span: Span, versions: list[Version]) -> tuple[Version, ...]:
    """Versions that follow one another from the start of the span to its end; at each place the longest
    from which the end can be reached. Empty: they leave a gap.
    """
    start, end = span
    leads: dict[int, Version] = {}  # by start: the longest one from which the end is reached
    for each in sorted(versions, key=lambda v: (v.start_us, v.end_us), reverse=True):
        if (each.end_us == end or each.end_us in leads) and each.start_us not in leads:
            leads[each.start_us] = each
    found: list[Version] = []
    while start < end:
        part = leads.get(start)
        if part is None:
            return ()
        found.append(part)
        start = part.end_us
    return tuple(found)
