"""Plans for the tests of the engine: what is invalidated in a scene, the plan of that, and where it stands."""

from __future__ import annotations

import msgspec

from bide.runtime.assets.rerun import RerunPlan
from bide.runtime.service.plans import plan_now
from tests.engine.scene import Scene


def invalidate(scene: Scene, asset: str, start: int, end: int) -> int:
    """Versions of an asset are wrong, and all that was made of them; the number of the invalidation."""
    number: int = scene.command(
        "asset_invalidate",
        asset=asset,
        start_us=start,
        end_us=end,
        cause="transform_bug",
        reason="wrong",
        by="ada",
    )["invalidation_id"]
    return number


def planned(scene: Scene, invalidation: int) -> RerunPlan:
    """The plan as things are now."""
    return plan_now(scene.store._raw, invalidation)


def keep(scene: Scene, plan: RerunPlan) -> int:
    """Store it; its number."""
    number: int = scene.command("asset_plan", plan=msgspec.to_builtins(plan))["plan_id"]
    return number


def state_of(scene: Scene, plan_id: int) -> str:
    [(state,)] = scene._rows("SELECT state FROM rerun_plan WHERE plan_id = ?", plan_id)
    return str(state)


def steps_of(scene: Scene, plan_id: int) -> list[str]:
    return [
        state
        for (state,) in scene._rows("SELECT state FROM rerun_step WHERE plan_id = ? ORDER BY step", plan_id)
    ]


def visible(scene: Scene) -> dict[tuple[str, int], int]:
    """(asset, start) -> the version that consumers see."""
    found = scene._rows(
        "SELECT a.name, v.start_us, v.asset_version_id FROM asset_version v JOIN asset a USING (asset_id)"
        " WHERE v.state IN ('published', 'stale', 'degraded') ORDER BY v.asset_version_id"
    )
    return {(name, start): version for name, start, version in found}
