"""Cycles of the asset graph: those that no version order breaks, and how each edge of them relates versions.

Within one layer, that is for versions of one interval, the graph must have none: each would wait for the
other for ever (S1-44). A cycle in names is fine when going round it once leads to an older version (S1-46).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import msgspec

from bide.runtime.assets.contract import ExactVersion, Latest, SameInterval
from bide.runtime.assets.words import Edge
from bide.runtime.graph.asset_graph import AssetGraph, Link

LOOKED_AT: Final = 1000
"""Cycles that are told apart; a graph with more of them is wrong already."""
_OWN: Final = (Edge.INTERVAL_MATCH, Edge.QUALITY_GATE, Edge.CONTROL_EVENT)


class Relation(msgspec.Struct, frozen=True):
    """How the version of the downstream relates to the one it is made of (S1-45)."""

    downstream: str
    upstream: str
    version: str
    interval: str
    publication: str

    def __str__(self) -> str:
        return (
            f"{self.downstream} reads {self.upstream} ({self.version}, {self.interval}, {self.publication})"
        )


class Cycle(msgspec.Struct, frozen=True):
    """A cycle of names. `ordered`: going round it leads to an older version, so it is none of versions.

    `sure`: contracts say which versions are read; else tasks do, that may well mean older ones.
    """

    relations: tuple[Relation, ...]
    ordered: bool
    sure: bool

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.downstream for each in self.relations)

    def __str__(self) -> str:
        return f"{' <- '.join((*self.names, self.names[0]))}: {'; '.join(map(str, self.relations))}"


def cycles(graph: AssetGraph) -> list[Cycle]:
    """The cycles of names, the shortest first, each once; at most `LOOKED_AT`."""
    links: dict[str, dict[str, Link]] = {}
    for (down, up), link in graph.links.items():
        if link.kind is not Edge.INVALIDATION:
            links.setdefault(down, {})[up] = link
    found: list[Cycle] = []
    for path in _paths(links):
        edges = [links[down][up] for down, up in zip(path, (*path[1:], path[0]), strict=True)]
        found.append(_cycle(edges))
        if len(found) >= LOOKED_AT:
            break
    return sorted(found, key=lambda each: (len(each.names), each.names))


def _cycle(edges: list[Link]) -> Cycle:
    offsets = [which.offset for link in edges if isinstance(which := which_said(link), SameInterval)]
    older = any(map(_older, edges))
    back = len(offsets) == len(edges) and sum(offsets, timedelta()) < timedelta()
    sure = len(offsets) == len(edges)
    return Cycle(tuple(map(relation, edges)), older or back, sure)


def which_said(link: Link) -> SameInterval | ExactVersion | Latest | None:
    """Which versions an edge reads, where its contract or its kind says so."""
    for each in link.contract.require if link.contract is not None else ():
        if isinstance(each, SameInterval | ExactVersion | Latest):
            return each
    return SameInterval() if link.kind in _OWN else None


def _older(link: Link) -> bool:
    """What is read was there before: a version that is named, or the newest, said in so many words."""
    which = which_said(link)
    return isinstance(which, ExactVersion | Latest) or (which is None and link.kind is Edge.REFERENCE_DATA)


def relation(link: Link) -> Relation:
    """The version, interval and publication relation of an edge."""
    which = which_said(link)
    if isinstance(which, ExactVersion):
        version, interval = f"exactly version {which.version}", "any interval"
    elif isinstance(which, Latest) or (which is None and link.kind is Edge.REFERENCE_DATA):
        version, interval = "an older version: the newest before it", "any interval"
    elif which is None:
        version, interval = "no version said: the newest", "any interval"
    else:
        moved = which.offset
        version = "the version before" if moved < timedelta() else "the same version"
        sign = "+" if moved > timedelta() else "-"
        interval = f"its interval {sign}{abs(moved)}" if moved else "the same interval"
        if moved > timedelta():
            version = "a version to come"
    published = "only what is published" if link.kind is Edge.PUBLICATION else "what may be seen"
    return Relation(link.downstream, link.upstream, version, interval, published)


def _paths(links: dict[str, dict[str, Link]]) -> Iterator[tuple[str, ...]]:
    """Each simple cycle once: those through the least name of a connected part, then those of what is left of it."""
    steps = _Steps()
    parts = list(_parts(links, set(links)))
    while parts:
        part = set(parts.pop())
        first = min(part)
        yield from _round(links, first, part, steps)
        parts += _parts(links, part - {first})


class _Steps:
    """How far it was walked: a graph so tangled that this is not enough is told of what was found by then."""

    def __init__(self) -> None:
        self.left = 200_000


def _round(
    links: dict[str, dict[str, Link]], first: str, allowed: set[str], steps: _Steps
) -> Iterator[tuple[str, ...]]:
    path, on = [first], {first}
    stack = [iter(sorted(links.get(first, {})))]
    while stack and steps.left:
        steps.left -= 1
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
            on.discard(path.pop())
        elif step == first:
            yield tuple(path)
        elif step in allowed and step not in on:
            path.append(step)
            on.add(step)
            stack.append(iter(sorted(links.get(step, {}))))


def _parts(links: dict[str, dict[str, Link]], within: set[str]) -> Iterator[list[str]]:
    """The strongly connected parts of two names or more: without recursion, a graph may be deep."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    held: dict[str, None] = {}

    def enter(name: str) -> tuple[str, Iterator[str]]:
        index[name] = low[name] = len(index)
        held[name] = None
        return name, iter([up for up in links.get(name, ()) if up in within])

    for root in sorted(within):
        work = [] if root in index else [enter(root)]
        while work:
            name, steps = work[-1]
            step = next(steps, None)
            if step is not None:
                if step not in index:
                    work.append(enter(step))
                elif step in held:
                    low[name] = min(low[name], index[step])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[name])
            if low[name] == index[name]:
                part = [held.popitem()[0]]
                while part[-1] != name:
                    part.append(held.popitem()[0])
                if len(part) > 1:
                    yield part
