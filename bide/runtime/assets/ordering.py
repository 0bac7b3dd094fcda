"""In which order affected versions are made anew, and which of them in one run.

What lineage and contracts say goes first goes first. Versions that one DAG makes for one interval are made in
one run, unless something else has to be made between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

import msgspec

from bide.runtime.assets.blast import Impacted
from bide.runtime.assets.catalog import Catalog
from bide.runtime.assets.contract import Latest, SameInterval
from bide.runtime.assets.words import Edge, Node

Key = tuple[object, ...]
Edges = dict[int, set[int]]
"""By place: the places that come before it."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What one run makes. `after` are the groups it waits for, by place."""

    dag: str
    start_us: int
    end_us: int
    effect: bool
    nodes: tuple[Impacted, ...]
    after: tuple[int, ...]


def grouped(
    nodes: Sequence[Impacted],
    lineage: Iterable[tuple[int, int]],
    instead: Iterable[tuple[int, int]],
    catalog: Catalog,
    dag_of: Callable[[Impacted], str],
) -> tuple[Group, ...]:
    """The runs that make these versions anew, each after those it reads.

    `lineage`: (version, what it was made of); `instead`: (version, what has the interval of what it was made of): that
    is what it reads when it is made anew, unless it was made of the version itself.
    """
    place = {node.version_id: n for n, node in enumerate(nodes)}
    before = _before(nodes, place, lineage)
    depth = _depths(catalog, {node.asset for node in nodes})
    rank = [(_leaves(node), depth[node.asset], node.start_us, node.version_id) for node in nodes]
    before = _with(before, _before(nodes, place, instead), rank)
    order = {n: at for at, n in enumerate(_sorted(before, rank))}
    for n, up in _by_contract(nodes, catalog):
        if order[up] < order[n] and not _out_of_order(nodes[n], nodes[up]):
            before[n].add(up)
    keys = _keys([_key(node, dag_of(node)) for node in nodes], before, order)
    members: dict[Key, list[int]] = {}
    for n in sorted(order, key=order.__getitem__):
        members.setdefault(keys[n], []).append(n)
    waits = {key: {keys[up] for n in those for up in before[n]} - {key} for key, those in members.items()}
    number = {key: at for at, key in enumerate(members)}
    ranked = [min(rank[n] for n in those) for those in members.values()]
    turn = _sorted({number[key]: {number[up] for up in ups} for key, ups in waits.items()}, ranked)
    final = {at: n for n, at in enumerate(turn)}
    by_number = list(members)
    return tuple(
        Group(
            dag=dag_of(nodes[members[key][0]]),
            start_us=nodes[members[key][0]].start_us,
            end_us=nodes[members[key][0]].end_us,
            effect=_leaves(nodes[members[key][0]]),
            nodes=tuple(nodes[n] for n in members[key]),
            after=tuple(sorted(final[number[up]] for up in waits[key])),
        )
        for key in (by_number[at] for at in turn)
    )


def _before(nodes: Sequence[Impacted], place: Mapping[int, int], pairs: Iterable[tuple[int, int]]) -> Edges:
    before: Edges = {n: set() for n in range(len(nodes))}
    for version, read in pairs:
        n, up = place.get(version), place.get(read)
        if n is not None and up is not None and not _out_of_order(nodes[n], nodes[up]):
            before[n].add(up)
    return before


def _with(before: Edges, more: Edges, rank: Sequence[tuple[int, ...]]) -> Edges:
    """Both; but among what would wait for one another in a circle, only what was before."""
    if not any(more.values()):
        return before
    both = {n: ups | more[n] for n, ups in before.items()}
    circle = set(both).difference(_free(both, rank))
    return {n: before[n] | (more[n] - circle) if n in circle else ups for n, ups in both.items()}


def _leaves(node: Impacted) -> bool:
    """Whether it has left the platform: that is corrected once all else is published."""
    return node.node is Node.EXTERNAL_EFFECT


def _out_of_order(node: Impacted, read: Impacted) -> bool:
    """Nothing waits for itself, and no version for what leaves after it."""
    return node is read or (_leaves(read) and not _leaves(node))


def _key(node: Impacted, dag: str) -> Key:
    """What may be made in one run. What leaves the platform has a run of its own."""
    effect = node.asset if _leaves(node) else ""
    return dag, node.start_us, node.end_us, effect


def _sorted(before: Edges, rank: Sequence[tuple[int, ...]]) -> list[int]:
    """Each after those before it; of what is free the lowest rank first. What lies on a cycle comes last."""
    found = _free(before, rank)
    return found + sorted(set(before).difference(found), key=rank.__getitem__)


