"""A version is seen that was being made while one of its inputs was found wrong: it is reached after all.

Spreading follows what was made of a version. What is made of it meanwhile, by a run that had begun before, comes
too late for that, so who is published asks once whether its inputs were hit. A run that begins while something
spreads may read what is reached a moment later. Where nothing was invalidated, and nothing has spread, since its run
began, and no contract lets it read what is wrong all the same, nothing is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.engine.assets.invalidating import SPREADING, go_on
from bide.runtime.engine.messages import LateAsked

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn


def seen(t: Turn, version_id: int, asset: str, run_id: int | None) -> None:
    """To be called when a version that was made of others is let out."""
    assets = t.world.assets
    last = assets.invalidated
    run = t.world.runs.get(run_id) if run_id is not None else None
    if last is None:
        return
    began = run.started if run is not None else None
    asks = bool(assets.spreading or assets.catalog.of_downstream.get(asset))
    if began is not None and began > last and not asks:
        return
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
