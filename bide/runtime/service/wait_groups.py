"""Waits that have something in common, as one: the figures of all of them, and a sentence that says it.

Pure: what is given is what was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bide.runtime.clock import SECOND
from bide.runtime.engine.explain import span_words
from bide.runtime.service.shapes import iso, iso_or_none
from bide.runtime.service.waiting_shapes import WaitGroup

if TYPE_CHECKING:
    from bide.runtime.service.waiting import Seen
    from bide.runtime.triggerer.registration import SourceSeen

ENGINE: Final = "engine"
_LOOKS: Final = {
    "http": "request",
    "object": "listing",
    "kafka": "question for the offsets",
    "python": "call",
}
"""What a look is, by kind."""
_THINGS: Final = {
    "file": "files",
    "http": "addresses",
    "object": "objects",
    "kafka": "topics",
    "time": "instants",
    "python": "calls",
    "external_task": "other runs",
    "asset": "asset versions",
}
"""What several different things of a kind are."""


def group(key: str, waits: list[Seen], source: SourceSeen | None) -> WaitGroup:
    """All of `waits`, of which there is one at least. `source` is theirs, where they have one and it is known."""
    looked = [one for one in waits if one.look is not None and one.look.last_look_us is not None]
    last = max(looked, key=_last_us, default=None)
    failing = [one for one in waits if one.failures]
    worst = max(failing, key=lambda one: one.failures, default=None)
    ending = min((one for one in waits if one.deadline_us is not None), key=_deadline_us, default=None)
    nexts = [
        one.look.next_look_us for one in waits if one.look is not None and one.look.next_look_us is not None
    ]
    first = waits[-1]
    dags = {one.dag for one in waits}
    kinds = {one.kind for one in waits}
    sources = {one.source for one in waits}
    things = len({one.what for one in waits})
    by = _seen_by(waits, source, nexts)
    looks = (
        None
        if by != "looks"
        else source.looks
        if source is not None and source.waits == len(waits)
        else _looks(waits)
    )
    every = min((one.poll_us for one in waits if one.poll_us), default=0) if by == "looks" else 0
    backed_off = max(map(_apart, failing), default=0)
    return WaitGroup(
        key=key,
        kind=first.kind if len(kinds) == 1 else "",
        source=first.source if len(sources) == 1 else "",
        says=_says(waits, things, kinds, sources, by, looks, every),
        waits=len(waits),
        things=things,
        what=first.what,
        dags=len(dags),
        dag=first.dag,
        since=iso(min(one.since_us for one in waits)),
        deadline=None if ending is None else iso_or_none(ending.deadline_us),
        deadline_since=None if ending is None else iso(ending.since_us),
        last_look=None if last is None else iso(_last_us(last)),
        saw="" if last is None or last.look is None else last.look.last_answer,
        next_look=iso_or_none(min(nexts, default=None)),
        seen_by=by,
        looks=looks,
        every_seconds=every / SECOND if every else None,
        backed_off_seconds=backed_off / SECOND if every and backed_off > every * 1.5 else None,
        failing=len(failing),
        failures=0 if worst is None else worst.failures,
        trouble="" if worst is None or worst.look is None else worst.look.last_answer,
        rest_until=None if source is None else iso_or_none(source.rest_us),
    )


def _seen_by(waits: list[Seen], source: SourceSeen | None, nexts: list[int]) -> str:
    if all(one.source == ENGINE for one in waits):
        return "engine"
    if source is not None:
        return "told" if source.looks is None else "looks"
    if any(one.look is not None and one.look.shared for one in waits):
        return "looks"
    if nexts or any(one.look is not None for one in waits):
        return "told"
    return "nobody"


def _looks(waits: list[Seen]) -> int:
    """How many looks see these: each serves `shared` waits, of which some may be in other groups."""
    return max(
        round(sum(1 / one.look.shared for one in waits if one.look is not None and one.look.shared)), 1
    )


def _says(
    waits: list[Seen], things: int, kinds: set[str], sources: set[str], by: str, looks: int | None, every: int
) -> str:
    many = "1 wait" if len(waits) == 1 else f"{len(waits):,} waits"
    if things == 1:
        what, kind = waits[0].what, f"{waits[0].kind} "
        on = what.removeprefix(kind) if waits[0].kind in _NAMED else what
    else:
        on = _different(waits)
        if len(sources) == 1 and (root := _root(waits[0].source)):
            on = f"{on} of {root}"
    said = f"{many} for {on}"
    if by == "engine":
        return f"{said}: the engine sees it in the commit"
    if by == "nobody":
        return f"{said}: nobody looks, no service holds this database"
    if by == "told" or looks is None:
        return f"{said}: one {'timer' if kinds == {'time'} else 'watch'} for all"
    look = _LOOKS.get(next(iter(kinds)), "look") if len(kinds) == 1 else "look"
    count = (
        f"one {look}"
        if looks == 1
        else f"{looks:,} {look.replace('question', 'questions') if ' ' in look else look + 's'}"
    )
    return f"{said}: {count} every {span_words(every)}" if every else f"{said}: {count}"


_NAMED: Final = ("http", "object", "python")
"""Kinds whose words say what they are without it."""


def _different(waits: list[Seen]) -> str:
    """`9 other runs, 3 files and 2 objects`: different things by their kinds."""
    found: dict[str, set[str]] = {}
    for one in waits:
        found.setdefault(one.kind, set()).add(one.what)
    said = [f"{len(of):,} {_THINGS.get(kind, f'things ({kind})')}" for kind, of in found.items()]
    if any(len(of) == 1 for of in found.values()):
        return f"{sum(map(len, found.values())):,} things"
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def _root(source: str) -> str:
    """The address that a source is at: `s3://landing` of `object s3://landing {...}`."""
    return next((word for word in source.split() if "://" in word), "")


def _last_us(one: Seen) -> int:
    return (one.look.last_look_us or 0) if one.look is not None else 0


def _deadline_us(one: Seen) -> int:
    return one.deadline_us or 0


def _apart(one: Seen) -> int:
    """How long it is from its last look to its next."""
    look = one.look
    if look is None or look.next_look_us is None or look.last_look_us is None:
        return 0
    return look.next_look_us - look.last_look_us
