"""The shapes of actions on many runs or DAGs."""

from __future__ import annotations

import msgspec


class Left(msgspec.Struct, frozen=True):
    """One that was not done, and why."""

    id: str
    why: str


class ActionAsked(msgspec.Struct, frozen=True):
    """How many match, and the first of them in the order they are taken. `id` is null where nothing was done."""

    id: str | None
    action: str
    count: int
    first: tuple[str, ...]
    where: str


class ActionShown(msgspec.Struct, frozen=True):
    """How far an action has come: `going` or `done`. `left` are the first of those that were refused."""

    id: str
    action: str
    state: str
    where: str
    total: int
    done: int
    refused: int
    left: tuple[Left, ...]
    begun_at: str
    ended_at: str | None