def _free(before: Edges, rank: Sequence[tuple[int, ...]]) -> list[int]:
    """The same, without what lies on a cycle or waits for one."""
    waiting = {n: len(ups) for n, ups in before.items()}
    below: Edges = {}
    for n, ups in before.items():
        for up in ups:
            below.setdefault(up, set()).add(n)
    free = [(rank[n], n) for n, count in waiting.items() if not count]
    heapify(free)
    found: list[int] = []
    while free:
        _, n = heappop(free)
        found.append(n)
        for each in below.get(n, ()):
            waiting[each] -= 1
            if not waiting[each]:
                heappush(free, (rank[each], each))
    return found


def _keys(keys: list[Key], before: Edges, order: dict[int, int]) -> list[Key]:
    """The keys, made finer where runs would wait for one another."""
    waits: dict[Key, set[Key]] = {key: set() for key in keys}
    for n, ups in before.items():
        waits[keys[n]].update(keys[up] for up in ups if keys[up] != keys[n])
    entangled = _entangled(waits)
    if not entangled:
        return keys
    level = dict.fromkeys(before, 0)
    for n in sorted(order, key=order.__getitem__):
        level[n] = max((level[up] + (keys[up] != keys[n]) for up in before[n]), default=0)
    return [(*key, level[n]) if key in entangled else key for n, key in enumerate(keys)]


def _entangled(waits: dict[Key, set[Key]]) -> set[Key]:
    """The groups that lie on a cycle, or between two."""
    left = {key: set(ups) for key, ups in waits.items()}
    for _ in range(2):  # without what comes before every cycle, then without what comes after
        count = {key: len(ups) for key, ups in left.items()}
        below: dict[Key, list[Key]] = {}
        for key, ups in left.items():
            for up in ups:
                below.setdefault(up, []).append(key)
        free = [key for key, n in count.items() if not n]
        while free:
            gone = free.pop()
            del left[gone]
            for key in below.get(gone, ()):
                count[key] -= 1
                if not count[key]:
                    free.append(key)
        turned: dict[Key, set[Key]] = {key: set() for key in left}
        for key, ups in left.items():
            for up in ups & left.keys():
                turned[up].add(key)
        left = turned
    return set(left)


# --- what contracts say --------------------------------------------------------------------------


def _depths(catalog: Catalog, assets: set[str]) -> dict[str, int]:
    """How far below the others an asset stands by the contracts among them; cycles are cut."""
    found: dict[str, int] = {}
    for root in sorted(assets):
        path: list[tuple[str, list[str]]] = [(root, _ups(catalog, root, assets))]
        going = {root}
        while path:
            name, ups = path[-1]
            up = next((each for each in ups if each not in found and each not in going), None)
            if up is None:
                path.pop()
                going.discard(name)
                found[name] = max((found[each] + 1 for each in ups if each in found), default=0)
            else:
                path.append((up, _ups(catalog, up, assets)))
                going.add(up)
    return found


def _ups(catalog: Catalog, name: str, assets: set[str]) -> list[str]:
    return sorted(up for up in catalog.of_downstream.get(name, ()) if up in assets)


def _by_contract(nodes: Sequence[Impacted], catalog: Catalog) -> Iterable[tuple[int, int]]:
    """(place, place before it) of versions that a contract joins: of the interval, or the newest."""
    by_asset: dict[str, list[int]] = {}
    for n, node in enumerate(nodes):
        by_asset.setdefault(node.asset, []).append(n)
    for places in by_asset.values():
        places.sort(key=lambda n: nodes[n].start_us)
    for asset, places in by_asset.items():
        for up, held in catalog.of_downstream.get(asset, {}).items():
            ups = by_asset.get(up)
            if not ups:
                continue
            newest = held.spec.kind is Edge.REFERENCE_DATA or any(
                isinstance(each, Latest) for each in held.spec.require
            )
            if newest:
                yield from ((n, ups[-1]) for n in places)
                continue
            shift = sum(
                round(each.offset.total_seconds() * 1_000_000)
                for each in held.spec.require
                if isinstance(each, SameInterval)
            )
            starts = [nodes[n].start_us for n in ups]
            longest = max(nodes[n].end_us - nodes[n].start_us for n in ups)
            for n in places:
                lo, hi = nodes[n].start_us + shift, nodes[n].end_us + shift
                for at in range(bisect_left(starts, lo - longest), bisect_left(starts, max(hi, lo + 1))):
                    if nodes[ups[at]].end_us > lo or nodes[ups[at]].start_us == lo:
                        yield n, ups[at]
