"""What makes an asset: a DAG's tasks as a plan needs them, and the fewest of them that make it safely anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task. `reads` are upstreams whose outputs it takes; `waits`: it is a sensor; `asks`: it is an approval.

    `target`, `semantics` and `reversible` are those of an external effect, "" for what is none.
    """

    name: str
    upstream: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()
    cost: dict[str, float] = {}
    waits: bool = False
    asks: bool = False
    setup: bool = False
    setups: tuple[str, ...] = ()  # of a tear-down
    target: str = ""
    semantics: str = ""
    reversible: bool = True
    seconds: float | None = None  # how long it takes, by its last attempts that succeeded

    @property
    def is_effect(self) -> bool:
        return bool(self.semantics)


class Producer(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG as it is now: its tasks in declaration order, and the hash of this version of it."""

    dag: str
    version: str
    tasks: tuple[Work, ...]

    def writers(self, assets: Collection[str]) -> tuple[str, ...]:
        """The tasks that make one of these assets."""
        return tuple(work.name for work in self.tasks if any(name in assets for name in work.outlets))


def tasks_for(producer: Producer, writers: Iterable[str]) -> tuple[str, ...]:
    """The fewest tasks that make anew what these write, in declaration order.

    Beside them: what they take outputs of, and whatever stands above them that makes no asset, for nothing
    says where its work has gone. An upstream that makes an asset stays: its version is there to be read.
    Sensors that wait for the world stay out, for it has come; those that wait for what runs again do not.
    """
    known = {work.name: work for work in producer.tasks}
    chosen: set[str] = set()
    edge = [name for name in writers if name in known]
    while edge:
        name = edge.pop()
        if name in chosen:
            continue
        chosen.add(name)
        work = known[name]
        ups = [known[up] for up in (*work.upstream, *work.reads) if up in known]
        edge += [up.name for up in ups if _unseen(known, up) or (up.name in work.reads and not up.is_effect)]
    for work in producer.tasks:
        if work.setups and chosen.intersection(work.setups):
            chosen.add(work.name)
    return tuple(work.name for work in producer.tasks if work.name in chosen)


def _unseen(known: dict[str, Work], work: Work) -> bool:
    """Whether what it does is kept in no asset, so that it has to be done again."""
    if work.outlets or work.is_effect or work.asks:
        return False
    if not work.waits:
        return True
    above, edge = set[str](), list(work.upstream)
    while edge:  # it waits for what something above it has set going
        up = known.get(edge.pop())
        if up is not None and up.name not in above:
            above.add(up.name)
            if not up.waits and _unseen(known, up):
                return True
            edge.extend(up.upstream if up.waits else ())
    return False
