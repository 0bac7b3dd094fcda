"""Which chain of task instances determined when a run ended, and what each of them did with its time. Pure.

An instance begins when the last end above it lets it go. Walking back from the one that ended last,
each step goes to the end that let it go; the links so found leave no gap: their times add up to the run's.
Order is that of the journal (`seq`), which a step of the wall clock cannot turn around.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from bide.runtime.engine.states import OVER, State

K = TypeVar("K", bound=Hashable)

PHASES: Final = ("blocked", "queued", "deferred", "running", "backoff", "approval", "lost")
"""What an instance does between its upstreams' end and its own: held back by a contract or not let go yet,
wanting a slot, waiting for the world, holding a slot, waiting for its next try, for a person, or lost."""
_PHASE: Final = {
    State.PENDING: "blocked",
    State.BLOCKED: "blocked",
    State.READY: "queued",
    State.MAPPED: "blocked",
    State.DEFERRED: "deferred",
    State.RUNNING: "running",
    State.UP_FOR_RETRY: "backoff",
    State.AWAITING_APPROVAL: "approval",
    State.LOST: "lost",
}


class Move(msgspec.Struct, frozen=True, array_like=True):
    """A transition of an instance, as the journal has it."""

    seq: int
    at_us: int
    was: State
    now: State


class Life(msgspec.Struct, Generic[K], frozen=True):
    """An instance in one opening of its run: its moves in order, and whose ends can let it go.

    `up` are the instances above it; a mapped task's summary has its own instances there as well.
    """

    moves: tuple[Move, ...]
    up: tuple[K, ...] = ()

    @property
    def released(self) -> int | None:
        """The number of the line in which it left `pending`, or began; None: it has not."""
        return next((move.seq for move in self.moves if move.now is not State.PENDING), None)

    @property
    def ended(self) -> int | None:
        """The number of the line in which it ended; None while it goes on."""
        return self.moves[-1].seq if self.moves and self.moves[-1].now in OVER else None


def last_life(moves: Sequence[Move]) -> tuple[Move, ...]:
    """Of the moves of one instance those since it was opened last: by a rerun it may begin again.

    >>> again = [Move(1, 0, State.RUNNING, State.FAILED), Move(2, 5, State.FAILED, State.READY)]
    >>> [move.seq for move in last_life(again)]
    [2]
    """
    begin = 0
    for place, move in enumerate(moves):
        if move.was in OVER and move.now not in OVER:
            begin = place
    return tuple(moves[begin:])


class Link(msgspec.Struct, Generic[K], frozen=True):
    """One instance of the chain: from the end that let it go to its own, and what it did in between."""

    key: K
    from_us: int
    until_us: int
    spent_us: dict[str, int]


def critical_path(lives: Mapping[K, Life[K]], begun_us: int, now_us: int) -> list[Link[K]]:
    """The chain that determined the end, first to last; of an unfinished run, the one that holds it up now.

    `begun_us`: when the run was (last) opened; `now_us`: until when what goes on is counted.

    >>> a = Life((Move(1, 0, State.READY, State.RUNNING), Move(2, 7, State.RUNNING, State.SUCCESS)))
    >>> b = Life((Move(3, 7, State.PENDING, State.READY), Move(4, 9, State.READY, State.RUNNING),
    ...     Move(5, 10, State.RUNNING, State.SUCCESS)), ("a",))
    >>> [(link.key, link.spent_us) for link in critical_path({"a": a, "b": b}, 0, 99)]
    [('a', {'running': 7}), ('b', {'queued': 2, 'running': 1})]
    """
    chain = _walk(lives, _last(lives))
    links: list[Link[K]] = []
    at = begun_us
    for key in chain:
        life = lives[key]
        until = max(at, life.moves[-1].at_us if life.ended is not None else now_us)
        links.append(Link(key, at, until, spent(life.moves, at, until)))
        at = until
    return links


def _last(lives: Mapping[K, Life[K]]) -> K | None:
    """The end of the chain: of what has begun and goes on the oldest, else what ended last."""
    going = [(life.released, key) for key, life in lives.items() if life.ended is None and life.released]
    if going:
        return min(going, key=lambda each: each[0] or 0)[1]
    ended = [(life.ended, key) for key, life in lives.items() if life.ended is not None]
    return max(ended, key=lambda each: each[0] or 0)[1] if ended else None


def _walk(lives: Mapping[K, Life[K]], last: K | None) -> list[K]:
    """Back from `last`, each time to the latest end above that came before the release."""
    chain: list[K] = []
    at = last
    while at is not None:
        chain.append(at)
        life = lives[at]
        before = life.released or 0
        if life.ended is not None and life.moves[-1].was is State.MAPPED:
            before = life.ended  # the last of its own instances ended it
        at = _latest(lives, life.up, before)
    chain.reverse()
    return chain


def _latest(lives: Mapping[K, Life[K]], keys: Iterable[K], before: int) -> K | None:
    best: tuple[int, K] | None = None
    for key in keys:
        life = lives.get(key)
        ended = life.ended if life is not None else None
        if ended is not None and ended < before and (best is None or ended > best[0]):
            best = (ended, key)
    return best[1] if best else None


def spent(moves: Sequence[Move], from_us: int, until_us: int) -> dict[str, int]:
    """Phase -> microseconds between the two instants, by the moves of one instance; they add up to all of it.

    >>> spent([Move(1, 5, State.READY, State.RUNNING)], 0, 9)
    {'queued': 5, 'running': 4}
    """
    found: dict[str, int] = {}
    at = from_us
    state = moves[0].was if moves else State.PENDING
    for move in moves:
        edge = min(max(move.at_us, at), until_us)
        _add(found, state, edge - at)
        at, state = edge, move.now
    _add(found, state, until_us - at)
    return {phase: found[phase] for phase in PHASES if phase in found}


def _add(found: dict[str, int], state: State, us: int) -> None:
    """An instance that is over, and is opened again later, is merely not let go yet."""
    if us > 0:
        phase = _PHASE.get(state, "blocked")
        found[phase] = found.get(phase, 0) + us
