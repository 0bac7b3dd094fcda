"""A delivery as it is known: what became of it, and how often it has come."""

from __future__ import annotations

from typing import Final

import msgspec

ACCEPTED: Final = "accepted"
"""It made a run: the same again is answered with that run."""
IGNORED: Final = "ignored"
"""No route of its hook wants it."""
REFUSED: Final = "refused"
"""It could not be meant, or its DAG could not take it."""
DUPLICATE: Final = "duplicate"
"""What is answered when one that made a run comes again."""


class Seen(msgspec.Struct, frozen=True):
    """A delivery that is known by one of its keys."""

    delivery_id: int
    outcome: str
    run_id: int | None
    dag: str
    times: int
    first_us: int
