"""Waits for versions of assets, by asset and interval: the commit that publishes one wakes them.

What is there already, and whether several versions cover an interval, is asked of the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime import typed
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.assets.state import Version, WaitedFor
from bide.runtime.engine.messages import AssetAsked
from bide.triggers.asset import AssetTrigger

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Wait, World

ASSET = "asset"


def decode_asset(trigger: bytes) -> AssetTrigger:
    return typed.decode(trigger, AssetTrigger)


def watch(t: Turn, wait: Wait) -> None:
    """Wake this wait when its versions are there; those that already are count as well."""
    trigger = decode_asset(wait.trigger)
    asset, key = asset_named(t, trigger.asset), _key(trigger)
    asset.waiting.setdefault(key, {})[wait.wait_id] = wait
    if key.cover:
        asset.covering[key] = None
    _ask(t, trigger.asset, key)


def unwatch(world: World, wait: Wait) -> None:
    trigger = decode_asset(wait.trigger)
    asset, key = world.assets.named.get(trigger.asset), _key(trigger)
    waiters = asset.waiting.get(key) if asset is not None else None
    if asset is not None and waiters is not None:
        waiters.pop(wait.wait_id, None)
        if not waiters:
            del asset.waiting[key]
            asset.covering.pop(key, None)


def published(t: Turn, version: Version) -> None:
    """Have those judged that wait for an interval of which this is one, or a part."""
    asset = t.world.assets.named[version.asset]
    exact = WaitedFor(version.start_us, version.end_us, cover=False)
    if exact in asset.waiting:
        _ask(t, version.asset, exact)
    for key in asset.covering:
        if version.start_us < key.end_us and version.end_us > key.start_us:
            _ask(t, version.asset, key)


def _ask(t: Turn, asset: str, key: WaitedFor) -> None:
    t.ask(AssetAsked(asset, *key), ("asset_over", asset, key.start_us, key.end_us))


def _key(trigger: AssetTrigger) -> WaitedFor:
    return WaitedFor(trigger.start_us, trigger.end_us, trigger.cover)
