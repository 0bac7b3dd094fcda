"""What a success has made becomes versions of its outlets, in its own transaction; who looks at them is woken.

An outlet that nobody asks anything of is published at once. One with contracts or gates, or of a rerun plan,
is made, and judged in the turn after (`releasing.py`): nobody sees it before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.assets.states import OPEN
from bide.runtime.assets.words import VersionState
from bide.runtime.engine.assets import gating, latecomers, news, releasing, shadow, versions
from bide.runtime.engine.assets.changed import versions_changed

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import Instance


def publish_all(t: Turn) -> None:
    """Record what the successes of this turn have made, in their order."""
    published, t.published = t.published, []
    for inst in published:
        if inst.task.effect is not None:
            continue  # its delivery stands in the ledger
        for name in inst.task.outlets:
            _made(t, inst, name)
        if t.world.assets.settled:
            t.world.assets.settled.pop(inst.attempt_id or 0, None)


def _made(t: Turn, inst: Instance, name: str) -> None:
    assets = t.world.assets
    making = assets.making.get(inst.attempt_id or 0) if assets.making else None
    one = making.get(name) if making is not None else None
    if one is None and name in assets.settled.get(inst.attempt_id or 0, ()):
        return  # its body has published it, or its gates have held it back
    plan_id = assets.plans.get(inst.run.run_id) if assets.plans else None
    hidden = shadow.is_shadow(inst.run)
    asks = name in assets.catalog.of_downstream or name in assets.catalog.gates
    if one is None and not asks and plan_id is None and not hidden:
        _publish(t, inst, name)
        return
    if one is None:
        one = versions.begin(t, inst, name, VersionState.STAGED, plan_id=plan_id, shadow=hidden)
        versions.reads(t, inst, one.version_id)
    elif one.state is VersionState.BUILDING:
        versions.move(t, one, VersionState.STAGED, "its task has succeeded")
    versions.is_made(t, one)
    if one.state is VersionState.STAGED:
        gating.judged(t, one, t.checked.get(inst.instance_id, {}).get(name, ()))
    if one.state in OPEN:
        releasing.ask(t, one)


def _publish(t: Turn, inst: Instance, name: str) -> None:
    """Nobody asks anything of it: it is published with the success."""
    meta = inst.run.meta
    version_id = versions.new_row(t, inst, name, VersionState.PUBLISHED)
    if inst.task.inlets:
        versions.reads(t, inst, version_id)
        latecomers.seen(t, version_id)
    versions.supersede(t, version_id, name, meta.start_us, meta.end_us)
    versions_changed(t, name)
    news.tell(t, name, version_id, (meta.start_us, meta.end_us))
