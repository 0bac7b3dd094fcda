"""A run that is asked for: by a person, a program or a hook. What its DAG takes is checked before there is a run."""

from __future__ import annotations

from typing import Any

from bide.runtime.clock import from_us
from bide.runtime.engine import matching, runs
from bide.runtime.engine.assets import shadow
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import DagState
from bide.runtime.errors import NotFoundError, RefusedError
from bide.runtime.graph.params import checked
from bide.runtime.schedules import Firing

Args = dict[str, Any]


def known_dag(t: Turn, args: Args) -> DagState:
    """The DAG that is named; `NotFoundError` when the database knows none of that name."""
    dag = t.world.dags.get(args["dag"])
    if dag is None or dag.compiled is None:
        known = sorted(name for name, one in t.world.dags.items() if not one.removed)
        instead = matching.instead_of(args["dag"], known)
        raise NotFoundError(f"there is no DAG {args['dag']!r} in this database{instead}")
    return dag


def trigger(t: Turn, args: Args) -> Any:
    """{dag, logical_us | None, params, new, shadow, kind, reason} -> {run_id}. A shadow run is beside all others.

    Who names a date means the run of that date, and is refused when there is one; who names none means one more run.
    """
    dag = known_dag(t, args)
    if dag.removed:
        raise RefusedError(f"the DAG {dag.name!r} was removed: load its file again, then trigger it")
    assert dag.schedule is not None
    assert dag.compiled is not None
    date = args.get("logical_us")
    params = checked(dag.compiled.spec, args.get("params") or {})
    start, end = dag.schedule.interval_for(date, t.now, dag.anchor)
    grid = end > start
    if args.get("shadow"):
        run = runs.create_run(
            t, dag, kind=shadow.KIND, run_key=f"shadow:{start}:{t.world.next_id['run']}",
            firing=Firing(t.now, start, end), params=params, reason=args.get("reason") or "triggered as a shadow run",
        )  # fmt: skip
        return {"run_id": run.run_id}
    while not grid and date is None and (dag.dag_id, start) in t.world.run_at:
        start = end = start + 1  # two undated triggers within one microsecond are two runs
    if date is not None:
        there = t.fact("run_in_the_way", dag.dag_id, start)
        unfinished = t.world.run_at.get((dag.dag_id, start))
        if unfinished is not None:  # also one that was made in this very batch
            there = t.world.runs[unfinished]
        if there is not None and not args.get("new"):
            raise RefusedError(
                f"the DAG {dag.name!r} has run {there.run_id} ({there.state}) for {from_us(start).isoformat()}: "
                f"rerun it (`bide rerun {there.run_id}`), or make another by saying `new`"
            )
    kind = args.get("kind") or "manual"
    run_key = f"{kind}:{start}"
    if args.get("new") or date is None:
        run_key = f"{kind}:{start}:{t.world.next_id['run']}"
    run = runs.create_run(
        t, dag, kind=kind, run_key=run_key, firing=Firing(t.now, start, end), params=params,
        reason=args.get("reason") or "triggered",
    )  # fmt: skip
    return {"run_id": run.run_id}
