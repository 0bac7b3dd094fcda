"""A version is seen from now on: waits for it and DAGs that are scheduled by it are told, each once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from bide.runtime.engine.assets import consuming, latecomers, versions, waits
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.assets.state import Cursor, Open, Version

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn


def let_out(t: Turn, one: Open, but: frozenset[int] = frozenset()) -> None:
    """A version that was made before is seen from now on; the caller has moved it. DAGs of `but` are not told."""
    latecomers.seen(t, one.version_id)
    seen(t, one.version_id, one.asset, (one.start_us, one.end_us), but)


def seen(
    t: Turn, version_id: int, name: str, span: tuple[int, int], but: frozenset[int] = frozenset()
) -> None:
    """A version is seen from now on: it takes the place of others, and who looks at it is told."""
    versions.supersede(t, version_id, name, *span)
    tell(t, name, version_id, span, but)


def tell(
    t: Turn, name: str, version_id: int, span: tuple[int, int], but: frozenset[int] = frozenset()
) -> None:
    """Wake who looks at the asset: waits for it, and DAGs that are scheduled by it."""
    asset = asset_named(t, name)
    version = Version(name, version_id, *span, asset.last)
    if asset.waiting:
        waits.published(t, version)
    if version_id < asset.last:
        _tell_late(t, version, but)
        return
    asset.last = version_id
    if asset.consumers:
        told = deque(each for each in asset.consumers.values() if each.dag.dag_id not in but)
        t.world.assets.news.append((version, told))
        consuming.deliver_later(t)


def _tell_late(t: Turn, version: Version, but: frozenset[int]) -> None:
    """Later ones were published before it: who has had those is given it now, in this very transaction.

    Who is behind it finds it in the database on the way; what was to be brought to them past it is not.
    """
    assets = t.world.assets
    t.late[version.asset] = None
    for n, (news, to) in enumerate(assets.news):
        if news.asset == version.asset and news.before < version.version_id < news.version_id:
            assets.news[n] = (news._replace(before=version.version_id), to)
    for consumer in assets.named[version.asset].consumers.values():
        if consumer.dag.dag_id in but:
            continue
        cursor = consumer.cursors[version.asset]
        if cursor.version_id >= version.version_id and cursor != Cursor(version.version_id):
            consuming.deliver(t, consumer, version.asset, version.version_id, version[2:4], moves=False)


def without_telling(t: Turn, one: Open) -> None:
    """It is published, and makes no run: consumers are not told (S1-16d)."""
    latecomers.seen(t, one.version_id)
    versions.supersede(t, one.version_id, one.asset, one.start_us, one.end_us)
    t.changes.asset_quiet.append((one.version_id,))
    asset = asset_named(t, one.asset)
    if asset.waiting:
        waits.published(t, Version(one.asset, one.version_id, one.start_us, one.end_us, asset.last))
