"""A promised interval is late: the newest version is stale, until a newer one comes (S1-4, S1-12).

The promise's own timer finds it; nothing polls. Which version is stale stands in the world, one an asset, so that
who publishes the next knows of it without asking. A degraded version stays degraded: it is labelled already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.assets.words import VersionState
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.assets.state import Stale
from bide.runtime.engine.assets.versions import move_settled
from bide.runtime.store.stale import NewestRow

if TYPE_CHECKING:
    from bide.runtime.engine.turn import FactKey, Turn
    from bide.runtime.engine.world import Expected, World


def newest_of(name: str) -> FactKey:
    """What has to be known before an asset can be found late."""
    return ("asset_newest", name)


def late(t: Turn, name: str, each: Expected, reason: str) -> None:
    """The newest version that consumers see is older than it should be."""
    newest: NewestRow | None = t.facts[newest_of(name)]
    asset = asset_named(t, name)
    if newest is None or asset.stale is not None or newest.end_us > each.end:
        return
    if newest.state is not VersionState.PUBLISHED or newest.version_id in t.changes.asset_states:
        return
    move_settled(
        t, newest.version_id, name, newest.run_id, VersionState.PUBLISHED, VersionState.STALE, reason
    )
    asset.stale = Stale(newest.version_id, newest.run_id, newest.start_us, newest.end_us)


def runs_gone(world: World, runs: set[int]) -> None:
    """What is stale is told of without the run that made it, once that is pruned."""
    for asset in world.assets.named.values():
        if asset.stale is not None and asset.stale.run_id in runs:
            asset.stale = asset.stale._replace(run_id=None)
