"""What a loaded DAG says of assets: those it makes, and those its schedule looks at."""

from __future__ import annotations

from bide.runtime.assets.pending import Pending
from bide.runtime.engine.assets import consuming
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.assets.state import KIND, Consumer, Cursor, rule_of
from bide.runtime.engine.messages import ConsumerAsked
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import DagState
from bide.runtime.graph.spec import DagSpec
from bide.runtime.schedules import OnAssets
from bide.runtime.schedules.on_assets import on_assets


def declared(t: Turn, dag: DagState, spec: DagSpec) -> None:
    """Make its assets known, and its cursors those of its schedule."""
    for task in spec.tasks:
        for name in (*task.outlets, *task.inlets):
            asset_named(t, name)
    assets = t.world.assets
    schedule = on_assets(dag.schedule)
    consumer = assets.consumers.get(dag.dag_id)
    if schedule is None:
        if consumer is not None:
            _forget(t, consumer, list(consumer.cursors))
            del assets.consumers[dag.dag_id]
        return
    if consumer is None:
        consumer = assets.consumers[dag.dag_id] = Consumer(dag, schedule)
        consumer.open_runs |= {run_id for run_id in dag.runs if t.world.runs[run_id].kind == KIND}
    _forget(t, consumer, [name for name in consumer.cursors if name not in schedule.names])
    _change_rule(t, consumer, schedule)
    for name in schedule.names:
        asset = asset_named(t, name)
        asset.consumers[dag.dag_id] = consumer
        if name not in consumer.cursors:
            begins = Cursor(0 if schedule.backlog else asset.last)
            consumer.cursors[name] = begins
            t.changes.asset_cursors_set[dag.dag_id, asset.asset_id] = (dag.dag_id, asset.asset_id, *begins)
    consumer.pending.touch_all()
    t.due_consumers.append(consumer)
    if consuming.is_behind(t.world, consumer):
        t.ask(ConsumerAsked(dag.dag_id))


def _forget(t: Turn, consumer: Consumer, names: list[str]) -> None:
    """The schedule looks at these no more: what is pending of them is dropped, on record."""
    if not names:
        return
    gone = [unit for unit in consumer.pending if unit.asset in names]
    if gone:
        consuming.drop(t, consumer, gone, f"{consumer.dag.name} no longer looks at it")
    for name in names:
        asset = t.world.assets.named[name]
        asset.consumers.pop(consumer.dag.dag_id, None)
        del consumer.cursors[name]
        where = consumer.dag.dag_id, asset.asset_id
        t.changes.asset_cursors_set.pop(where, None)
        t.changes.asset_cursors_gone.append(where)


def _change_rule(t: Turn, consumer: Consumer, schedule: OnAssets) -> None:
    """Another condition or way of consuming: what is pending is grouped anew, and split by the new periods."""
    before, consumer.schedule = consumer.schedule, schedule
    rule, units = rule_of(schedule), list(consumer.pending)
    if rule == consumer.pending.rule and (before.interval, before.tz) == (schedule.interval, schedule.tz):
        return
    if (before.interval, before.tz) == (schedule.interval, schedule.tz):
        consumer.pending = Pending(rule)
        for unit in units:
            consumer.pending.add(unit)
        return
    consuming.account(t, consumer, units)
    consumer.pending = Pending(rule)
    for version_id, again, name, start, end in dict.fromkeys(
        (unit.version_id, unit.again, unit.asset, unit.start_us, unit.end_us) for unit in units
    ):
        # runs may have taken parts of it: by the new periods it is had once more, as by a replay
        consuming.deliver(t, consumer, name, version_id, (start, end), again + 1, moves=False)
