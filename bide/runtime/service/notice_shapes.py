"""The JSON of notices that every door gives: keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from bide.runtime.service.said_words import Id, Instant, NoticeWord
from bide.runtime.service.shapes import _Shape


class RouteLine(_Shape, frozen=True):
    """Who is told of what. `kinds`, `owner` and `tags` are what it takes; empty: any. `to` holds no secret.

    `pending`: notices that are still to be sent. `failing`: why its receiver took nothing of late; `off`: why
    nothing is sent there any more.
    """

    name: str
    to: str
    kinds: tuple[str, ...]
    owner: tuple[str, ...]
    tags: tuple[str, ...]
    at_least: str
    window_seconds: float
    burst: int
    pending: int
    failing: str | None
    off: str | None


class NoticeLine(_Shape, frozen=True):
    """One notice over one route. `count`: alerts that it stands for. `status` and `error`: of the last attempt."""

    id: Id
    route: str
    kind: str
    severity: str
    state: NoticeWord
    count: int
    title: str
    made_at: Instant
    next_at: Instant | None
    attempts: int
    status: int | None
    error: str | None
    ended_at: Instant | None
