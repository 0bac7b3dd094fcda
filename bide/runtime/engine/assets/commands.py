"""What people may do about the versions that a DAG has before it: drop them, have them again."""

from __future__ import annotations

from typing import Any, Final

from bide.runtime.engine.assets import consuming
from bide.runtime.engine.assets.state import Consumer
from bide.runtime.engine.turn import Turn
from bide.runtime.errors import NotFoundError, RefusedError, UsageError

MOST: Final = 10_000
"""Versions that are replayed in one command."""


def asset_drop(t: Turn, args: dict[str, Any]) -> Any:
    """{dag, asset | None, versions | None, until_us | None, all, reason} -> {dag, dropped}.

    Account for versions that are pending without a run: those named, those whose interval ends at
    or before an instant, or all, of one asset or of every one.
    """
    consumer = _consumer(t, args["dag"])
    _looks_at(consumer, args.get("asset"))
    versions, until = args.get("versions"), args.get("until_us")
    if versions is None and until is None and not args.get("all"):
        raise UsageError(
            "drop which versions? name them by their numbers, say `until` an instant, or `all`; "
            f"`bide assets events list {args['dag']}` lists them"
        )
    chosen = [
        unit
        for unit in consumer.pending
        if args.get("asset") in (None, unit.asset)
        and (versions is None or unit.version_id in versions)
        and (until is None or unit.end_us <= until)
    ]
    missing = set(versions or ()) - {unit.version_id for unit in chosen}
    if missing:
        raise NotFoundError(
            f"version {min(missing)} is not pending for {args['dag']}: "
            f"`bide assets events list {args['dag']}` lists what is"
        )
    if chosen:
        consuming.drop(t, consumer, chosen, args.get("reason") or "dropped by hand")
    return {"dag": args["dag"], "dropped": sorted({unit.version_id for unit in chosen})}


def asset_replay(t: Turn, args: dict[str, Any]) -> Any:
    """{dag, version | None, since_us | None, asset | None} -> {dag, replayed}.

    Have the versions from a number or an instant on once more, as if they were new: the runs they
    make have keys of their own. What is pending already is left as it is.
    """
    consumer = _consumer(t, args["dag"])
    _looks_at(consumer, args.get("asset"))
    version, since = args.get("version"), args.get("since_us")
    if version is None and since is None:
        raise UsageError("replay from where on? say with `from` a version, 12, or an instant, 2026-06-15")
    found = t.fact("asset_since", consumer.dag.dag_id, version, since, args.get("asset"))
    held = {unit.version_id for unit in consumer.pending}
    again = [(row, times) for row, times in found if row.asset_version_id not in held]
    if not again:
        raise RefusedError(
            f"there is no version of {', '.join(consumer.cursors)} from there on that {args['dag']} has had: "
            f"`bide assets events list {args['dag']}` lists what is pending, `bide assets show` the versions"
        )
    if len(again) > MOST:
        raise RefusedError(
            f"{len(again)} versions are too many to be replayed at once: {MOST} are the most; "
            "begin later, or name one `asset`"
        )
    for row, times in again:
        span = (row.start_us, row.end_us)
        consuming.deliver(t, consumer, row.asset, row.asset_version_id, span, times + 1, moves=False)
    dag_id = consumer.dag.dag_id
    t.journal(
        "dag", dag_id, None, "", "replayed", f"{len(again)} versions, {args.get('reason') or 'by hand'}"
    )
    return {"dag": args["dag"], "replayed": [row.asset_version_id for row, _ in again]}


def _consumer(t: Turn, name: str) -> Consumer:
    dag = t.world.dags.get(name)
    if dag is None:
        raise NotFoundError(f"there is no DAG {name!r} in this database: `bide dags` lists them")
    consumer = t.world.assets.consumers.get(dag.dag_id)
    if consumer is None:
        raise RefusedError(f"the DAG {name!r} looks at no asset: its schedule is no OnAssets")
    if dag.removed:
        raise RefusedError(f"the DAG {name!r} was removed: load its file again first")
    return consumer


def _looks_at(consumer: Consumer, asset: str | None) -> None:
    if asset is not None and asset not in consumer.cursors:
        raise NotFoundError(
            f"the DAG {consumer.dag.name!r} does not look at {asset!r}; it looks at {', '.join(consumer.cursors)}"
        )
