"""Promises of assets: a version for each interval of the producer's schedule, by its time (B30).

One interval of each producer and asset is expected at a time; when its time comes the database says
whether versions cover it, and the next one is expected. So it is judged whether or not a run was ever
made: a pause, a missing file or a skipped firing are no excuse. What came after its time came late.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.engine.assets import staleness
from bide.runtime.engine.assets.naming import asset_named
from bide.runtime.engine.assets.staleness import newest_of
from bide.runtime.engine.raising import raise_alert
from bide.runtime.engine.turn import FactKey, NeedFacts, Turn
from bide.runtime.engine.world import DagState, Due, Expected
from bide.runtime.graph.spec import DagSpec
from bide.runtime.schedules import Firing
from bide.runtime.schedules.on_assets import on_assets
from bide.runtime.schedules.promise import Promise
from bide.runtime.spans import covers

AT_ONCE: Final = 50
"""Overdue intervals of one DAG that are judged in one go."""


def declared(t: Turn, dag: DagState, spec: DagSpec) -> None:
    """Expect what the DAG as it now is promises, and nothing else."""
    promises = _promises(spec)
    held = t.world.expected.get(dag.dag_id, {})
    for name in [name for name in held if name not in promises]:
        _set(t, dag, name, None)
    for name, promise in promises.items():
        before = held.get(name)
        if before is not None:
            firing = _next(dag, before.fires - 1)
            if firing == Firing(before.fires, before.start, before.end):
                _set(t, dag, name, _expected(dag, promise, firing))
                continue
        start: int | None = dag.options.get("start_us")
        _set(t, dag, name, _expected(dag, promise, _next(dag, max(t.now, (start or 0) - 1))))
    _rings(t, dag)


def forget(t: Turn, dag: DagState) -> None:
    """It is gone for good: nobody promises anything any more."""
    for name in list(t.world.expected.get(dag.dag_id, {})):
        _set(t, dag, name, None)


def _promises(spec: DagSpec) -> dict[str, Promise]:
    return {name: promise for task in spec.tasks for name, promise in (task.promises or {}).items()}


def _next(dag: DagState, after_us: int) -> Firing | None:
    """The first firing after an instant; of a schedule of versions the end of the period it gathers."""
    if dag.schedule is None:
        return None
    firing = dag.schedule.next_after(after_us, dag.anchor)
    gathers = on_assets(dag.schedule)
    if firing is None and gathers is not None and gathers.interval is not None:
        start, end = gathers.period(after_us)
        firing = Firing(end, start, end)
    until = dag.options.get("end_us")
    if firing is None or firing.end_us <= firing.start_us or (until is not None and firing.fires_us >= until):
        return None
    return firing


def _expected(dag: DagState, promise: Promise, firing: Firing | None) -> Expected | None:
    if firing is None:
        return None
    due = promise.instant(firing.end_us, dag.tz) if promise.on_the_wall else firing.end_us + promise.after_us
    return Expected(firing.start_us, firing.end_us, firing.fires_us, due, promise.describe(dag.tz))


def _set(t: Turn, dag: DagState, name: str, expected: Expected | None) -> None:
    of_dag = t.world.expected.setdefault(dag.dag_id, {})
    if of_dag.get(name) != expected:
        t.expected[dag.dag_id, name] = None
        if expected is None:
            del of_dag[name]
        else:
            of_dag[name] = expected
    if not of_dag:
        del t.world.expected[dag.dag_id]


def _rings(t: Turn, dag: DagState) -> None:
    if of_dag := t.world.expected.get(dag.dag_id):
        t.world.timer(min(each.due for each in of_dag.values()), Due.ASSET_ALERT, dag.dag_id)


# --- judging -------------------------------------------------------------------------------------


def rung(t: Turn, dag: DagState) -> None:
    """Judge what is due, in its order, and expect what comes after it."""
    of_dag = t.world.expected.get(dag.dag_id)
    if not of_dag or dag.compiled is None or not t.world.scheduling:
        return
    promises = _promises(dag.compiled.spec)
    due, after = _overdue(t, dag, of_dag, promises)
    missing: list[FactKey] = [key for key in map(_fact_of, due) if key not in t.facts]
    if missing:
        raise NeedFacts(*missing)
    late = [each for each in due if _is_late(t, each)]
    keys = {newest_of(name): name in t.touched for name, _ in late}
    missing = [key for key, changed in keys.items() if changed or key not in t.facts]
    if missing:
        raise NeedFacts(*missing)
    t.budget -= len(due)
    for name, each in late:
        _late(t, dag, name, each)
    for name, following in after.items():
        _set(t, dag, name, following)
    _rings(t, dag)


def _is_late(t: Turn, one: tuple[str, Expected]) -> bool:
    """Whether the versions that were there in time do not cover the interval."""
    each = one[1]
    parts = [(row.start_us, row.end_us) for row in t.facts[_fact_of(one)] if row.created_us < each.due]
    return not covers((each.start, each.end), parts)


def _fact_of(each: tuple[str, Expected]) -> FactKey:
    return ("asset_over", each[0], each[1].start, each[1].end)


def _overdue(
    t: Turn, dag: DagState, of_dag: dict[str, Expected], promises: dict[str, Promise]
) -> tuple[list[tuple[str, Expected]], dict[str, Expected | None]]:
    """(asset, interval) in the order of their times, not too many; and what each asset is expected for then."""
    due: list[tuple[str, Expected]] = []
    after: dict[str, Expected | None] = {}
    for name, first in of_dag.items():
        each: Expected | None = first
        count = 0
        while each is not None and each.due <= t.now and count < AT_ONCE:
            due.append((name, each))
            count += 1
            promise = promises.get(name)
            each = None if promise is None else _expected(dag, promise, _next(dag, each.fires))
        after[name] = each
    due.sort(key=lambda one: (one[1].due, one[1].start, one[0]))
    return due, after


class Payload(msgspec.Struct, frozen=True):
    """What programs read of an alert of an asset. Instants are ISO 8601, UTC."""

    asset: str
    dag: str
    run_id: str | None
    interval_start: str
    interval_end: str
    promise: str
    due: str
    fired: str


def _late(t: Turn, dag: DagState, name: str, each: Expected) -> None:
    run_id = t.world.run_at.get((dag.dag_id, each.start))
    run = t.world.runs[run_id] if run_id is not None else None
    start, end, due = _iso(each.start), _iso(each.end), _iso(each.due)
    makes = f"run {run.run_id} of {dag.name} is {run.state.value}" if run is not None else (
        f"no run of {dag.name} for it is open{' (the DAG is paused)' if dag.paused else ''}"
    )  # fmt: skip
    text = f"{name} ({start} to {end}) is late: promised {each.said}, {due}, there is no version of it, and {makes}"
    payload = Payload(
        asset=name,
        dag=dag.name,
        run_id=None if run is None else str(run.run_id),
        interval_start=start,
        interval_end=end,
        promise=each.said,
        due=due,
        fired=_iso(t.now),
    )
    asset_id = asset_named(t, name).asset_id
    owner = t.world.assets.catalog.asset(name).owner
    raise_alert(
        t, "asset", f"{asset_id}:{dag.dag_id}:{each.start}:{each.due}", name, text, payload, run_id=run_id,
        promise=each.said, due=each.due, owners=(owner,),
    )  # fmt: skip
    staleness.late(t, name, each, f"the version for {start} to {end} is late: promised {each.said}, {due}")


def _iso(at_us: int) -> str:
    return from_us(at_us).isoformat().replace("+00:00", "Z")
