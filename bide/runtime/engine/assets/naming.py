"""Assets by name: known from the first time somebody names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.engine.assets.state import AssetState

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn


def asset_named(t: Turn, name: str) -> AssetState:
    """The asset of that name, made known when it is new."""
    asset = t.world.assets.named.get(name)
    if asset is None:
        asset = AssetState(t.world.take_id("asset"), name)
        t.world.assets.named[name] = asset
        t.changes.assets_new.append((asset.asset_id, name, t.now))
    return asset
