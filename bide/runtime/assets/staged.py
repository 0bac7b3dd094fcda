"""A candidate version: what its task says of it, and how gates see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a candidate is and what is said of it: the label is its place, or a name; `schema` is JSON."""

    label: str = ""
    rows: int | None = None
    schema: Any = None
    meta: dict[str, Any] = {}


class Staged(msgspec.Struct, frozen=True):
    """What is staged of an asset: where it is, what was said of it, for the data interval `[start, end)`.

    `rows` and `schema` are None where the task did not say; `at_us` is when its gates are run.
    """

    asset: str
    uri: str
    rows: int | None
    schema: Any
    meta: dict[str, Any]
    start: datetime
    end: datetime
    at_us: int
