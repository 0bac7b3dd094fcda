"""Branches: what a task may choose among those right downstream of it, and who is skipped by its choice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bide.runtime.errors import GraphError
from bide.runtime.graph.validate import suggestion


def names_of(value: Any) -> Any:
    """What a branch returned, with names in place of tasks, outputs and groups; None is no task at all.

    >>> names_of(None), names_of("load"), names_of(["load", "count"])
    ([], ['load'], ['load', 'count'])
    """
    if value is None:
        return []
    items = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    named = [_name(item) for item in items]
    return sorted(named) if isinstance(value, (set, frozenset)) and all(map(_is_text, named)) else named


def _is_text(item: object) -> bool:
    return isinstance(item, str)


def _name(item: Any) -> Any:
    if isinstance(item, str):
        return item
    node = getattr(item, "node", None)  # an output; a task or a group has a name of its own
    name = getattr(item if node is None else node, "name", None)
    return name if isinstance(name, str) else item


def chosen(branch: str, group: str, returned: Any, downstream: Iterable[str]) -> list[str]:
    """The names right downstream that `returned` means, in their order; `GraphError` names those there are.

    A name is one of a task right downstream, or of a group, or either without the names of the
    groups that the branch stands in itself.

    >>> chosen("pick", "", ["full"], ["full", "delta"])
    ['full']
    """
    there = list(downstream)
    taken: set[str] = set()
    for name in names_of(returned):
        meant = _meant(name, group, there) if isinstance(name, str) else []
        if not meant:
            listed = ", ".join(there) or "none"
            near = suggestion(name, there) if isinstance(name, str) else ""
            raise GraphError(
                f"the branch {branch!r} chose {name!r}, which is no task right downstream of it"
                f"{near}; there are: {listed}"
            )
        taken.update(meant)
    return [name for name in there if name in taken]


def _meant(name: str, group: str, there: list[str]) -> list[str]:
    around = group
    while True:
        full = f"{around}.{name}" if around else name
        if full in there:
            return [full]
        within = [each for each in there if each.startswith(f"{full}.")]
        if within or not around:
            return within
        around = around.rpartition(".")[0]


def beyond(
    branch: int, downstream: Sequence[Sequence[int]], upstream: Sequence[Sequence[int]]
) -> dict[int, frozenset[int]]:
    """Per task right below a branch: which of the others right below it stand below that one.

    Nothing is walked where each of them has the branch alone above it.
    """
    below = downstream[branch]
    joins = {place for place in below if len(upstream[place]) > 1}
    if not joins or len(below) < 2:
        return {}
    found: dict[int, frozenset[int]] = {}
    for start in below:
        seen: set[int] = set()
        edge = list(downstream[start])
        while edge:
            at = edge.pop()
            if at not in seen:
                seen.add(at)
                edge.extend(downstream[at])
        if reached := joins & seen:
            found[start] = frozenset(reached)
    return found


def spared(chosen: Collection[int], beyond: Mapping[int, frozenset[int]]) -> frozenset[int]:
    """Those right below a branch that its choice does not skip: the chosen, and what stands below them."""
    kept = set(chosen)
    for place in chosen:
        kept |= beyond.get(place, frozenset())
    return frozenset(kept)
