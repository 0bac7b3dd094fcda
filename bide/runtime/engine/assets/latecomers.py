"""A version is seen that was being made while one of its inputs was found wrong: it is reached after all.

Spreading follows what was made of a version. What is made of it meanwhile, by a run that had begun before, comes
too late for that, and so does what is made of one that is still seen with its limitations, whenever that is. So who
is published asks once whether its inputs were hit. Where nothing was ever invalidated, nothing is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.engine.assets.invalidating import SPREADING, go_on
from bide.runtime.engine.messages import LateAsked

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn


def seen(t: Turn, version_id: int) -> None:
    """To be called when a version that was made of others is let out."""
    if t.world.assets.invalidated:
        t.ask(LateAsked(version_id), ("late", version_id))


def late_asked(t: Turn, e: LateAsked) -> None:
    """Let the invalidations of its inputs spread on from these."""
    for number, version in t.fact("late", e.version_id):
        t.changes.invalidation_upto.append((0, number, version))
        if number not in t.world.assets.spreading:
            t.world.assets.spreading[number] = None
            t.changes.invalidations_set[number] = (SPREADING, None, number)
            t.journal(
                "invalidation",
                number,
                None,
                "spread",
                SPREADING,
                f"version {e.version_id} was made meanwhile",
            )
        go_on(t, number)
