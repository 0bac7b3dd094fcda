"""What a question has to know of one upstream: what the store is asked for."""

from __future__ import annotations

import msgspec


class Wish(msgspec.Struct, frozen=True):
    """An upstream over an interval; a version that is named (its number or label); those of a rerun plan, what a
    version that an instance has made was made of, what `downstream` lives with.
    """

    upstream: str
    start_us: int
    end_us: int
    exact: str | None = None
    plan_id: int | None = None
    instance_id: int | None = None
    version_id: int | None = None
    downstream: str = ""
