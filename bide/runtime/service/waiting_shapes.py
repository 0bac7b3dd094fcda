"""The shapes of what is waited for, taken together."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from bide.runtime.service.said_words import Instant

BY = ("source", "what", "dag", "task")
"""What waits can be put together by."""
SeenWord = Annotated[str, Meta(extra_json_schema={"enum": ["looks", "told", "engine", "nobody"]})]


class WaitGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Open waits that have one thing in common, `key`: with it as the filter of that name, `waits` lists them.

    `says` is all of it in a sentence. `things` are the different things that are waited for, `what` one of them. `since` is of the
    oldest wait; `deadline` the nearest, and `deadline_since` when that wait began. `seen_by`: `looks` (of which there are
    `looks`, `every_seconds` apart while nothing fails, `backed_off_seconds` now), `told` by the outside, the `engine` itself,
    or `nobody`, as no runtime holds it. `saw` is what the last look saw. `failing` are the waits whose last looks saw nothing,
    `failures` in a row at most, and `trouble` says why. `rest_until`: the other side asked for no look before.
    """

    key: str
    kind: str
    source: str
    says: str
    waits: int
    things: int
    what: str
    dags: int
    dag: str
    since: Instant
    deadline: Instant | None
    deadline_since: Instant | None
    last_look: Instant | None
    saw: str
    next_look: Instant | None
    seen_by: SeenWord
    looks: int | None
    every_seconds: float | None
    backed_off_seconds: float | None
    failing: int
    failures: int
    trouble: str
    rest_until: Instant | None
