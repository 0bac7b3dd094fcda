"""The shapes of actions on many runs or DAGs."""

from __future__ import annotations

import msgspec

from bide.runtime.service.said_words import ActionWord, Id, Instant


class LeftOut(msgspec.Struct, frozen=True):
    """One that was not done, and why."""

    id: str
    why: str


class ActionAsked(msgspec.Struct, frozen=True):
    """How many match, and the first of them in the order they are taken. `id` is null where nothing was done.

    Of waits one action takes 10,000 at most, the oldest: `rest` more match behind them, and are had with `after`, `last`.
    """

    id: Id | None
    action: str
    count: int
    first: tuple[str, ...]
    where: str
    rest: int = 0
    last: Id | None = None


class ActionShown(msgspec.Struct, frozen=True):
    """How far an action has come: `going` or `done`. `left` are the first of those that were refused."""

    id: Id
    action: str
    state: ActionWord
    where: str
    total: int
    done: int
    refused: int
    left: tuple[LeftOut, ...]
    begun_at: Instant
    ended_at: Instant | None
