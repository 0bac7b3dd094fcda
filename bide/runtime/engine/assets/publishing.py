"""A success records a version of each of its outlets, in its own transaction, and wakes who looks at it."""

from __future__ import annotations

from collections import deque

from bide.runtime.engine.assets import consuming, waits
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.assets.state import AssetState, Version
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Instance

PUBLISHED = "published"


def publish_all(t: Turn) -> None:
    """Record what the successes of this turn have made, in their order."""
    published, t.published = t.published, []
    for inst in published:
        for name in inst.task.outlets:
            _publish(t, inst, asset_named(t, name))


def _publish(t: Turn, inst: Instance, asset: AssetState) -> None:
    meta = inst.run.meta
    version_id = t.world.take_id("asset_version")
    t.changes.asset_versions_new.append(
        (version_id, asset.asset_id, inst.run.dag.dag_id, meta.run_id, inst.instance_id, meta.start_us, meta.end_us,
         PUBLISHED, t.now, inst.run.version_id, inst.attempt_id, None, 0)
    )  # fmt: skip
    t.journal("asset", asset.asset_id, meta.run_id, "", PUBLISHED, f"{asset.name} version {version_id}")
    version = Version(asset.name, version_id, meta.start_us, meta.end_us, asset.last)
    asset.last = version_id
    if asset.waiting:
        waits.published(t, version)
    if asset.consumers:
        t.world.assets.news.append((version, deque(asset.consumers.values())))
        consuming.deliver_later(t)
